"""Thunderbird, over TLS with an authority it was told of.  It asks for the password while it is connected, and keeps it until it ends.

What it is answered to a password it does not show, and a password that was refused it tries by each mechanism."""

import functools
import os
import re

import harness
from client import TestCase
from harness import TLS
from situations import Program, Situations

PREFERENCES = {
    "mail.accountmanager.accounts": "account1,account2", "mail.accountmanager.defaultaccount": "account1",
    "mail.accountmanager.localfoldersserver": "server2",
    "mail.account.account1.server": "server1", "mail.account.account1.identities": "id1", "mail.account.account2.server": "server2",
    "mail.identity.id1.fullName": "Test", "mail.identity.id1.useremail": "test@example.org",
    "mail.server.server1.type": "pop3", "mail.server.server1.hostname": "localhost", "mail.server.server1.name": "test",
    "mail.server.server1.directory-rel": "[ProfD]Mail/test", "mail.server.server1.socketType": 3,  # TLS
    "mail.server.server1.authMethod": 3,  # a password
    "mail.server.server1.leave_on_server": True, "mail.server.server1.login_at_startup": True,
    "mail.server.server1.download_on_biff": True, "mail.server.server1.check_new_mail": False,
    "mail.server.server2.type": "none", "mail.server.server2.hostname": "Local Folders", "mail.server.server2.name": "Local Folders",
    "mail.server.server2.userName": "nobody", "mail.server.server2.directory-rel": "[ProfD]Mail/Local Folders",
    "mailnews.tcptimeout": 300,  # seconds of silence; 100, the default, is too near to how long a user thinks here
    # no pages and questions of a first start, no bubbles
    "mail.provider.suppress_dialog_on_startup": True, "mailnews.start_page.enabled": False, "mail.rights.version": 1,
    "mail.shell.checkDefaultClient": False, "mail.inappnotifications.enabled": False, "app.donation.eoy.version.viewed": 999,
    "datareporting.policy.dataSubmissionPolicyBypassNotification": True, "datareporting.policy.dataSubmissionEnabled": False,
    "mail.biff.show_alert": False, "mail.biff.play_sound": False,
}


def preference(name, value):
    return 'user_pref("%s", %s);\n' % (name, {True: "true", False: "false"}[value] if isinstance(value, bool)
                                       else value if isinstance(value, int) else '"%s"' % value)


@functools.cache
def authority():
    """(certificate, key) of one that signs servers' certificates."""
    return harness.make_certificate(harness.world().dir, "authority", "/CN=Authority of the tests")


class ThunderbirdMail(Program):
    prompt = re.compile("^Enter your password for ")
    quiet = (re.compile("Mozilla Thunderbird$"),)
    ends = ("OK", "Enter New Password")
    refused = "^Login to server localhost with username .* failed"

    def __init__(self, desktop, user, port):
        super().__init__(desktop, user, port)
        settings = dict(PREFERENCES, **{"mail.server.server1.port": port, "mail.server.server1.userName": user.name})
        self.profile = os.path.dirname(desktop.write("profile/user.js", "".join(preference(*p) for p in settings.items())))
        self.inbox = os.path.join(self.profile, "Mail/test/Inbox")
        desktop.write("profile/Mail/test/Trash", "")
        database = "sql:" + self.profile
        desktop.run(["certutil", "-N", "-d", database, "--empty-password"])
        with open(authority()[0], "rb") as f:
            desktop.run(["certutil", "-A", "-d", database, "-n", "test", "-t", "C,,"], f)
        self.running = False

    def again(self):
        """It asks by itself."""

    def check(self):
        if self.running:
            self.desktop.press(self.desktop.window("^Inbox - test - Mozilla Thunderbird$"), "Get Messages")
        else:
            self.desktop.start(["thunderbird", "--no-remote", "--profile", self.profile])
            self.running = True

    def letters(self):
        if not os.path.exists(self.inbox):
            return []
        with open(self.inbox, "rb") as f:
            parts = (b"\n" + f.read().replace(b"\r\n", b"\n")).split(b"\nFrom - ")[1:]
        return [part.rstrip(b"\n") + b"\n" for part in parts]


class Thunderbird(Situations, TestCase):
    program = ThunderbirdMail
    kind = TLS

    @classmethod
    def setUpClass(cls):
        certificate, key = harness.make_certificate(harness.world().dir, "server", issuer=authority())
        cls.settings = dict(Situations.settings, certificate=certificate, certificate_key=key)
        super().setUpClass()

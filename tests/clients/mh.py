"""Claws Mail and Sylpheed, which come from one source: the same account file, and mail in MH folders."""

import os

from situations import Program

ACCOUNT = """[Account: 1]
account_name=test
is_default=1
name=Test
address=test@example.org
protocol=0
receive_server=127.0.0.1
smtp_server=127.0.0.1
user_id=%s
inbox=#mh/Mail/inbox
set_popport=1
pop_port=%d
ssl_pop=0
remove_mail=0
receive_at_get_all=1
"""
FOLDERS = """<?xml version="1.0" encoding="UTF-8"?>
<folderlist>
    <folder type="mh" name="Mail" path="Mail">
        <folderitem type="inbox" name="inbox" path="inbox" />
    </folder>
</folderlist>
"""


class MhProgram(Program):
    command = None
    profile = None  # the folder of its settings

    def __init__(self, desktop, user, port):
        super().__init__(desktop, user, port)
        desktop.write(self.profile + "/accountrc", ACCOUNT % (user.name, port))
        desktop.write(self.profile + "/folderlist.xml", FOLDERS)
        self.inbox = os.path.dirname(desktop.write("Mail/inbox/.mh_sequences", ""))

    def check(self):
        self.desktop.start([self.command, "--receive-all"])  # one that runs is told

    def letters(self):
        out = []
        for name in filter(str.isdigit, os.listdir(self.inbox)):
            with open(os.path.join(self.inbox, name), "rb") as f:
                out.append(f.read())
        return out

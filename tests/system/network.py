"""A network of its own for a test: a daemon's host and a client's, joined by a cable that can be cut.

Two network namespaces and a pair of veth(4).  A cut drops every packet on the
client's host without a word to either side, as a firewall or a dead line does.
"""

import contextlib
import ctypes
import functools
import os
import secrets
import subprocess
import unittest

import harness

CLONE_NEWNET = 0x40000000
HAVE_IPV6 = os.path.exists("/proc/net/if_inet6")
SERVER, CLIENT = "10.83.0.1", "10.83.0.2"
SERVER6, CLIENT6 = "fd83::1", "fd83::2"
ANY, ANY6 = "10.84.0.0/16", "fd84::/32"  # the client has all of these addresses


def _run(*arguments, text=None):
    subprocess.run(arguments, input=text, check=True, text=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


@functools.lru_cache(maxsize=None)
def missing():
    """What keeps such networks from being made here, or None."""
    if os.geteuid() != 0:
        return "not root"
    try:
        Network().close()
    except (OSError, subprocess.CalledProcessError) as e:
        return "no network namespaces with veth and nftables: %s" % e
    return None


def needed(test):
    """Decorates tests that make one."""
    return unittest.skipIf(missing(), missing())(test)


class Network:
    """Made at once; close() takes it away."""

    def __init__(self):
        name = "p3t-" + secrets.token_hex(4)
        self.server_host, self.client_host = name + "s", name + "c"
        try:
            for host in (self.server_host, self.client_host):
                harness.world().registry.add("netns", host)
                _run("ip", "netns", "add", host)
                _run("ip", "-n", host, "link", "set", "lo", "up")
            _run("ip", "-n", self.server_host, "link", "add", "cable", "type", "veth", "peer", "name", "cable",
                 "netns", self.client_host)
            for host, address, address6 in ((self.server_host, SERVER, SERVER6), (self.client_host, CLIENT, CLIENT6)):
                _run("ip", "-n", host, "address", "add", address + "/24", "dev", "cable")
                _run("ip", "-n", host, "link", "set", "cable", "up")
                if HAVE_IPV6:
                    _run("ip", "-n", host, "address", "add", address6 + "/64", "dev", "cable", "nodad")
            self._many_addresses()
            self.mend()
        except BaseException:
            self.close()
            raise

    def _many_addresses(self):
        for any_of, gateway in ((ANY, CLIENT), (ANY6, CLIENT6)):
            if ":" not in any_of or HAVE_IPV6:
                _run("ip", "-n", self.client_host, "route", "add", "local", any_of, "dev", "lo")
                _run("ip", "-n", self.server_host, "route", "add", any_of, "via", gateway)

    @classmethod
    def of(cls, test):
        """One that lasts as long as this test."""
        net = cls()
        test.addCleanup(net.close)
        return net

    def daemon(self, test, **settings):
        """A daemon of that test on the server's host, for clear text and for TLS."""
        addresses = [SERVER] + ([SERVER6] if HAVE_IPV6 else [])
        servers = {name: {"addresses": addresses, "port": harness.free_port(), "socket": kind, "cleartext_login": "always"}
                   for name, kind in (("clear", "plain+stls"), ("secure", "tls"))}
        with self.server():
            return test.own_daemon(servers=servers, **settings)

    def connect(self, test, daemon, source=CLIENT, kind=harness.PLAIN, **options):
        """A connection of that test from an address of the client's host."""
        where = (SERVER6 if ":" in source else SERVER, daemon.port(kind))
        with self.client():
            return test.connect(kind, daemon, address=where, source=source, **options)

    def _rules(self, received, sent):
        _run("ip", "netns", "exec", self.client_host, "nft", "-f", "-", text="""
            table inet cut
            delete table inet cut
            table inet cut {
                chain in { type filter hook input priority 0; policy %s; }
                chain out { type filter hook output priority 0; policy %s; }
            }""" % (received, sent))

    def cut(self):
        self._rules("drop", "drop")

    def cut_down(self):
        """Only what is sent to the client is lost."""
        self._rules("drop", "accept")

    def mend(self):
        self._rules("accept", "accept")

    def close(self):
        for host in (self.server_host, self.client_host):
            subprocess.run(["ip", "netns", "del", host], stderr=subprocess.DEVNULL)

    @contextlib.contextmanager
    def _inside(self, host):
        """Sockets and processes made in here belong to that host."""
        libc = ctypes.CDLL(None, use_errno=True)
        with open("/proc/thread-self/ns/net") as before, open("/run/netns/" + host) as there:
            if libc.setns(there.fileno(), CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), "setns")
            try:
                yield
            finally:
                if libc.setns(before.fileno(), CLONE_NEWNET) != 0:
                    os.abort()  # nothing may run on in the wrong network

    def server(self):
        return self._inside(self.server_host)

    def client(self):
        return self._inside(self.client_host)

"""Several ports and addresses a server, and what a reload moves from one server to another."""

import contextlib
import os
import re
import socket
import subprocess
import threading
import time
import unittest

import harness
import mailbox
from client import TestCase
from control import DONE, FAILED, Control
from harness import PLAIN, TLS

MESSAGES = mailbox.simple(2)
HAVE_IPV6 = os.path.exists("/proc/net/if_inet6")


class Case(TestCase):
    settings = None
    limit = 120

    def start(self, **settings):
        self.daemon = self.own_daemon(**settings)
        self.ctl = Control(self.daemon)
        self.clear, self.secure = self.daemon.servers["clear"], self.daemon.servers["secure"]
        return self.daemon

    def reload(self):
        self.daemon.write_conf()
        self.assertEqual(self.ctl.run("reload"), (DONE, "", ""))

    def greets(self, kind, port, address="127.0.0.1"):
        self.connect(kind, self.daemon, address=(address, port)).quit()

    def assertClosed(self, port, address="127.0.0.1"):
        with self.assertRaises(ConnectionRefusedError):
            socket.create_connection((address, port), 5).close()

    def listed(self):
        return {row["name"]: row for row in self.ctl.json("list")}

    def standing(self):
        """What a refused reload must leave alone: all but the clients, who come and go."""
        return {name: {key: row[key] for key in row if key != "connections"} for name, row in self.listed().items()}

    def free_ports(self, count):
        return [harness.free_port() for _ in range(count)]


@contextlib.contextmanager
def busy(port, address="127.0.0.1"):
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind((address, port))
        s.listen()
        yield


class Ports(Case):
    def test_each_port_at_each_address(self):
        first, second = self.free_ports(2)
        addresses = ["127.0.0.1", "127.0.0.2"] + (["::1"] if HAVE_IPV6 else [])
        self.start()
        self.daemon.servers["many"] = {"addresses": addresses, "port": [first, second], "socket": "plain"}
        self.reload()
        user = self.user(MESSAGES)
        for address in addresses:
            for port in (first, second):
                session = self.session(user, PLAIN, self.daemon, address=(address, port))
                self.assertEqual(session.ok(b"STAT")[:5], b"+OK 2")
                session.quit()
        self.assertEqual(self.listed()["many"]["port"], [first, second])
        self.assertEqual(self.ctl.done("cget", "many", "-port"), str(first))
        self.assertEqual(self.ctl.pairs("configure", "many")["-port"], str(first))

    def test_all_addresses(self):
        ports = self.free_ports(2)
        self.start()
        self.daemon.servers["many"] = {"addresses": ["*"], "port": ports, "socket": "plain"}
        self.reload()
        for port in ports:
            self.greets(PLAIN, port)
            if HAVE_IPV6:
                self.greets(PLAIN, port, "::1")

    def test_printed_and_read_again(self):
        self.start()
        path = harness.world().path("ports.conf")
        text = 'server a {\n\taddresses = {"127.0.0.1"}\n\tport = {1995, 995}\n}\nserver b {\n\tport = 110\n\tsocket = "plain"\n}\n'
        with open(path, "w") as f:
            f.write(text)
        printed = subprocess.run([harness.program(), "-T", "-c", path], stdout=subprocess.PIPE, check=True).stdout
        self.assertIn(b"\tport = {1995, 995}\n", printed)
        self.assertIn(b"\tport = 110\n", printed)
        with open(path, "wb") as f:
            f.write(printed)
        again = subprocess.run([harness.program(), "-T", "-c", path], stdout=subprocess.PIPE, check=True).stdout
        self.assertEqual(again, printed)

    def test_faults(self):
        self.start()
        path = harness.world().path("faults.conf")
        for port, line, reason in (("{}", 2, "expected at least one"), ("{110,\n\t110}", 3, "expected each port once"),
                                   ("{110, 0}", 2, "expected a number from 1 to 65535"),
                                   ("{%s}" % ", ".join(map(str, range(1, 18))), 2, "expected at most 16 ports")):
            with self.subTest(port=port):
                with open(path, "w") as f:
                    f.write('server a {\n\tport = %s\n}\n' % port)
                done = subprocess.run([harness.program(), "-t", "-c", path], stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
                self.assertNotEqual(done.returncode, 0)
                self.assertRegex(done.stderr + done.stdout, "%s:%d: port: %s" % (re.escape(path), line, reason))

    def test_one_of_them_busy(self):
        """`up` and reload fail, nothing of it is open, what was there goes on; with the port free both work."""
        first, second, third = self.free_ports(3)
        self.start()
        self.daemon.servers["many"] = {"addresses": ["127.0.0.1"], "port": [first, second], "socket": "plain"}
        self.reload()
        self.ctl.done("down", "many")
        for port in (first, second):
            self.assertClosed(port)
        with busy(second):
            self.assertIn("Address already in use", self.ctl.refused(FAILED, "up", "many"))
            self.assertClosed(first)
            self.assertEqual(self.ctl.done("cget", "many", "-state"), "down")
            self.reload()  # it is down and stays so: its port matters to nobody
            self.assertEqual(self.ctl.done("cget", "many", "-state"), "down")
        self.ctl.done("up", "many")
        self.greets(PLAIN, second)
        self.daemon.servers["many"]["port"] = [first, second, third]
        with busy(third):
            before = self.standing()
            self.daemon.write_conf()
            self.assertRegex(self.ctl.refused(FAILED, "reload"), "many .*:%d: Address already in use" % third)
            self.assertEqual(self.standing(), before)
            self.greets(PLAIN, first)
        self.reload()
        self.greets(PLAIN, third)

    def test_ports_come_and_go(self):
        first, second, third = self.free_ports(3)
        self.start()
        self.daemon.servers["many"] = many = {"addresses": ["127.0.0.1"], "port": [first, second], "socket": "plain"}
        self.reload()
        session = self.session(self.user(MESSAGES), PLAIN, self.daemon, address=("127.0.0.1", first))
        many["port"] = [third, second]
        self.reload()
        self.assertClosed(first)
        for port in (second, third):
            self.greets(PLAIN, port)
        self.assertEqual(self.ctl.done("cget", "many", "-port"), str(third))
        session.ok(b"NOOP")
        self.ctl.done("destroy", "many", "defer")
        for port in (second, third):
            self.assertClosed(port)
        self.assertEqual(self.ctl.done("cget", "many", "-state"), "exiting")
        session.quit()

    def test_one_number_by_pop3ctl(self):
        first, second = self.free_ports(2)
        self.start()
        self.daemon.servers["many"] = {"addresses": ["127.0.0.1"], "port": [first, second], "socket": "plain"}
        self.reload()
        self.ctl.done("configure", "many", "-port", 0)
        self.assertEqual(self.ctl.done("cget", "many", "-port"), str(first))  # at the next up
        self.assertEqual(self.listed()["many"]["port"], [first, second])
        self.ctl.done("down", "many")
        self.assertEqual(self.listed()["many"]["port"], [0])
        self.ctl.done("up", "many")
        chosen = int(self.ctl.done("cget", "many", "-port"))
        self.assertNotIn(chosen, (0, first, second))
        self.greets(PLAIN, chosen)
        self.assertClosed(second)
        self.reload()  # the file has its say again
        self.greets(PLAIN, second)
        self.assertClosed(chosen)


class Knocking:
    """A client that connects again and again: who did not find anybody?"""

    def __init__(self, *ports):
        self.refused, self.knocks, self.over = [], 0, threading.Event()
        self.threads = [threading.Thread(target=self.knock, args=(port,)) for port in ports]

    def knock(self, port):
        while not self.over.is_set():
            try:
                socket.create_connection(("127.0.0.1", port), 10).close()
                self.knocks += 1
            except OSError as e:
                self.refused.append((port, e))
            time.sleep(0.01)  # it is to find a gap, not to use up the connections

    def __enter__(self):
        for t in self.threads:
            t.start()
        harness.wait_for(lambda: self.knocks > 10)
        return self

    def __exit__(self, *error):
        self.over.set()
        for t in self.threads:
            t.join(20)


class Moves(Case):
    """In one reload, nobody is turned away meanwhile, and a refused one leaves all as it was."""

    def test_two_servers_swap_their_ports(self):
        self.start(max_connections_per_address=2000)
        session = self.session(self.user(MESSAGES), PLAIN, self.daemon)
        early = self.connect(TLS, self.daemon)
        with Knocking(self.clear["port"], self.secure["port"]) as knocking:
            for _ in range(3):
                self.clear["port"], self.secure["port"] = self.secure["port"], self.clear["port"]
                self.reload()
                self.greets(PLAIN, self.clear["port"])
                self.greets(TLS, self.secure["port"])
                self.assertEqual(self.ctl.done("cget", "clear", "-port"), str(self.clear["port"]))
        self.assertEqual(knocking.refused, [])
        early.quit()
        session.ok(b"NOOP")
        session.quit()

    def test_three_in_a_ring(self):
        ports = self.free_ports(3)
        self.start()
        for i, port in enumerate(ports):
            self.daemon.servers["r%d" % i] = {"addresses": ["127.0.0.1"], "port": [port], "socket": "plain"}
        self.reload()
        for i in range(3):
            self.daemon.servers["r%d" % i]["port"] = [ports[(i + 1) % 3]]
        self.reload()
        for i in range(3):
            client = self.connect(PLAIN, self.daemon, address=("127.0.0.1", ports[(i + 1) % 3]))
            self.assertEqual(len(self.ctl.lines("conn", "list", "r%d" % i)), 1)
            client.quit()

    def test_another_name_at_the_same_port(self):
        self.start(max_connections_per_address=2000)
        session = self.session(self.user(MESSAGES), PLAIN, self.daemon)
        self.daemon.servers["renamed"] = self.daemon.servers.pop("clear")
        with Knocking(self.clear["port"]) as knocking:
            self.reload()
            client = self.connect(PLAIN, self.daemon)
        self.assertEqual(knocking.refused, [])
        self.assertEqual(self.ctl.done("cget", "clear", "-state"), "exiting")
        ids = self.ctl.lines("conn", "list", "renamed")
        self.assertGreaterEqual(len(ids), 1)
        client.quit()
        session.quit()
        self.assertTrue(harness.wait_for(lambda: "clear" not in self.listed()))
        self.greets(PLAIN, self.clear["port"])

    def test_the_port_of_one_that_goes(self):
        """And of one that only lets go of one of its ports."""
        first, second, third = self.free_ports(3)
        self.start()
        self.daemon.servers["a"] = a = {"addresses": ["127.0.0.1"], "port": [first, second], "socket": "plain"}
        self.reload()
        a["port"] = [second]
        self.secure["port"] = first
        self.reload()
        self.greets(TLS, first)
        self.greets(PLAIN, second)
        del self.daemon.servers["a"]
        self.secure["port"] = second
        self.clear["port"] = first
        self.reload()
        self.greets(TLS, second)
        self.greets(PLAIN, first)
        self.assertNotIn("a", self.listed())
        self.assertClosed(third)

    def test_from_one_address_to_all_of_another_server(self):
        first, second = self.free_ports(2)
        self.start()
        self.daemon.servers["a"] = a = {"addresses": ["127.0.0.1"], "port": [first], "socket": "plain"}
        self.daemon.servers["b"] = b = {"addresses": ["*"], "port": [second], "socket": "plain"}
        self.reload()
        for _ in range(2):
            a["port"], b["port"] = b["port"], a["port"]
            self.reload()
            for server, port in (("a", a["port"][0]), ("b", b["port"][0])):
                client = self.connect(PLAIN, self.daemon, address=("127.0.0.1", port))
                self.assertEqual(len(self.ctl.lines("conn", "list", server)), 1)
                client.quit()
            with self.assertRaises(OSError):  # what was shared for a moment is busy again
                with socket.socket() as s:
                    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
                    s.bind(("127.0.0.1", b["port"][0]))

    def test_one_that_is_down(self):
        """Its port is free for others; it stays down."""
        self.start()
        self.ctl.done("down", "clear")
        self.clear["port"], self.secure["port"] = self.secure["port"], self.clear["port"]
        self.reload()
        self.greets(TLS, self.secure["port"])
        self.assertEqual(self.ctl.done("cget", "clear", "-state"), "down")
        self.assertClosed(self.clear["port"])
        self.ctl.done("up", "clear")
        self.greets(PLAIN, self.clear["port"])

    def test_not_from_a_server_of_run_time(self):
        self.start()
        port = self.ctl.server("mine", auth=self.daemon.settings["auth"])
        old = self.clear["port"]
        self.clear["port"] = port
        before = self.standing()
        self.daemon.write_conf()
        self.assertIn("Address already in use", self.ctl.refused(FAILED, "reload"))
        self.assertEqual(self.standing(), before)
        self.greets(PLAIN, old)
        self.greets(PLAIN, port)

    def test_refused_swaps_leave_all_as_it_was(self):
        self.start(max_connections_per_address=2000)
        old = self.clear["port"], self.secure["port"]
        free = harness.free_port()
        with Knocking(*old) as knocking:
            for fault in ("certificate", "port"):
                with self.subTest(fault=fault), contextlib.ExitStack() as stack:
                    self.clear["port"], self.secure["port"] = old[1], old[0]
                    settings = {}
                    if fault == "certificate":
                        settings = {"certificate": "/nonexistent"}
                    else:
                        stack.enter_context(busy(free))
                        self.daemon.servers["z"] = {"addresses": ["127.0.0.1"], "port": free, "socket": "plain"}
                    keep = self.daemon.settings["certificate"]
                    before = self.standing()
                    self.daemon.write_conf(**settings)
                    self.ctl.refused(FAILED, "reload")
                    self.daemon.settings["certificate"] = keep
                    self.assertEqual(self.standing(), before)
                    self.greets(PLAIN, old[0])
                    self.greets(TLS, old[1])
        self.assertEqual(knocking.refused, [])
        self.reload()  # and without the fault it works
        self.greets(PLAIN, old[1])
        self.greets(TLS, old[0])
        self.greets(PLAIN, free)


if __name__ == "__main__":
    unittest.main()

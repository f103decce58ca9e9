#!/usr/bin/python3
"""Many clients of one kind, from many addresses; a process of its own, run inside the clients' network.

usage: flooder.py KIND RATE NAME CLEAR SECURE NETWORKS
  KIND     a name of KINDS
  RATE     connections a second
  NAME     the account at which "guesses" guess; another kind has no use for it
  CLEAR, SECURE   ADDRESS:PORT of the daemon without and with TLS

Its addresses are of so many /24 of 10.84.0.0/16 in turn, at random in each.  It prints a line after its
first half second, keeps what it opened for HOLD seconds, HELD_MAX at most, reads what
comes and ends with its standard input.  Then it prints how many connections it made.
"""

import collections
import random
import select
import socket
import struct
import sys
import time

HOLD, HELD_MAX = 20, 3000
HELLO = struct.pack(">BHH", 22, 0x0301, 512)  # the head of a record whose octets never come


def guess(name):
    return b"USER %s\r\nPASS wrong-%d\r\n" % (name, random.getrandbits(32))


# what the client sends after the greeting's time has come, and whether over the TLS port
KINDS = {
    "silence": (lambda name: b"", False),
    "handshakes": (lambda name: HELLO, True),
    "lines": (lambda name: b"USER a", False),
    "commands": (lambda name: 50 * b"CAPA\r\n", False),
    "guesses": (guess, False),
    "names": (lambda name: guess(b"nobody-%d" % random.getrandbits(16)), False),
}


def source(network):
    return "10.84.%d.%d" % (network, random.randrange(1, 255))


def main():
    kind, rate, name, clear, secure, networks = sys.argv[1:]
    text, tls = KINDS[kind]
    host, port = (secure if tls else clear).rsplit(":", 1)
    held, made = collections.deque(), 0
    poll, by_fd = select.poll(), {}
    poll.register(0, select.POLLIN)

    def drop(sock):
        by_fd.pop(sock.fileno(), None)
        poll.unregister(sock)
        sock.close()
    began = time.monotonic()
    begun = False
    while True:
        now = time.monotonic()
        while made < (now - began) * int(rate):
            made += 1
            sock = socket.socket()
            sock.setblocking(False)
            sock.bind((source(made % int(networks)), 0))
            sock.connect_ex((host, int(port)))
            poll.register(sock, select.POLLIN | select.POLLOUT)
            by_fd[sock.fileno()] = sock
            held.append((now, sock))
        if not begun and made >= int(rate) / 2:
            begun = True
            print("begun", flush=True)
        while held and (held[0][0] < now - HOLD or len(held) > HELD_MAX):
            sock = held.popleft()[1]
            if sock.fileno() != -1:
                drop(sock)
        for fd, what in poll.poll(20):
            if fd == 0:
                print(made)
                return
            sock = by_fd[fd]
            try:
                if what & select.POLLOUT:
                    poll.modify(sock, select.POLLIN)
                    sock.send(text(name.encode()))
                if what & ~select.POLLOUT:
                    if not sock.recv(65536):
                        drop(sock)
            except OSError:
                drop(sock)


if __name__ == "__main__":
    main()

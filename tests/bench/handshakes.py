#!/usr/bin/python3
"""What a TLS handshake costs the server, by kind of key and version; and whole sessions.

Prints milliseconds of CPU of all processes, and of the key process alone, for each.
"""

import os
import poplib
import socket
import ssl
import sys

import bench

options, harness = bench.setup(__doc__, handshakes=1000, sessions=300)

VERSIONS = (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)


def context_of(version):
    context = ssl._create_unverified_context()
    context.minimum_version = context.maximum_version = version
    return context


def handshake(daemon, context):
    """Up to the greeting."""
    with socket.create_connection((daemon.address(harness.TLS), daemon.port(harness.TLS))) as plain:
        with context.wrap_socket(plain) as sock:
            sock.recv(512)


def login(daemon, user, context):
    with socket.create_connection((daemon.address(harness.TLS), daemon.port(harness.TLS))) as plain:
        client = poplib.POP3.__new__(poplib.POP3)
        client.sock = context.wrap_socket(plain)
        client.file, client._debugging = client.sock.makefile("rb"), 0
        client.welcome = client._getresp()
        client.user(user.name)
        client.pass_(user.password)
        client.uidl()
        client.quit()


def cpu(daemon):
    return bench.cpu_ms(daemon), bench.ticks_ms(daemon.role("pop3d-key"))


def measure(daemon, what, count, run):
    before = cpu(daemon)
    for _ in range(count):
        run()
    all_of_it, keys = ((b - a) / count for a, b in zip(before, cpu(daemon)))
    print("%-44s n=%d cpu=%.2f ms, of the key process %.2f ms" % (what, count, all_of_it, keys), flush=True)


def main():
    folder = harness.world().path("bench")
    os.mkdir(folder)
    user = harness.User()
    user.maildir.make()
    user.maildir.fill(bench.letters(20))
    problems = []
    for kind in ("rsa:2048", "ec", "ed25519"):
        certificate, key = harness.make_certificate(folder, kind.replace(":", ""), key=kind)
        daemon = harness.Daemon(certificate=certificate, certificate_key=key)
        for version in VERSIONS:
            context = context_of(version)
            measure(daemon, "handshake %s %s" % (kind, version.name), options.handshakes, lambda: handshake(daemon, context))
        context = context_of(VERSIONS[1])
        measure(daemon, "session %s" % kind, options.sessions, lambda: login(daemon, user, context))
        problems += daemon.stop()
    print("problems", problems)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())

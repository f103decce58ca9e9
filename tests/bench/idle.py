#!/usr/bin/python3
"""Many connections that are silent after their TLS handshake: memory of the workers for each, and how
long a login takes on the side.  Limits are raised for it; the settings are printed."""

import resource
import socket
import sys
import time

import bench

options, harness = bench.setup(__doc__, connections=5000)


def main():
    import client
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    settings = {"max_connections": options.connections + 100, "max_connections_per_address": options.connections + 100,
                "max_connections_before_login": options.connections + 100,
                "login_timeout": 900, "handshake_timeout": 120, "worker_connections": 4096}
    print("settings", settings, "descriptors", hard)
    user = harness.User()
    user.maildir.make()
    user.maildir.fill(bench.letters(20))
    daemon = harness.Daemon(**settings)
    workers = daemon.role("pop3d-login")
    before = {pid: bench.pss(pid) for pid in workers}
    context, silent = client.tls_context(), []
    begun = time.monotonic()
    for _ in range(options.connections):
        s = context.wrap_socket(socket.create_connection(("127.0.0.1", daemon.port(harness.TLS))), server_hostname="localhost")
        assert s.recv(100).startswith(b"+OK ")
        silent.append(s)
    print("opened %d in %.1f s" % (len(silent), time.monotonic() - begun))
    grown = sum(bench.pss(pid) - before[pid] for pid in workers)
    print("workers' PSS: %d KiB before, %d KiB more now: %.1f KiB a connection"
          % (sum(before.values()), grown, grown / len(silent)))
    print("descriptors of master: %d" % bench.descriptors(daemon.pid))
    for kind in (harness.PLAIN, harness.TLS):
        begun = time.monotonic()
        c = client.Client(daemon, kind)
        c.ok(b"USER " + user.name_octets)
        c.ok(b"PASS " + user.password_octets)
        c.ok(b"QUIT")
        print("login on the side, %s: %.1f ms" % (kind, (time.monotonic() - begun) * 1000))
    for s in silent:
        s.close()
    time.sleep(2)
    print("after they left", bench.figures(daemon))
    print("problems", daemon.stop())


if __name__ == "__main__":
    sys.exit(main())

"""A TLS client that does what Python's ssl cannot: OpenSSL through ctypes, with its octets in memory."""

import ctypes
import ctypes.util
import socket

NAMES = ("libssl.so.3", "libcrypto.so.3")


def libraries():
    """(libssl, libcrypto), or None."""
    try:
        ssl, crypto = (ctypes.CDLL(name) for name in NAMES)
    except OSError:
        return None
    for library, names in ((ssl, ("TLS_client_method", "SSL_CTX_new", "SSL_new")), (crypto, ("BIO_s_mem", "BIO_new"))):
        for name in names:
            getattr(library, name).restype = ctypes.c_void_p
    return ssl, crypto


class RawTls:
    PENDING = 10  # BIO_CTRL_PENDING

    def __init__(self, address, timeout=30):
        self.ssl, self.crypto = libraries()
        self.sock = socket.create_connection(address, timeout)
        ctx = ctypes.c_void_p(self.ssl.SSL_CTX_new(ctypes.c_void_p(self.ssl.TLS_client_method())))
        self.s = ctypes.c_void_p(self.ssl.SSL_new(ctx))
        self.ssl.SSL_CTX_free(ctx)
        self.rbio, self.wbio = (ctypes.c_void_p(self.crypto.BIO_new(ctypes.c_void_p(self.crypto.BIO_s_mem()))) for _ in range(2))
        self.ssl.SSL_set_bio(self.s, self.rbio, self.wbio)
        self.ssl.SSL_set_connect_state(self.s)
        while self.ssl.SSL_do_handshake(self.s) != 1:
            self._exchange()
        self.sock.sendall(self.written())

    def _exchange(self):
        self.sock.sendall(self.written())
        octets = self.sock.recv(65536)
        if not octets:
            raise EOFError
        self.crypto.BIO_write(self.rbio, octets, len(octets))

    def written(self):
        """What is to be sent."""
        size = self.crypto.BIO_ctrl(self.wbio, self.PENDING, 0, None)
        out = ctypes.create_string_buffer(max(1, size))
        return out.raw[:size] if size == 0 or self.crypto.BIO_read(self.wbio, out, size) == size else b""

    def command(self, line):
        """The first line that comes back; None of line: the greeting."""
        if line is not None:
            self.ssl.SSL_write(self.s, line + b"\r\n", len(line) + 2)
            self.sock.sendall(self.written())
        out, got = ctypes.create_string_buffer(4096), b""
        while b"\n" not in got:
            size = self.ssl.SSL_read(self.s, out, 4096)
            if size > 0:
                got += out.raw[:size]
            else:
                self._exchange()
        return got.split(b"\r\n")[0]

    def key_updates(self, count):
        """So many KeyUpdate records (RFC 8446, 4.6.3) that ask for no answer."""
        update, handshake = self.ssl.SSL_key_update, self.ssl.SSL_do_handshake
        for _ in range(count):
            update(self.s, 0)
            handshake(self.s)
        return self.written()

    def close(self):
        self.sock.close()
        if self.s:
            self.ssl.SSL_free(self.s)
        self.s = None

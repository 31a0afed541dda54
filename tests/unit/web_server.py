#!/usr/bin/python3
"""web_server.py [CERTIFICATE KEY] - a web server on all addresses of loopback, with TLS if there is
a certificate. Says its port on standard output and ends with its standard input. Some of its pages
are what no honest server sends."""
import http.server
import socket
import ssl
import os
import sys
import threading
import time
import urllib.parse


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def page(self, body, status=200, headers=()):
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def raw(self, *pieces, pause=0.0):
        self.close_connection = True
        try:
            for piece in pieces:
                self.wfile.write(piece)
                time.sleep(pause)
        except OSError:
            pass

    def forever(self, head, piece, pause=0.0):
        self.raw(head)
        try:
            while True:
                self.wfile.write(piece)
                time.sleep(pause)
        except OSError:
            pass

    def do_GET(self):
        url = urllib.parse.urlsplit(self.path)
        query = urllib.parse.unquote(url.query)
        head = b"HTTP/1.1 200 OK\r\n"
        pages = {
            "/lines": lambda: self.page(b"one\r\ntwo\n\nfour", headers=[("X-Test", "a"), ("X-Test", "b")]),
            "/empty": lambda: self.page(b""),
            "/echo": lambda: self.page(str(self.headers).encode()),
            "/binary": lambda: self.page(bytes(range(256))),
            "/to": lambda: self.page(b"moved", 302, [("Location", query)]),
            "/loop": lambda: self.page(b"", 301, [("Location", "/loop")]),
            "/large": lambda: self.page(b"x" * 5000),
            "/newlines": lambda: self.page(b"\n" * 150000),
            "/nolength": lambda: self.raw(head + b"\r\nto the end"),
            "/short": lambda: self.raw(head + b"Content-Length: 100\r\n\r\nonly this"),
            "/chunked": lambda: self.raw(
                head + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\nX-Trailer: t\r\n\r\n"),
            "/continue": lambda: self.raw(
                b"HTTP/1.1 103 Early Hints\r\nX-Early: 1\r\n\r\n" + head + b"X-Late: 1\r\nContent-Length: 2\r\n\r\nok"),
            "/endless": lambda: self.forever(head + b"\r\n", b"y" * 65536),
            "/drip": lambda: self.forever(head + b"Content-Length: 1000000\r\n\r\n", b"z", 0.05),
            "/dripheader": lambda: self.forever(head + b"X-Drip: ", b"z", 0.05),
            "/hugeline": lambda: self.forever(head + b"X-Huge: ", b"h" * 65536),
            "/manylines": lambda: self.forever(head, b"X-Many: h\r\n" * 1000),
            "/nonsense": lambda: self.raw(bytes(range(256)) * 20),
            "/silent": lambda: time.sleep(60),
            "/negative": lambda: self.raw(head + b"Content-Length: -5\r\n\r\nabc"),
        }
        pages.get(url.path, lambda: self.page(b"not here\n", 404))()

    def log_message(self, format, *args):
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        pass

    def get_request(self):
        connection, address = super().get_request()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection, address


def main():
    server = Server(("127.0.0.1", 0) if len(sys.argv) > 1 else ("0.0.0.0", 0), Handler)
    if len(sys.argv) > 1:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(sys.argv[1], sys.argv[2])
        server.socket = context.wrap_socket(server.socket, server_side=True,
                                            do_handshake_on_connect=False)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    os.write(1, b"%d\n" % server.server_port)   # in one piece: the reader closes the pipe after it
    sys.stdin.read()


main()

"""An SMTP client for tests. It does what it is told, also what is wrong, keeps the dialogue
verbatim, and refuses replies that break the protocol."""

import base64
import re
import socket
import ssl
import struct

LINE_MAX = 4096   # RFC 5321 allows 512; a server that never ends a line is cut off here


class ConnectionClosed(AssertionError):
    """The server closed the connection where a reply was expected."""


class Reply:
    """One SMTP reply, of one line or several."""

    def __init__(self, raw):
        self.raw = raw    # bytes as they came, with all line ends
        self.lines = []   # the text of each line, without code and separator
        rows = raw.split(b"\r\n")
        if rows.pop() != b"" or not rows or b"\n" in b"".join(rows):
            raise AssertionError(f"reply with a bare or missing line end: {raw!r}")
        for n, row in enumerate(rows, 1):
            match = re.fullmatch(rb"([2-5]\d\d)(?:([ -])(.*))?", row, re.S)
            if not match or (match[2] == b"-") != (n < len(rows)) or row[:3] != rows[0][:3]:
                raise AssertionError(f"broken reply: {raw!r}")
            self.lines.append((match[3] or b"").decode("utf-8", "surrogateescape"))
        self.code = int(rows[0][:3])

    @property
    def text(self):
        return "\n".join(self.lines)

    @property
    def enhanced(self):
        """The enhanced status code of the first line ("5.7.1"), or ""."""
        match = re.match(r"([245]\.\d{1,3}\.\d{1,3})(?: |$)", self.lines[0])
        return match[1] if match else ""

    @property
    def ok(self):
        return 200 <= self.code < 400

    def __str__(self):
        return self.raw.decode("utf-8", "replace").rstrip("\r\n").replace("\r\n", "\n")

    def __repr__(self):
        return f"<Reply {str(self)!r}>"


def crlf(message):
    """A message as bytes with CRLF line ends, from a str or bytes with any."""
    if isinstance(message, str):
        message = message.encode("utf-8", "surrogateescape")
    return re.sub(rb"\r?\n", b"\r\n", message)


def dot_stuff(message):
    """What follows DATA on the wire for a message that must end in CRLF. Only CRLF ends a line."""
    return re.sub(rb"(\A|\r\n)\.", rb"\1..", message) + b".\r\n"


class Client:
    """One connection. Commands are str or bytes without line end; every method that sends a
    command returns its Reply. Leaving a `with` block without an error says QUIT."""

    def __init__(self, host, port, *, source=None, timeout=45, greet=True):
        self.dialogue = []   # (b"C" or b"S", bytes) in order, verbatim
        self.closed = False
        self.tls = None      # protocol version once STARTTLS was done
        self.buffer = b""
        self.socket = socket.create_connection(
            (host, port), timeout, source_address=(source, 0) if source else None)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.port = self.socket.getsockname()[1]
        self.banner = self.reply() if greet else None

    # the wire

    def send_raw(self, data):
        """Sends bytes as they are and waits for nothing."""
        self.dialogue.append((b"C", data))
        self.socket.sendall(data)

    def reply(self):
        """Reads one reply."""
        raw = b""
        while True:
            line = self.read_line()
            if not line:
                raise ConnectionClosed("server closed the connection\n" + self.transcript())
            raw += line
            if line[3:4] != b"-":
                return Reply(raw)

    def read_line(self):
        while b"\n" not in self.buffer:
            try:
                chunk = self.socket.recv(65536)
            except ConnectionError:
                chunk = b""
            except TimeoutError:
                raise AssertionError("no reply in time\n" + self.transcript()) from None
            self.buffer += chunk
            if not chunk or len(self.buffer) > LINE_MAX and b"\n" not in self.buffer:
                line, self.buffer = self.buffer, b""
                break
        else:
            line, rest = self.buffer.split(b"\n", 1)
            line, self.buffer = line + b"\n", rest
        if line:
            self.dialogue.append((b"S", line))
        return line

    def command(self, line):
        self.send_raw(as_bytes(line) + b"\r\n")
        return self.reply()

    def pipeline(self, *lines):
        """Sends all commands in one write; returns one reply for each."""
        self.send_raw(b"".join(as_bytes(line) + b"\r\n" for line in lines))
        return [self.reply() for _ in lines]

    def server_closed(self):
        """Whether the server ends the connection now, without another reply."""
        try:
            return self.read_line() == b""
        except AssertionError:
            return False

    # the protocol

    def ehlo(self, name="client.test"):
        return self.command(f"EHLO {name}")

    def helo(self, name="client.test"):
        return self.command(f"HELO {name}")

    def mail(self, sender, *parameters):
        return self.command(" ".join([f"MAIL FROM:<{sender}>", *parameters]))

    def rcpt(self, recipient, *parameters):
        return self.command(" ".join([f"RCPT TO:<{recipient}>", *parameters]))

    def data(self, message):
        """DATA and the message, dot-stuffed and otherwise as it is. A message that does not end
        in CRLF gets one. Returns the reply to the final dot, or to DATA when that was refused."""
        go = self.command("DATA")
        if go.code != 354:
            return go
        message = as_bytes(message)
        if not message.endswith(b"\r\n"):
            message += b"\r\n"
        self.send_raw(dot_stuff(message))
        return self.reply()

    def bdat(self, chunk, last=True):
        self.send_raw(b"BDAT %d%s\r\n" % (len(chunk), b" LAST" if last else b"") + chunk)
        return self.reply()

    def starttls(self):
        go = self.command("STARTTLS")
        if go.code == 220:
            self.wrap_tls()
        return go

    def wrap_tls(self):
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        self.socket = context.wrap_socket(self.socket)
        self.tls = self.socket.version()
        self.buffer = b""

    def auth_plain(self, user, password):
        secret = base64.b64encode(f"\0{user}\0{password}".encode()).decode()
        return self.command(f"AUTH PLAIN {secret}")

    def envelope(self, sender, recipients):
        """MAIL and each RCPT; returns the first refusal, else the last reply."""
        reply = self.mail(sender)
        for recipient in [recipients] if isinstance(recipients, str) else recipients:
            if not reply.ok:
                break
            reply = self.rcpt(recipient)
        return reply

    def send(self, sender, recipients, message):
        """A whole transaction; returns the first refusal, else the reply to the final dot. A str
        message gets CRLF line ends, bytes go out as they are."""
        reply = self.envelope(sender, recipients)
        if not reply.ok:
            return reply
        return self.data(crlf(message) if isinstance(message, str) else message)

    def rset(self):
        return self.command("RSET")

    def quit(self):
        reply = self.command("QUIT")
        self.close()
        return reply

    # the end

    def close(self):
        if not self.closed:
            self.closed = True
            self.socket.close()

    def drop(self, reset=False):
        """Ends the connection without QUIT; reset: with RST, as a client that crashed."""
        if reset:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        if kind is None and not self.closed:
            try:
                self.socket.sendall(b"QUIT\r\n")
                self.socket.settimeout(5)
                self.read_line()
            except (OSError, AssertionError):
                pass
        self.close()

    def transcript(self, limit=1000):
        """The dialogue for people; long pieces are cut."""
        out = []
        for who, data in self.dialogue:
            text = data[:limit].decode("utf-8", "backslashreplace").rstrip("\r\n")
            if len(data) > limit:
                text += f" ... ({len(data)} bytes)"
            out += [f"{who.decode()}: {row.rstrip()}" for row in text.split("\n")]
        return "\n".join(out)


def as_bytes(text):
    return text if isinstance(text, bytes) else text.encode("utf-8", "surrogateescape")

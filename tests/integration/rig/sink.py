"""The mail servers of the world: accepts SMTP on any address and keeps every message as it came.

Runs in one background thread. Replies can be scripted at each stage, so that a test can play a host
that refuses, is slow, hangs or drops; what every client said and heard is recorded.

    sink.answer("RCPT", "450 4.2.1 later", host="127.0.0.11", contains="bob@", times=1)
    sink.answer("MAIL", "451-4.3.0 one\n451 4.3.0 two")   several lines
    sink.answer("CONNECT", "421 4.7.0 too busy")          instead of the banner; then the end
    sink.answer(".", sink.DROP, contains="Subject: x")    after the message has been read
    sink.answer("DATA", sink.HANG)                        until sink.release()
    sink.answer("EHLO", "250 sink.test", after=0.5)       slow: seconds before the reply
    sink.answer("STARTTLS", sink.BREAK)                   "220 go", then no handshake
    sink.forgive(host="127.0.0.11")                       its rules go: the host is well again

The newest rule that fits is used; verbs are CONNECT EHLO HELO STARTTLS AUTH MAIL RCPT DATA . RSET
NOOP QUIT. A 421 ends the connection, as RFC 5321 has it.

    sink.listen("127.0.0.31", certificate=(file, key))    one more host, with STARTTLS
    sink.offer("127.0.0.31", "SIZE", "DSN")               its EHLO keywords, instead of all
    sink.unlisten("127.0.0.31")                           connection refused from now on
    sink.wait(3, host="127.0.0.12", recipient="a@b")      Delivery objects
    sink.dialogues_with("127.0.0.11")[0].said             what one client said, in order
    sink.dialogues_with("127.0.0.11")[0].heard            ... and what it was answered

With the fixture `sink` a test gets one that listens on the MX hosts of rig/dns.py, empty."""

import asyncio
import dataclasses
import email
import email.policy
import re
import ssl
import threading
import time

MESSAGE_MAX = 256 * 1024 * 1024

DROP = object()   # scripted reply: close the connection
HANG = object()   # scripted reply: never answer
BREAK = object()  # scripted reply to STARTTLS: say yes, then bytes that are no handshake


@dataclasses.dataclass
class Delivery:
    """One message as a mail server handed it over."""
    host: str          # address the message was delivered to
    port: int
    helo: str          # name the sending server gave
    mail_line: str     # verbatim, with parameters
    rcpt_lines: list   # verbatim, accepted ones only
    data: bytes        # the message, dot-stuffing undone, CRLF line ends as they came
    tls: str = None    # protocol version
    time: float = 0.0  # monotonic

    @property
    def sender(self):
        return address_of(self.mail_line)

    @property
    def recipients(self):
        return [address_of(line) for line in self.rcpt_lines]

    @property
    def mail_parameters(self):
        return parameters_of(self.mail_line)

    @property
    def head(self):
        """The header section, with the line end of its last line."""
        return self.data.partition(b"\r\n\r\n")[0] + b"\r\n"

    @property
    def body(self):
        return self.data.partition(b"\r\n\r\n")[2]

    @property
    def fields(self):
        """The header fields in order, as (name, raw value): what stands between the colon and the
        last line end, folding untouched."""
        raw = re.findall(rb"([^\r\n]+(?:\r\n[ \t][^\r\n]*)*)\r\n", self.head)
        pairs = [field.partition(b":") for field in raw]
        return [(name.decode("utf-8", "replace"), value.decode("utf-8", "surrogateescape"))
                for name, _, value in pairs]

    def header(self, name):
        """All values of a header field, without the blank after the colon."""
        return [value.strip(" ") for n, value in self.fields if n.lower() == name.lower()]

    @property
    def message(self):
        """The message as Python's email package reads it."""
        return email.message_from_bytes(self.data, policy=email.policy.default)

    def without_trace(self):
        """The message without the Received fields at its top, which every server adds."""
        return re.sub(rb"\A(?:Received:[^\r\n]*\r\n(?:[ \t][^\r\n]*\r\n)*)+", b"", self.data)


@dataclasses.dataclass
class Dialogue:
    """One connection: what the client said and what it was answered."""
    host: str             # address of the sink
    port: int
    client: str           # address of the client
    said: list = dataclasses.field(default_factory=list)    # command lines; not the message
    heard: list = dataclasses.field(default_factory=list)   # whole replies, the banner first
    tls: str = None       # protocol version
    ended: bool = False


@dataclasses.dataclass
class Rule:
    verb: str        # CONNECT EHLO HELO MAIL RCPT DATA . RSET QUIT STARTTLS AUTH
    reply: object    # text without the last line end, DROP, HANG or BREAK
    host: str        # address of the sink, or None
    contains: str    # what the command line (for ".": the message) holds, or None
    left: float      # how many times it still applies
    after: float     # seconds before the reply


def address_of(line):
    match = re.search(r"<([^>]*)>", line)
    return match[1] if match else ""


def parameters_of(line):
    return line.partition(">")[2].split()


class Sink:
    """Listens where it is told; see Delivery for what it keeps."""

    DROP, HANG, BREAK = DROP, HANG, BREAK
    OFFERS = ("PIPELINING", "SIZE", "8BITMIME", "DSN", "ENHANCEDSTATUSCODES", "SMTPUTF8",
              "AUTH PLAIN LOGIN")

    def __init__(self):
        self.loop = asyncio.new_event_loop()
        self.arrived = threading.Condition()
        self.kept = []
        self.commands = []   # (host, line) of every command, for tests of the dialogue
        self.dialogues = []
        self.offers = {}     # EHLO keywords by host
        self.rules = []
        self.listening = {}
        self.hanging = []    # futures of sessions that a script keeps waiting
        self.tls = {}
        self.thread = threading.Thread(target=self.loop.run_forever, name="sink", daemon=True)
        self.thread.start()

    # for tests

    def listen(self, host, port=25, certificate=None):
        """Starts a server at an address. certificate: (file, key file), offers STARTTLS."""
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            self.tls[host] = context
        self.listening[host, port] = self.in_loop(asyncio.start_server(
            self.serve, host, port, limit=MESSAGE_MAX, backlog=500))

    def unlisten(self, host, port=25):
        async def end(server):
            server.close()
            await server.wait_closed()
        self.in_loop(end(self.listening.pop((host, port))))
        self.tls.pop(host, None)

    def answer(self, verb, reply, *, host=None, contains=None, times=float("inf"), after=0):
        """Scripts a reply; the newest rule that fits is used."""
        self.rules.insert(0, Rule(verb, reply, host, contains, times, after))

    def forgive(self, host=None):
        """Forgets the rules of one host; without it, all rules."""
        self.rules = [rule for rule in self.rules if host is not None and rule.host != host]

    def offer(self, host, *keywords):
        """What a host says to EHLO, until forget(). STARTTLS comes by itself with a certificate."""
        self.offers[host] = keywords

    def dialogues_with(self, host=None):
        """The connections so far, oldest first; to one host, or all of them."""
        with self.arrived:
            return [d for d in self.dialogues if host in (None, d.host)]

    def deliveries(self, **wanted):
        """Messages so far whose attributes are as wanted: deliveries(helo="mail.test",
        recipient="a@one.test")."""
        recipient = wanted.pop("recipient", None)
        with self.arrived:
            return [d for d in self.kept
                    if (recipient is None or recipient in d.recipients)
                    and all(getattr(d, name) == value for name, value in wanted.items())]

    def wait(self, count=1, timeout=20, **wanted):
        """Waits until count messages are there; returns all that fit."""
        end = time.monotonic() + timeout
        while True:
            found = self.deliveries(**wanted)
            if len(found) >= count:
                return found
            with self.arrived:
                if not self.arrived.wait(max(0, min(0.2, end - time.monotonic()))) \
                        and time.monotonic() >= end:
                    raise AssertionError(
                        f"{len(found)} of {count} messages arrived in {timeout} s ({wanted}); "
                        f"at the sink: {[(d.sender, d.recipients) for d in self.kept]}")

    def forget(self):
        """Forgets messages, commands, dialogues, rules and offers."""
        with self.arrived:
            self.kept.clear()
            self.commands.clear()
            self.dialogues.clear()
            self.offers.clear()
            self.rules.clear()

    def release(self):
        """Drops the connections that a script keeps waiting."""
        async def wake():
            for future in self.hanging:
                if not future.done():
                    future.set_result(None)
            self.hanging.clear()
        self.in_loop(wake())

    def stop(self):
        for host, port in list(self.listening):
            self.unlisten(host, port)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(5)

    def in_loop(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(10)

    # the server, inside the thread

    async def serve(self, reader, writer):
        host, port = writer.get_extra_info("sockname")[:2]
        dialogue = Dialogue(host, port, writer.get_extra_info("peername")[0])
        with self.arrived:
            self.dialogues.append(dialogue)
        try:
            await Session(self, dialogue, reader, writer).run()
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            dialogue.ended = True
            writer.close()

    def scripted(self, host, verb, line):
        for rule in self.rules:
            if rule.verb == verb and rule.host in (None, host) and rule.left > 0 \
                    and (rule.contains is None or rule.contains in line):
                rule.left -= 1
                return rule
        return None

    def keep(self, delivery):
        with self.arrived:
            self.kept.append(delivery)
            self.arrived.notify_all()


class Dropped(OSError):
    pass


class Session:
    """One connection to the sink."""

    def __init__(self, sink, dialogue, reader, writer):
        self.sink, self.dialogue = sink, dialogue
        self.host, self.port = dialogue.host, dialogue.port
        self.reader, self.writer = reader, writer
        self.helo, self.secure = "", None
        self.mail_line, self.rcpt_lines = None, []

    async def say(self, verb, line, default, on_yes=None):
        """Answers with the scripted reply or the default; returns whether it was a yes. on_yes is
        called before a yes goes out: what the peer knows to be done is done."""
        rule = self.sink.scripted(self.host, verb, line)
        reply = rule.reply if rule else default
        if rule and rule.after:
            await asyncio.sleep(rule.after)
        if reply is HANG:
            self.sink.hanging.append(self.sink.loop.create_future())
            await self.sink.hanging[-1]
        if reply in (DROP, HANG):
            raise Dropped()
        broken = reply is BREAK
        if broken:
            reply = default
        if on_yes and reply[0] in "23":
            on_yes()
        self.dialogue.heard.append(reply)
        self.writer.write(reply.replace("\n", "\r\n").encode() + b"\r\n")
        await self.writer.drain()
        if broken:
            self.writer.write(b"no handshake\r\n")
        if broken or reply.startswith("421"):
            raise Dropped()
        return reply[0] in "23"

    async def run(self):
        await self.say("CONNECT", "", "220 sink.test ESMTP")
        while True:
            raw = await self.reader.readline()
            if not raw:
                return
            line = raw.decode("utf-8", "replace").rstrip("\r\n")
            verb = line.split(" ")[0].split(":")[0].upper()
            with self.sink.arrived:
                self.sink.commands.append((self.host, line))
                self.dialogue.said.append(line)
            handler = getattr(self, "on_" + verb.lower(), None)
            if handler is None:
                await self.say(verb, line, "502 5.5.1 not known here")
            elif await handler(line) == "end":
                return

    async def on_ehlo(self, line):
        self.helo = line[5:]
        offers = ["sink.test", *self.sink.offers.get(self.host, self.sink.OFFERS)]
        if self.host in self.sink.tls and not self.secure:
            offers.append("STARTTLS")
        await self.say("EHLO", line, "\n".join(
            f"250{'-' if n < len(offers) else ' '}{offer}" for n, offer in enumerate(offers, 1)))

    async def on_helo(self, line):
        self.helo = line[5:]
        await self.say("HELO", line, "250 sink.test")

    async def on_starttls(self, line):
        if self.host not in self.sink.tls:
            await self.say("STARTTLS", line, "502 5.5.1 not known here")
        elif await self.say("STARTTLS", line, "220 2.0.0 go"):
            await self.writer.start_tls(self.sink.tls[self.host])
            self.secure = self.writer.get_extra_info("ssl_object").version()
            self.dialogue.tls = self.secure

    async def on_auth(self, line):
        await self.say("AUTH", line, "235 2.7.0 ok")

    async def on_mail(self, line):
        if await self.say("MAIL", line, "250 2.1.0 ok"):
            self.mail_line, self.rcpt_lines = line, []

    async def on_rcpt(self, line):
        if self.mail_line is None:   # its MAIL was refused, in a pipeline
            await self.say("RCPT", line, "503 5.5.1 no sender")
        elif await self.say("RCPT", line, "250 2.1.5 ok"):
            self.rcpt_lines.append(line)

    async def on_data(self, line):
        if not self.rcpt_lines:
            await self.say("DATA", line, "554 5.5.1 no recipients")
            return
        if not await self.say("DATA", line, "354 go"):
            return
        data = bytearray(b"\r\n")   # only CRLF . CRLF ends a message
        while not data.endswith(b"\r\n.\r\n"):
            data += await self.reader.readuntil(b".\r\n")
        data = bytes(data[:-3]).replace(b"\r\n.", b"\r\n")[2:]
        delivery = Delivery(self.host, self.port, self.helo, self.mail_line, self.rcpt_lines, data,
                            self.secure, time.monotonic())
        self.mail_line, self.rcpt_lines = None, []
        await self.say(".", data.decode("utf-8", "replace"), "250 2.0.0 kept",
                       lambda: self.sink.keep(delivery))

    async def on_rset(self, line):
        self.mail_line, self.rcpt_lines = None, []
        await self.say("RSET", line, "250 2.0.0 ok")

    async def on_noop(self, line):
        await self.say("NOOP", line, "250 2.0.0 ok")

    async def on_quit(self, line):
        await self.say("QUIT", line, "221 2.0.0 bye")
        return "end"

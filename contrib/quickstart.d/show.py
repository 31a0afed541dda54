#!/usr/bin/python3
"""show.py - the client side of contrib/quickstart.

  show.py free-port              prints a port of 127.0.0.1 that nobody uses
  show.py mail PORT DIRECTORY    sends mail to the server at PORT and prints, side by side, what the
                                 client saw and what the hooks said (LUA.OUT in DIRECTORY/state);
                                 then the message as it came into the mailbox DIRECTORY/mail/box

Exit status 1 when anything is not as it should be."""

import itertools
import os
import pathlib
import smtplib
import socket
import sys
import textwrap
import time

WIDTH, LEFT = 100, 52          # columns of the page, of what the client saw
PATIENCE = 20                  # seconds for a reply, and for a message to arrive
SERVER = "quick.test"


class Unexpected(Exception):
    """Something is not as it should be; the text says what."""


class Page:
    """Writes to standard output; colours on a terminal only."""

    STYLES = {"title": "1", "good": "32", "bad": "31", "hook": "1;36", "faint": "2"}

    def __init__(self):
        self.coloured = (sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb"
                         and not os.environ.get("NO_COLOR"))

    def style(self, text, style):
        if not self.coloured or style is None:
            return text
        return f"\033[{self.STYLES[style]}m{text}\033[0m"

    def title(self, text):
        print("\n" + self.style(f"---- {text} ".ljust(WIDTH, "-"), "title"))

    def row(self, left, right):
        """Two columns of (text, style) entries; a long text goes on in the next line."""
        for (l, l_style), (r, r_style) in itertools.zip_longest(
                wrap(left, LEFT), wrap(right, WIDTH - LEFT - 2), fillvalue=("", None)):
            gap = " " * (LEFT + 2 - len(l)) if r else ""
            print(self.style(l, l_style) + gap + self.style(r, r_style))


def wrap(entries, width):
    return [(line, style) for text, style in entries
            for line in textwrap.wrap(text, width, subsequent_indent="     ",
                                      break_on_hyphens=False)]


class Hooks:
    """What the hooks printed: LUA.OUT, which is written before the client gets its reply."""

    def __init__(self, directory):
        self.file = pathlib.Path(directory) / "state/LUA.OUT"
        self.position = 0

    def said(self):
        """The lines since the last call, each "hook: text"."""
        if not self.file.exists():
            return []
        with open(self.file, encoding="utf-8", errors="replace") as f:
            f.seek(self.position)
            text = f.read()
            self.position = f.tell()
        return [line.replace("\t", ": ", 1) for line in text.splitlines()]


class Dialogue:
    """An SMTP session that is shown as it goes."""

    def __init__(self, page, hooks, port):
        self.page, self.hooks = page, hooks
        page.row([("what the client saw", "faint")], [("which hook did it, in its own words", "faint")])
        self.client = smtplib.SMTP(timeout=PATIENCE)
        self.show([], self.client.connect("127.0.0.1", port), 220)

    def show(self, sent, reply, expected):
        code, text = reply
        lines = text.decode("utf-8", "replace").split("\n")
        more = f"   ({len(lines) - 1} more lines)" if len(lines) > 1 else ""
        self.page.row(
            [(f"C: {line}", None) for line in sent]
            + [(f"S: {code} {lines[0]}{more}", "good" if code < 400 else "bad")],
            [(line, "hook") for line in self.hooks.said()])
        if code != expected:
            raise Unexpected(f"the server should have said {expected}")

    def say(self, command, expected):
        self.show([command], self.client.docmd(command), expected)

    def message(self, message, expected):
        """Sends what follows DATA; no line of it begins with a dot."""
        self.client.send(message.replace("\n", "\r\n") + ".\r\n")
        self.show([*message.splitlines(), "."], self.client.getreply(), expected)

    def quit(self):
        self.say("QUIT", 221)
        self.client.close()

    def closed(self):
        """The server has ended the session."""
        try:
            self.client.getreply()
        except smtplib.SMTPServerDisconnected:
            self.page.row([("(the server closes the connection)", "faint")], [])
            return
        raise Unexpected("the server should have closed the connection")


# ---- what is shown ----

MESSAGE = """\
From: Ann <ann@partner.example>
To: Bob <bob@quick.test>
Subject: the figures of May
Date: Sat, 21 Nov 2026 10:00:00 +0000
Message-ID: <may@partner.example>

All is well.
"""
TRACE = ("Return-Path", "X-Original-To", "Delivered-To", "Received")   # Postfix's own fields


def show_changed(page, hooks, port, directory):
    page.title("a message is accepted, and changed")
    d = Dialogue(page, hooks, port)
    d.say("EHLO mail.partner.example", 250)
    d.say("MAIL FROM:<ann@partner.example>", 250)
    d.say("RCPT TO:<bob@quick.test>", 250)
    d.say("DATA", 354)
    d.message(MESSAGE, 250)
    d.quit()
    page.title("the same message in the mailbox of bob@quick.test, and who wrote each line")
    show_delivered(page, arrived(directory))


def arrived(directory):
    """The one message in the mailbox, once it is there."""
    box = pathlib.Path(directory) / "mail/box/new"
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        files = list(box.glob("*"))
        if files:
            return files[0].read_text(encoding="utf-8")
        time.sleep(0.05)
    raise Unexpected("the message should have been delivered")


def show_delivered(page, message):
    sent = MESSAGE.splitlines()
    writer = None
    by_hooks = []
    for line in message.splitlines():
        if not line.startswith(("\t", " ")):   # else it continues the field before
            writer = ("client" if line in sent else
                      "Postfix" if line.partition(":")[0] in TRACE else "hook")
        if writer == "hook":
            by_hooks.append(line)
        style = {"client": None, "Postfix": "faint", "hook": "hook"}[writer]
        print(page.style(f"{writer:>9}  {line.expandtabs(4)}".rstrip(), style))
    expected = ["Subject: [partner] the figures of May", "X-Seen-By: mailhooks"]
    if sorted(by_hooks) != expected:
        raise Unexpected(f"the hooks should have written {expected}")


def show_refused_recipient(page, hooks, port):
    page.title("a recipient is refused, with the text of the script")
    d = Dialogue(page, hooks, port)
    d.say("EHLO mail.partner.example", 250)
    d.say("MAIL FROM:<ann@partner.example>", 250)
    d.say("RCPT TO:<former@quick.test>", 550)
    d.quit()


def show_refused_client(page, hooks, port):
    page.title("a client is sent away")
    d = Dialogue(page, hooks, port)
    d.say("EHLO spammer.example", 421)
    d.closed()


# ---- commands ----

def show_mail(port, directory):
    page, hooks = Page(), Hooks(directory)
    show_changed(page, hooks, int(port), directory)
    show_refused_recipient(page, hooks, int(port))
    show_refused_client(page, hooks, int(port))


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        print(s.getsockname()[1])


def main(arguments):
    if arguments == ["free-port"]:
        free_port()
    elif len(arguments) == 3 and arguments[0] == "mail":
        show_mail(*arguments[1:])
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except (Unexpected, OSError, smtplib.SMTPException) as e:
        sys.stdout.flush()
        print(f"\nquickstart: {e}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)

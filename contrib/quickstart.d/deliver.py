#!/usr/bin/python3
"""deliver.py - what mailhooks-policy does for deliveries, as contrib/quickstart shows it.

  deliver.py PORT HOST_PORT CLI...   sends mail for big.example to the server at PORT,
                                     plays the two mail servers of that domain, and prints
                                     what happens, as it happens

CLI is the command "mailhooks" with its configuration. Exit status 1 when anything is not as it
should be."""

import json
import smtplib
import socketserver
import subprocess
import sys
import threading
import time

from show import PATIENCE, WIDTH, Page, Unexpected

DOMAIN = "big.example"
HOSTS = {"mx1": "127.77.0.1", "mx2": "127.77.0.2"}   # mx1 is preferred; also in contrib/quickstart
LIMIT = 2        # refusals, as contrib/quickstart writes it into the script


class Session(socketserver.StreamRequestHandler):
    """A mail server of big.example: takes everything, or refuses everything for the moment."""

    timeout = PATIENCE

    def say(self, text):
        self.wfile.write(text.encode() + b"\r\n")

    def handle(self):
        self.say(f"220 {self.server.name}.{DOMAIN} ESMTP")
        for line in self.rfile:
            command = line.split(b" ")[0].strip().upper()
            if command == b"MAIL" and self.server.refuses:
                self.server.events.append((self.server.name, False))
                self.say("451 4.7.1 too many messages, slow down")
            elif command == b"DATA":
                self.say("354 go on")
                for data in self.rfile:
                    if data == b".\r\n":
                        break
                self.server.events.append((self.server.name, True))
                self.say("250 2.0.0 thank you")
            elif command == b"QUIT":
                self.say("221 2.0.0 bye")
                return
            else:
                self.say("250 fine")


class Host(socketserver.ThreadingTCPServer):
    allow_reuse_address = daemon_threads = True

    def __init__(self, name, port, events):
        super().__init__((HOSTS[name], port), Session)
        self.name, self.events, self.refuses = name, events, False
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05},
                         daemon=True).start()


class Scene:
    def __init__(self, port, host_port, cli):
        self.page, self.port, self.cli = Page(), port, cli
        self.events = []   # (server, taken) in the order of what happened
        self.hosts = {name: Host(name, host_port, self.events) for name in HOSTS}
        self.start = time.monotonic()
        self.sent = 0

    def tell(self, left, style, right=""):
        self.page.row([(f"{time.monotonic() - self.start:5.1f} s  {left}", style)],
                      [(right, "hook")] if right else [])

    def until(self, condition, what):
        end = time.monotonic() + PATIENCE
        while not condition():
            if time.monotonic() > end:
                raise Unexpected(what)
            time.sleep(0.05)

    def ask(self, *arguments):
        return subprocess.run([*self.cli, *arguments], stdout=subprocess.PIPE, check=True,
                              text=True).stdout

    def refusals(self):
        """What mailhooks-policy has learned from the log."""
        rows = map(json.loads, self.ask("attempts", "--json", "-n", "0").splitlines())
        return sum(row["result"].startswith("4") for row in rows)

    def held(self):
        return f"mx1.{DOMAIN}" in self.ask("holds")

    def send(self):
        """A message; the servers that Postfix went to, in order, with what they said."""
        self.events.clear()
        self.sent += 1
        with smtplib.SMTP("127.0.0.1", self.port, timeout=PATIENCE) as c:
            c.sendmail("bob@quick.test", f"user{self.sent}@{DOMAIN}", "Subject: news\r\n\r\nhi\r\n")
        self.until(lambda: any(taken for _, taken in self.events),
                   "the message should have been delivered")
        return list(self.events)

    def show(self, events, note=""):
        way = ", then ".join(f"{name} takes it" if taken else f"{name} says 451"
                             for name, taken in events)
        self.tell(f"message {self.sent}: {way}", "good" if len(events) == 1 else None, note)

    def expect(self, events, wanted, what):
        if events != wanted:
            raise Unexpected(f"{what}: it was {events}")


def show(scene):
    refused, second, first = [("mx1", False), ("mx2", True)], [("mx2", True)], [("mx1", True)]
    page = scene.page
    page.title(f"a mail server of {DOMAIN} refuses, and is left alone for a while")
    page.row([("what Postfix did", "faint")], [("what mailhooks-policy did", "faint")])
    scene.expect(scene.send(), first, "the first message should go to mx1")
    scene.show(first, "mx1 is preferred, nothing against it")
    scene.hosts["mx1"].refuses = True
    scene.tell("mx1 begins to refuse everything with 451", "bad")
    for count in range(1, LIMIT + 2):
        scene.expect(scene.send(), refused, "mx1 should have been tried, then mx2")
        scene.until(lambda: scene.refusals() >= count, "the log should have told of a refusal")
        scene.show(refused, f"learns from the log: {count} refused by mx1")
    scene.expect(scene.send(), second, "mx1 should be held")
    scene.show(second, f"CheckServer: more than {LIMIT} refusals: mx1 is held")
    for line in scene.ask("holds").splitlines():
        print(page.style(f"         mailhooks holds: {line}"[:WIDTH], "faint"))
    scene.hosts["mx1"].refuses = False
    scene.tell("mx1 is fine again; Postfix does not know", "good")
    scene.expect(scene.send(), second, "mx1 should still be held")
    scene.show(second, "mx1 is still held: mail goes round it")
    scene.until(lambda: not scene.held(), "the hold should have ended")
    scene.tell("the hold is over", None, "mx1 may be used again")
    scene.expect(scene.send(), first, "mx1 should be used again")
    scene.show(first, "mx1 is back")


def main(arguments):
    if len(arguments) < 3:
        sys.exit(__doc__)
    port, host_port, *cli = arguments
    show(Scene(int(port), int(host_port), cli))


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except (Unexpected, OSError, smtplib.SMTPException, subprocess.CalledProcessError) as e:
        sys.stdout.flush()
        print(f"\nquickstart: {e}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)

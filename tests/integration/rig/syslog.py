"""The receiver behind /dev/log: programs that log with syslog(3) are heard here."""

import os
import re
import socket
import threading
import time


class Syslog:
    """Keeps every line as sent, without the priority and the time; and writes it to a file as a
    syslog daemon does, if a test wants that (.file = path)."""

    def __init__(self, path="/dev/log"):
        self.lines = []
        self.file = None
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        if os.path.lexists(path):
            os.unlink(path)
        self.socket.bind(path)
        os.chmod(path, 0o666)
        threading.Thread(target=self.receive, name="syslog", daemon=True).start()

    def receive(self):
        while True:
            data = self.socket.recv(65536).rstrip(b"\0\n")
            text = data.decode("utf-8", "backslashreplace")
            line = re.sub(r"\A<\d+>(?:\w{3} [ \d]\d [\d:]{8} )?", "", text)
            self.lines.append(line)
            if self.file:
                with open(self.file, "a") as f:
                    f.write(f"{time.strftime('%b %e %H:%M:%S')} sm {line}\n")

    def text(self, tag, start=0):
        """Lines of the program that calls itself tag, from line number start on."""
        return "".join(line + "\n" for line in self.lines[start:]
                       if re.match(re.escape(tag) + r"[\[:]", line))

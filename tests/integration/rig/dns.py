"""A real name server (dnsmasq) on 127.0.0.1 port 53 with zones that a test can change.

It knows what the zone lines say and answers NXDOMAIN for the rest of the world."""

import os
import signal
import socket
import struct
import subprocess

from rig import machine

ADDRESS = "127.0.0.1"

# dnsmasq's own options: mx-host=NAME,TARGET,PREFERENCE; host-record=NAME,ADDRESS gives the PTR too
ZONES = """\
mx-host=one.test,mx1.one.test,10
mx-host=two.test,mx1.two.test,10
mx-host=example.com,mx1.example.com,10
mx-host=example.com,mx2.example.com,20
mx-host=null.test,.,0
host-record=mx1.one.test,127.0.0.21
host-record=mx1.two.test,127.0.0.22
host-record=mx1.example.com,127.0.0.11
host-record=mx2.example.com,127.0.0.12
host-record=refused.test,127.0.0.99
host-record=mail.sender.test,192.0.2.25
txt-record=example.com,v=spf1 -all
"""


class Dns:
    def __init__(self):
        self.directory = machine.new_directory("dns")
        self.extra = []
        self.process = None
        self.start()

    def start(self):
        config = self.directory / "zones.conf"
        config.write_text(ZONES + "".join(line + "\n" for line in self.extra))
        self.process = subprocess.Popen(
            ["dnsmasq", "--keep-in-foreground", f"--conf-file={config}", "--no-resolv",
             "--no-hosts", "--no-poll", "--user=root", "--bind-interfaces", f"--listen-address={ADDRESS}",
             "--local=/#/", "--local-ttl=0", "--neg-ttl=0", "--log-queries",
             f"--log-facility={self.directory}/log", f"--pid-file={self.directory}/pid"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        machine.wait_until(self.answers, 10, "the name server")

    def answers(self):
        """Whether a query is answered; a server that ended says why."""
        if self.process.poll() is not None:
            raise AssertionError("dnsmasq: " + self.process.stderr.read().decode())
        query = (struct.pack(">6H", 1, 0x100, 1, 0, 0, 0) + b"\3mx1\3one\4test\0"
                 + struct.pack(">2H", 1, 1))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.settimeout(0.2)
            try:
                s.connect((ADDRESS, 53))
                s.send(query)
                return len(s.recv(512)) > 12
            except OSError:
                return False

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(5)

    def add(self, *lines):
        """Adds zone lines for this test; see dnsmasq(8) for --host-record, --mx-host,
        --txt-record, --address and so on, without the dashes."""
        self.extra += lines
        self.stop()
        self.start()

    def block_list(self, zone, *addresses, answer="127.0.0.2", text=None):
        """Lists addresses in a DNS block list."""
        for address in addresses:
            name = reverse_name(address) + "." + zone
            self.extra.append(f"host-record={name},{answer}")
            if text:
                self.extra.append(f"txt-record={name},{text}")
        self.add()

    def queries(self):
        """The names asked for since the last forget(), as "type name"."""
        found = []
        for line in (self.directory / "log").read_text(errors="replace").splitlines():
            _, _, query = line.partition(": query[")
            if query:
                kind, _, rest = query.partition("] ")
                found.append(f"{kind} {rest.split(' ')[0]}")
        return found

    def forget(self):
        """Back to the zones above."""
        if self.extra:
            self.extra = []
            self.stop()
            self.start()
        os.truncate(self.directory / "log", 0)


def reverse_name(address):
    """The labels under which a block list keeps an address."""
    packed = socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)
    if len(packed) == 4:
        return ".".join(str(b) for b in reversed(packed))
    return ".".join(f"{b & 15:x}.{b >> 4:x}" for b in reversed(packed))


def name_in(query):
    """The name that a query asks for."""
    labels, at = [], 12
    while query[at]:
        labels.append(query[at + 1:at + 1 + query[at]].decode())
        at += 1 + query[at]
    return ".".join(labels)


class SilentDns:
    """A name server that takes every query and never answers; .queries() has their names."""

    def __init__(self, address="127.0.0.53"):
        self.address = address
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((address, 53))

    def queries(self):
        """The names asked for since the last call; a query that is sent again counts once."""
        names = {}
        while True:
            try:
                query, client = self.socket.recvfrom(512, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return list(names.values())
            names[client, query[:2]] = name_in(query)

    def stop(self):
        self.socket.close()

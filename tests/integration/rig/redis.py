"""A real Redis server that keeps what it is told, and can be taken away."""

import signal
import subprocess

from rig import machine

PORT = 16379


class Redis:
    """Running; .url is the setting `store`."""

    url = f"redis://127.0.0.1:{PORT}/0"

    def __init__(self, *options):
        self.options = options
        self.directory = machine.new_directory("redis")
        self.process = None
        self.start()

    def start(self):
        """With all that it has ever been told."""
        self.process = subprocess.Popen(
            ["redis-server", "--port", str(PORT), "--bind", "127.0.0.1", "-::1", "--save", "", "--appendonly", "yes",
             "--appendfsync", "always", "--dir", str(self.directory), *self.options],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        machine.wait_until(lambda: b"PONG" in self.command("PING", check=False).stdout, 10, "Redis")

    def command(self, *words, check=True):
        return machine.run("redis-cli", "-p", PORT, *words, check=check)

    def hang(self):
        """Connections stand, nothing is answered."""
        self.process.send_signal(signal.SIGSTOP)

    def resume(self):
        self.process.send_signal(signal.SIGCONT)

    def stop(self, by=signal.SIGTERM):
        """SIGKILL: without a farewell."""
        self.resume()
        self.process.send_signal(by)
        self.process.wait(10)

"""mailhooks-queue under test: what the queue agent needs root for, and the records it goes by."""

import re
import shutil

from rig import daemon, machine, milter

BINARY = machine.BUILD / "policy/mailhooks-queue"


class Queue(daemon.Daemon):
    """Not running until start(). The milter and mailhooks-policy take .settings as well."""

    def __init__(self, mta, commands, config_directory):
        super().__init__("queue")
        self.records = machine.new_directory("agent") / "records"
        shutil.chown(self.records.parent, milter.USER)
        self.socket = self.directory / "queue.sock"
        self.settings = (f"agent.mta={mta}", f"agent.directory={self.records}",
                         f"agent.socket={self.socket}", f"agent.commands={commands}",
                         f"agent.config_directory={config_directory}",
                         "agent.interval_seconds=1")
        self.config = self.directory / "mailhooks.conf"
        self.config.touch()

    def start(self):
        """With the rights that its unit leaves it, and no network but the loopback interface."""
        unit = (machine.TOP / "contrib/mailhooks-queue.service").read_text()
        rights = re.search("^CapabilityBoundingSet=(.*)", unit, re.M)[1].lower().split()
        bounds = ",".join(["-all"] + ["+" + right.removeprefix("cap_") for right in rights])
        assert "PrivateNetwork=yes\n" in unit
        self.launch("unshare", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh",
                    "setpriv", "--no-new-privs", "--bounding-set", bounds,
                    BINARY, "-c", self.config, "-f",
                    *[word for s in self.settings for word in ("-o", s)])

    def done(self, letter=r"\w"):
        """Queue ids of the commands that were run, in order."""
        return re.findall(rf"done: '{letter}(\w+)'", self.log())

    def edit_record(self, queue_id, name, change):
        """Changes a number in a record."""
        file = self.records / queue_id
        value = int(re.search(rf"^{name} \d+\n(\d+)\n", file.read_text(), re.M)[1])
        new = str(change(value))
        file.write_text(re.sub(rf"^{name} \d+\n\d+\n", f"{name} {len(new)}\n{new}\n",
                               file.read_text(), flags=re.M))

    def state(self, server, queue_id):
        return dict((i, name) for name, i in server.queue()).get(queue_id)

    def wait_state(self, server, queue_id, wanted):
        machine.wait_until(lambda: self.state(server, queue_id) == wanted, 15,
                           f"{queue_id} {wanted}")

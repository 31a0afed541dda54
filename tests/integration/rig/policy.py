"""mailhooks-policy under test, with a configuration and scripts that the test writes; and clients
of its two protocols that do what they are told, also what is wrong."""

import shutil
import socket

from rig import daemon, machine, milter

BINARY = machine.BUILD / "policy/mailhooks-policy"


class Policy(daemon.Daemon):
    """Not running until start(). Scripts are in .scripts; Postfix finds the service with
    .policy_service and .map(name)."""

    def __init__(self, directory=None):
        super().__init__("policy")
        sockets = directory or self.directory
        self.socket, self.map_socket = sockets / "policy.sock", sockets / "socketmap.sock"
        self.scripts = self.directory / "scripts"
        self.scripts.mkdir()
        shutil.chown(self.directory, milter.USER)
        self.config = self.directory / "mailhooks.conf"

    @property
    def policy_service(self):
        return f"check_policy_service unix:{self.socket}"

    def map(self, name):
        return f"socketmap:unix:{self.map_socket}:{name}"

    script, out, errors, text = (milter.Milter.script, milter.Milter.out, milter.Milter.errors,
                                 milter.Milter.text)

    def start(self, rules=None, *options, config="", **scripts):
        """Starts the service: start('function First() ... end', "policy.workers=2",
        smtpsvr="..."). rules is smtprules_1.lua; each option is one -o."""
        if rules is not None:
            scripts["smtprules_1"] = rules
        for name, text in scripts.items():
            self.script(name + ".lua", text)
        self.config.write_text(config)
        self.launch(BINARY, "-c", self.config, "-f", *self.options(options))

    def options(self, more=()):
        """The -o arguments that keep the program inside the rig."""
        settings = [
            f"scripts={self.scripts}",
            f"state_dir={self.directory}",
            f"lua.out={self.directory}/LUA.OUT",
            f"lua.errors={self.directory}/LUAERRORS.LOG",
            f"policy.listen=unix:{self.socket}",
            f"socketmap.listen=unix:{self.map_socket}",
            "policy.socket_mode=0666",
            *more,
        ]
        return [word for setting in settings for word in ("-o", setting)]

    # asking without Postfix

    def connect(self, maps=False, timeout=20):
        """A raw connection to the policy socket, or to the one of the maps."""
        s = socket.socket(socket.AF_UNIX)
        s.settimeout(timeout)
        s.connect(str(self.map_socket if maps else self.socket))
        return s

    def ask(self, state="MAIL", connection=None, **attributes):
        """The action for one request."""
        s = connection or self.connect()
        s.sendall(request(state, **attributes))
        action = read_action(s)
        if connection is None:
            s.close()
        return action

    def look_up(self, name, key):
        """The reply of a map: "OK value", "NOTFOUND " ..."""
        return self.look_ups(name, [key])[0]

    def look_ups(self, name, keys):
        """The replies to several questions of one client, one after the other."""
        with self.connect(maps=True) as s:
            return [self.exchange(s, f"{name} {key}".encode()) for key in keys]

    @staticmethod
    def exchange(s, query):
        s.sendall(b"%d:%s," % (len(query), query))
        length, _, rest = s.recv(65536).partition(b":")
        assert len(rest) == int(length) + 1 and rest.endswith(b","), rest
        return rest[:-1].decode()


def request(state="MAIL", **attributes):
    lines = {"request": "smtpd_access_policy", "protocol_state": state, **attributes}
    return "".join(f"{name}={value}\n" for name, value in lines.items()).encode() + b"\n"


def read_action(s):
    """One reply from a connection; "" when it was closed instead."""
    data = b""
    while not data.endswith(b"\n\n"):
        part = s.recv(65536)
        if not part:
            assert data == b"", data
            return ""
        data += part
    assert data.startswith(b"action=") and data.count(b"\n") == 2, data
    return data[7:-2].decode()

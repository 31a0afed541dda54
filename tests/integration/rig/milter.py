"""mailhooks-milter under test, with a configuration and scripts that the test writes."""

import shutil

from rig import daemon, machine

BINARY = machine.BUILD / "milter/mailhooks-milter"
USER = "mailhooks"   # the program starts as root and becomes this user, as in production


def socket_path():
    """Where both MTAs look for the filter, the same for the whole run."""
    directory = machine.root() / "filter"
    directory.mkdir(mode=0o755, exist_ok=True)
    shutil.chown(directory, USER)
    return directory / "milter.sock"


class Milter(daemon.Daemon):
    """Not running until start(). Scripts are in .scripts, a directory of its own."""

    def __init__(self, socket=None):
        super().__init__("milter")
        self.socket = socket or socket_path()
        self.scripts = self.directory / "scripts"
        self.scripts.mkdir()
        shutil.chown(self.directory, USER)
        self.config = self.directory / "mailhooks.conf"

    def script(self, name, text):
        """Writes a script; takes effect with start() or reload()."""
        new = self.directory / "new"   # replaced in one step, as an administrator should
        new.write_bytes(text if isinstance(text, bytes) else text.encode())
        new.rename(self.scripts / name)

    def start(self, smtpsvr=None, *options, config="", **scripts):
        """Starts the filter: start('function Start() ... end', "lua.hook_ms=500",
        signature="..."). config is the text of the configuration file; each option is one -o."""
        if smtpsvr is not None:
            scripts["smtpsvr"] = smtpsvr
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
            f"milter.listen=unix:{self.socket}",
            "milter.socket_mode=0666",
            *more,
        ]
        return [word for setting in settings for word in ("-o", setting)]

    def out(self):
        """What scripts printed: LUA.OUT."""
        return self.text("LUA.OUT")

    def errors(self):
        """LUAERRORS.LOG."""
        return self.text("LUAERRORS.LOG")

    def text(self, name):
        file = self.directory / name
        return file.read_text(errors="replace") if file.exists() else ""

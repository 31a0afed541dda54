"""mailhooks passwd-check: on its own, before real password changes, and from PAM (R18)."""

import pathlib
import shutil
import warnings

with warnings.catch_warnings():
    warnings.simplefilter("ignore")     # Debian 12 has it; Python 3.13 has not
    import crypt

import pytest

from rig import machine, milter

BINARY = machine.BUILD / "cli/mailhooks"
EXAMPLE = machine.TOP / "contrib/scripts/passwordcheck.lua"
LOGIN = machine.TOP / "contrib/pam.d/login.snippet"
CHANGE = machine.TOP / "contrib/checked-chpasswd"
STACK = machine.TOP / "contrib/pam.d/common-password-debian12.snippet"
SCRIPT = machine.TOP / "contrib/pam.d/pam_script_passwd"
MODULE = next((machine.CACHE / "pam-script").glob("lib/*/security/pam_script.so"), None)
PASSWD = pathlib.Path("/etc/pam.d/passwd")
SERVICE = pathlib.Path("/etc/pam.d/mailhooks-test")
GOOD, BETTER = "Correct+Horse1", "battery-Staple2"


class Checker:
    """A configuration with passwordcheck.lua, and the command that asks it."""

    def __init__(self):
        self.directory = machine.new_directory("passwd")
        shutil.chown(self.directory, milter.USER)
        self.scripts = self.directory / "scripts"
        self.scripts.mkdir()
        self.config = self.directory / "mailhooks.conf"
        self.configure()

    def configure(self, more=""):
        self.config.write_text(
            f'scripts = "{self.scripts}"\nstate_dir = "{self.directory}"\n'
            f'lua {{ out = "" errors = "{self.directory}/LUAERRORS.LOG" hook_ms = 300 }}\n{more}')

    def script(self, text):
        (self.scripts / "passwordcheck.lua").write_text(text)

    def ask(self, password, user="ann", arguments=("ann",), env=None):
        """Exit status and what the user gets to see."""
        done = machine.run(BINARY, "-c", self.config, "passwd-check", *arguments, check=False,
                           stdin=password if isinstance(password, bytes) else password.encode(),
                           env=env)
        return done.returncode, done.stdout.decode()

    @property
    def command(self):
        return f"{BINARY} -c {self.config} passwd-check"


@pytest.fixture
def checker(syslog):
    syslog_start = len(syslog.lines)
    checker = Checker()
    yield checker
    said = "\n".join(str(line) for line in syslog.lines[syslog_start:])
    errors = checker.directory / "LUAERRORS.LOG"
    said += errors.read_text() if errors.exists() else ""
    for password in (GOOD, BETTER):     # no password in any log
        assert password not in said
    assert "AddressSanitizer" not in said and "runtime error" not in said


# the command

def test_the_answers(checker):
    checker.script("""
        function Check(user, password, least)
            if password == "seen: " .. user .. least then return true end
            if password == "no reason" then return false end
            if password == "no opinion" then return end
            if password == "number 0" then return 0 end
            return false, "one\\nline\\027only"
        end
    """)
    assert checker.ask("seen: ann8") == (0, "")
    assert checker.ask("seen: ann8\n") == (0, "")
    assert checker.ask("seen: ann8\0") == (0, "")            # as pam_exec ends it
    assert checker.ask("no opinion") == (0, "")
    assert checker.ask("no reason") == (1, "The password is not good enough\n")
    assert checker.ask("number 0") == (1, "The password is not good enough\n")
    assert checker.ask("something") == (1, "one\n")          # a message is one line
    assert checker.ask("seven..") == (1, "The password is too short: at least 8 characters\n")
    assert checker.ask("äöüßäöü")[0] == 1                    # characters, not bytes
    assert checker.ask("seen: bob8", arguments=(), env={"PAM_USER": "bob"}) == (0, "")
    assert checker.ask("seen: ann8", arguments=())[0] == 2
    assert checker.ask("seen: ann8", arguments=("ann", "bob"))[0] == 2
    checker.configure("password { min_length = 0 }")
    assert checker.ask("seen: ann0") == (0, "")
    assert checker.ask("") == (1, "The password is empty\n")


def test_without_a_script_the_length_counts(checker):
    assert checker.ask("12345678") == (0, "")
    assert checker.ask("1234567")[0] == 1


@pytest.mark.parametrize("script", [
    "function Check() error('no') end",
    "function Check() return {} end",
    "function Check() return 'maybe', {} end",
    "function Check() while true do end end",
    "function Check() local t = {} while true do t[#t + 1] = string.rep('x', 100000) end end",
    "error('at the top')",
    "function Check(",
])
def test_whatever_fails_refuses(checker, script):
    """R18: also with lua.on_error = accept, which is about mail."""
    checker.configure('lua { on_error = "accept" }')
    checker.script(script)
    status, said = checker.ask(GOOD)
    assert status in (1, 78) and said == "The password could not be checked and is refused\n"


def test_what_cannot_be_a_password(checker):
    for password in ("two\nlines here", "a zero\0 in it", "return\r at the end", "x" * 1025,
                     b"x" * 100000):
        assert checker.ask(password)[0] == 1
    assert checker.ask("x" * 1024) == (0, "")


def test_a_broken_configuration_refuses(checker):
    checker.configure("nonsense = 1")
    assert checker.ask(GOOD)[0] == 78
    checker.configure('user = "nobody-of-this-name"')
    assert checker.ask(GOOD) == (78, "The password could not be checked and is refused\n")
    checker.configure()
    shutil.rmtree(checker.scripts)
    assert checker.ask(GOOD)[0] == 78


def test_the_script_runs_as_the_daemons_user(checker):
    checker.script("""
        function Check()
            local f = io.open("/etc/shadow", "r")
            return f == nil
        end
    """)
    assert checker.ask(GOOD) == (0, "")


def test_the_example(checker):
    checker.script(EXAMPLE.read_text())
    for password, accepted in ((GOOD, True), ("password", False), ("Ann's-password", False),
                               ("aaaaaaaaaaaa", False), ("onlysmall", False),
                               ("sixteen small letters", True), ("Small1Big", True)):
        assert (checker.ask(password)[0] == 0) == accepted, password


# real users

@pytest.fixture
def user(checker):
    """A user of this private machine with a good password, and a PAM service that asks."""
    snippet = LOGIN.read_text()
    assert snippet.count("/usr/bin/mailhooks passwd-check") == 1
    SERVICE.write_text("auth requisite pam_unix.so\n" + snippet.replace(
        "/usr/bin/mailhooks passwd-check", checker.command))
    machine.run("useradd", "-M", "tester")
    checker.script(EXAMPLE.read_text())
    yield "tester"
    SERVICE.unlink()
    machine.run("userdel", "tester")


def is_password(user, password):
    lines = pathlib.Path("/etc/shadow").read_text().splitlines()
    stored = next(line.split(":")[1] for line in lines if line.startswith(user + ":"))
    return crypt.crypt(password, stored) == stored


def change(checker, user, password):
    """Through the command for web forms."""
    done = machine.run(CHANGE, stdin=f"{user}:{password}\n".encode(), check=False,
                       env={"MAILHOOKS": f"{BINARY} -c {checker.config}"})
    return done.returncode, done.stdout.decode()


def log_in(user, password):
    done = machine.run("pamtester", SERVICE.name, user, "authenticate", check=False,
                       stdin=password.encode() + b"\n")
    return done.returncode == 0, (done.stdout + done.stderr).decode()


def test_a_password_is_changed_when_it_is_accepted(checker, user):
    assert change(checker, user, GOOD) == (0, "")
    assert is_password(user, GOOD)
    status, said = change(checker, user, "password")
    assert (status, said) == (1, "This is one of the passwords that are tried first\n")
    assert is_password(user, GOOD)
    assert change(checker, user, BETTER + ":$(x) '\"")[0] == 0     # nothing reads it as shell
    assert is_password(user, BETTER + ":$(x) '\"")
    assert change(checker, "", "x")[0] == 2


def test_no_change_while_the_check_fails(checker, user):
    """R18: neither a broken script, nor a broken configuration, nor a missing command lets a
    password through."""
    assert change(checker, user, GOOD)[0] == 0
    checker.script("function Check() error('broken') end")
    assert change(checker, user, BETTER)[0] == 1
    checker.config.write_text("nonsense")
    assert change(checker, user, BETTER)[0] == 1
    checker.config.unlink()
    assert change(checker, user, BETTER)[0] == 1
    assert is_password(user, GOOD)


def test_pam_exec_at_login(checker, user):
    """pam_exec with expose_authtok: the password comes as it is, the reason goes to the user."""
    machine.run("chpasswd", stdin=f"{user}:{GOOD}\n".encode())
    assert log_in(user, GOOD)[0]
    assert not log_in(user, BETTER)[0]
    machine.run("chpasswd", stdin=f"{user}:Tester-2000\n".encode())    # PAM does not ask here
    entered, said = log_in(user, "Tester-2000")
    assert not entered and "The password contains your name" in said


def test_pam_exec_fails_closed(checker, user):
    """R18"""
    machine.run("chpasswd", stdin=f"{user}:{GOOD}\n".encode())
    checker.script("function Check() error('broken') end")
    assert not log_in(user, GOOD)[0]
    checker.config.write_text("nonsense")
    assert not log_in(user, GOOD)[0]
    SERVICE.write_text(SERVICE.read_text().replace(str(BINARY), f"{BINARY}.missing"))
    assert not log_in(user, GOOD)[0]


# passwd(1), with Debian 12's libpam-script

@pytest.fixture
def stack(checker, user):
    """/etc/pam.d/passwd of this private machine as the snippet has it. Returns the script's path."""
    directory = pathlib.Path("/etc/mailhooks/pam")
    directory.mkdir(parents=True, exist_ok=True)
    script, text, old = directory / SCRIPT.name, SCRIPT.read_text(), PASSWD.read_text()
    assert text.count("/usr/bin/mailhooks passwd-check") == 1 and f"dir={directory}\n" in STACK.read_text()
    script.write_text(text.replace("/usr/bin/mailhooks passwd-check", checker.command))
    script.chmod(SCRIPT.stat().st_mode & 0o777)
    assert MODULE, "run tests/integration/fetch-programs"
    stack = STACK.read_text().replace(" pam_script.so", f" {MODULE}").replace("\tpam_script.so", f"\t{MODULE}")
    PASSWD.write_text(stack + "password requisite pam_deny.so\npassword required pam_permit.so\n")
    machine.run("chpasswd", stdin=f"{user}:{GOOD}\n".encode())   # by another service: not asked here
    yield script
    PASSWD.write_text(old)
    script.unlink(missing_ok=True)
    pathlib.Path("/etc/security/opasswd").unlink(missing_ok=True)


def passwd(user, new, current=None, env=None):
    """passwd(1), of the user himself when he gives his current password, else of root."""
    who = ["setpriv", "--reuid", user, "--regid", user, "--clear-groups"] if current else []
    lines = [*([current] if current else []), new, new]
    done = machine.run(*who, "passwd", *([] if current else [user]), check=False, env=env,
                       stdin="".join(line + "\n" for line in lines).encode())
    return done.returncode == 0, (done.stdout + done.stderr).decode()


def test_passwd_stores_what_is_accepted(user, stack):
    """For a user and for root; the reason of a refusal is shown."""
    for current, new, why in ((GOOD, "password", "This is one of the passwords that are tried first"),
                              (None, "Tester-2000", "The password contains your name")):
        changed, said = passwd(user, new, current)
        assert not changed and why in said and is_password(user, GOOD)
    assert passwd(user, BETTER, GOOD)[0] and is_password(user, BETTER)
    odd = "Odd$(x)`x`'\"\\ %s 1"
    assert passwd(user, odd, BETTER)[0] and is_password(user, odd)     # nothing reads it as shell
    assert passwd(user, "By+Root+1")[0] and is_password(user, "By+Root+1")


def test_passwd_has_nothing_from_the_users_environment(user, stack):
    """R1, R18: no function, start file or program of the user's own answers in our place."""
    evil = machine.new_directory("evil")
    for name in "mailhooks", "env", "printf":
        (evil / name).write_text("#!/bin/sh\nexit 0\n")
        (evil / name).chmod(0o755)
    (evil / "start").write_text("exit 0\n")
    env = {"PATH": f"{evil}:/usr/bin:/bin:/usr/sbin:/sbin", "BASH_ENV": f"{evil}/start", "ENV": f"{evil}/start",
           "BASH_FUNC_printf%%": "() { exit 0; }", "BASH_FUNC_unset%%": "() { exit 0; }", "PAM_USER": "root",
           "PAM_AUTHTOK": BETTER}
    assert not passwd(user, "password", GOOD, env)[0] and is_password(user, GOOD)
    assert passwd(user, BETTER, GOOD, env)[0] and is_password(user, BETTER)


def test_passwd_fails_closed(checker, user, stack):
    """R18: broken script, broken configuration, no command, no PAM script, one that others may
    write: the old password stays."""
    def refused(current=None):
        return not passwd(user, BETTER, current)[0] and is_password(user, GOOD)

    good = (checker.scripts / "passwordcheck.lua").read_text()
    for broken in "function Check() error('broken') end", "function Check(", "function Check() while true do end end":
        checker.script(broken)
        assert refused(), broken
    checker.script(good)
    config = checker.config.read_text()
    checker.config.write_text("nonsense")
    assert refused()
    checker.config.write_text(config)
    text = stack.read_text()
    stack.write_text(text.replace(str(BINARY), f"{BINARY}.missing"))
    assert refused()
    stack.write_text(text)
    stack.chmod(0o777)
    assert refused()
    stack.chmod(0o755)
    moved = stack.rename(stack.with_suffix(".away"))
    assert refused() and refused(GOOD)
    moved.rename(stack)
    assert passwd(user, BETTER, GOOD)[0] and is_password(user, BETTER)     # and all is well again

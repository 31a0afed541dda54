"""A private Sendmail 8.17 from an unpacked package, beside the installed Postfix."""

import os
import pathlib
import shutil
import signal

from rig import machine, mta

PACKAGE = machine.CACHE / "sendmail"   # filled by tests/integration/fetch-programs

SENDMAIL_MC = """\
divert(-1)
divert(0)dnl
include(`{cf}/m4/cf.m4')dnl
OSTYPE(`linux')dnl
define(`confDOMAIN_NAME', `{hostname}')dnl
define(`confPID_FILE', `{top}/pid')dnl
define(`QUEUE_DIR', `{top}/queue')dnl
define(`ALIAS_FILE', `{top}/aliases')dnl
define(`STATUS_FILE', `{top}/statistics')dnl
define(`HELP_FILE', `{top}/helpfile')dnl
define(`confHOST_STATUS_DIRECTORY', `')dnl
define(`confCONTROL_SOCKET_NAME', `{top}/control')dnl
define(`confDONT_BLAME_SENDMAIL', `GroupReadableKeyFile,GroupReadableSASLDBFile')dnl
define(`confSERVER_CERT', `{cert}')dnl
define(`confSERVER_KEY', `{key}')dnl
define(`confCACERT', `{cert}')dnl
define(`confCACERT_PATH', `{top}')dnl
define(`confAUTH_MECHANISMS', `PLAIN LOGIN')dnl
TRUST_AUTH_MECH(`PLAIN LOGIN')dnl
define(`confAUTH_REALM', `{hostname}')dnl
define(`confLOG_LEVEL', `14')dnl
define(`confMILTER_LOG_LEVEL', `14')dnl
define(`confPRIVACY_FLAGS', `authwarnings')dnl
define(`confQUEUE_LA', `1000')dnl
define(`confREFUSE_LA', `1000')dnl
define(`confBAD_RCPT_THROTTLE', `0')dnl
define(`confMAX_DAEMON_CHILDREN', `0')dnl
define(`confTO_IDENT', `0s')dnl
define(`confTO_CONNECT', `5s')dnl
define(`confMAX_MESSAGE_SIZE', `52428800')dnl
define(`confDAEMON_OPTIONS', `')dnl
FEATURE(`no_default_msa')dnl
DAEMON_OPTIONS(`Family=inet, Name=MTA, Port={port}, Addr=0.0.0.0, Listen=300')dnl
DAEMON_OPTIONS(`Family=inet, Name=PLAIN, Port={plain_port}, Addr=0.0.0.0, Listen=300, InputMailFilters=')dnl
{inet6}\
LOCAL_DOMAIN(`localhost')dnl
RELAY_DOMAIN(`127')dnl
FEATURE(`accept_unresolvable_domains')dnl
{extra}
MAILER(`smtp')dnl
MAILER_DEFINITIONS
Mhub,	P=[IPC], F=mDFMuXa, S=EnvFromSMTP/HdrFromSMTP, R=EnvToSMTP, E=\\r\\n, L=990,
	T=DNS/RFC822/SMTP, A=TCP $h
LOCAL_RULE_0
R$* < @ $=w . > $*	$#hub $@ [{hub}] $: $1 < @ $2 . > $3
{post}
LOCAL_CONFIG
ESASL_CONF_PATH={top}/sasl
"""

SASL_CONF = """\
pwcheck_method: auxprop
auxprop_plugin: sasldb
mech_list: PLAIN LOGIN
sasldb_path: {database}
"""

TIMEOUTS = "C:5s;S:30s;R:30s;E:60s"
count = 0


class Sendmail(mta.Mta):
    """Sendmail with the filter at `milter`, F=T (refuse for now when it is away)."""

    name = "sendmail"
    hostname = "sm.test"

    def __init__(self, sink, port, syslog, milter=None, flags="F=T", extra="", post=""):
        """extra: m4 lines before MAILER(), post: lines after it (rule sets)."""
        global count
        super().__init__(sink, port)
        count += 1
        self.tag = f"sendmail{count}"   # in syslog
        self.syslog, self.log_start = syslog, 0
        self.top = machine.new_directory("sendmail")
        self.binary = self.top / "sendmail"
        if milter:
            extra = (f"INPUT_MAIL_FILTER(`mailhooks', `S={milter}, {flags}, T={TIMEOUTS}')dnl\n"
                     + extra)
        self.lay_out(extra, post)
        machine.run(self.binary, "-L", self.tag, "-C", self.top / "sendmail.cf", "-bd")
        machine.wait_until(lambda: machine.accepts(("127.0.0.1", self.plain_port))
                           and (self.top / "pid").exists(), 20, "Sendmail")
        self.pid = int((self.top / "pid").read_text().split()[0])

    def lay_out(self, extra, post):
        (self.top / "queue").mkdir(mode=0o700)
        (self.top / "sasl").mkdir()
        (self.top / "aliases").touch()
        (self.top / "statistics").touch()
        (self.top / "helpfile").write_text("#vers\t2\nsmtp\tHELP is here\n")
        cert, key = machine.certificate(self.top, self.hostname)
        database = self.top / "sasl/sasldb2"
        machine.sasl_user(database, self.hostname, mta.USER, mta.PASSWORD)
        (self.top / "sasl/Sendmail.conf").write_text(SASL_CONF.format(database=database))
        # a copy without the set-gid bit, or the environment would be ignored
        package = pathlib.Path(PACKAGE)
        source = package / "usr/libexec/sendmail/sendmail"
        if not source.exists():
            raise RuntimeError(f"no Sendmail in {package}: run tests/integration/fetch-programs")
        shutil.copyfile(source, self.binary)
        self.binary.chmod(0o755)
        cf = package / "usr/share/sendmail/cf"
        inet6 = "".join(
            f"DAEMON_OPTIONS(`Family=inet6, Name={name}6, Port={port}, Addr=::1, Listen=300{options}')dnl\n"
            for name, port, options in (("MTA", self.port, ""),
                                        ("PLAIN", self.plain_port, ", InputMailFilters="))
        ) if machine.has_ipv6() else ""
        mc = self.top / "sendmail.mc"
        mc.write_text(SENDMAIL_MC.format(
            top=self.top, cf=cf, cert=cert, key=key, hostname=self.hostname, hub=mta.LOCAL_HUB,
            port=self.port, plain_port=self.plain_port, inet6=inet6, extra=extra, post=post))
        (self.top / "sendmail.cf").write_bytes(
            machine.run("m4", f"-D_CF_DIR_={cf}/", mc).stdout)

    def processes(self):
        """Process ids of this server, the daemon included."""
        found = []
        for entry in os.listdir("/proc"):
            if entry.isdigit():
                try:
                    if os.readlink(f"/proc/{entry}/exe") == str(self.binary):
                        found.append(int(entry))
                except OSError:
                    pass   # ended meanwhile
        return found

    def log(self):
        return self.syslog.text(self.tag, self.log_start)

    def queue(self):
        names = {"q": "active", "h": "hold", "Q": "lost"}
        return [(names[file[0]], file[2:]) for file in os.listdir(self.top / "queue")
                if file[1] == "f" and file[0] in names]

    def is_idle(self):
        """A child serves each open session and each message on its way; when only the sessions'
        children are left, what is still in the queue is deferred."""
        sessions = sum(not c.closed for c in self.clients)
        return len(self.processes()) <= 1 + sessions

    def flush(self):
        """Tries queued mail again now."""
        machine.run(self.binary, "-L", self.tag, "-C", self.top / "sendmail.cf", "-q")

    def begin_test(self):
        self.log_start = len(self.syslog.lines)

    def purge(self):
        for file in (self.top / "queue").iterdir():
            file.unlink()

    def stop(self):
        for pid in [self.pid, *self.processes()]:
            try:
                os.kill(pid, signal.SIGTERM)
            except ProcessLookupError:
                pass

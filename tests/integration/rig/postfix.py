"""A private Postfix: configuration, queue, data and log below one directory of the rig."""

import os
import pathlib
import time

from rig import machine, mta

MAIN_CF = """\
compatibility_level = 3.6
config_directory = {etc}
queue_directory = {top}/spool
data_directory = {top}/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
mail_owner = postfix
setgid_group = postdrop
maillog_file = {top}/maillog
maillog_file_prefixes = {top}
syslog_name = postfix
myhostname = {hostname}
myorigin = {hostname}
mydestination = {hostname}, localhost
mynetworks = 127.0.0.0/8 [::1]/128
inet_interfaces = all
inet_protocols = {protocols}
alias_maps =
alias_database =
local_recipient_maps =
local_transport = hub:[{hub}]
biff = no
append_dot_mydomain = no
smtpd_tls_cert_file = {cert}
smtpd_tls_key_file = {key}
smtpd_tls_security_level = may
smtpd_sasl_auth_enable = yes
cyrus_sasl_config_path = {etc}/sasl
smtpd_sasl_local_domain = {hostname}
smtpd_relay_restrictions = permit_mynetworks, permit_sasl_authenticated, reject_unauth_destination
smtpd_recipient_limit = 2000
smtpd_client_connection_count_limit = 0
smtpd_error_sleep_time = 0
smtpd_hard_error_limit = 1000
smtp_connect_timeout = 5s
smtp_connection_cache_on_demand = no
default_process_limit = 300
in_flow_delay = 0
minimal_backoff_time = 300s
message_size_limit = 52428800
"""

# service, type, private, unprivileged, chroot, wakeup, maximum processes, command
MASTER_CF = """\
{port} inet n - n - - smtpd
{plain_port} inet n - n - - smtpd
  -o smtpd_milters=
  -o cleanup_service_name=plaincleanup
plaincleanup unix n - n - 0 cleanup
  -o milter_header_checks=
postlog unix-dgram n - n - 1 postlogd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
proxywrite unix - - n - 1 proxymap
smtp unix - - n - - smtp
hub unix - - n - - smtp
relay unix - - n - - smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
local unix - n n - - local
virtual unix - n n - - virtual
lmtp unix - - n - - lmtp
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
"""

SASL_CONF = """\
pwcheck_method: auxprop
auxprop_plugin: sasldb
mech_list: PLAIN LOGIN
sasldb_path: {database}
"""


class Postfix(mta.Mta):
    """Postfix with the filter at `milter`, for SMTP and for local submission."""

    name = "postfix"
    hostname = "mail.test"

    def __init__(self, sink, port, milter=None, parameters=None, master=""):
        """milter: address of the filter, as "unix:/path". parameters: main.cf settings to add or
        replace. master: lines to add to master.cf."""
        super().__init__(sink, port)
        self.top = machine.new_directory("postfix")
        self.etc = self.top / "etc"
        self.maillog = self.top / "maillog"
        self.log_start = 0
        self.env = {"MAIL_CONFIG": str(self.etc)}
        self.lay_out(master)
        settings = {"smtpd_milters": milter, "non_smtpd_milters": milter} if milter else {}
        self.set_parameters({**settings, **(parameters or {})})
        machine.run("postfix", "-c", self.etc, "start", env=self.env)
        # the port without the filter: a script is not to see this connection
        machine.wait_until(lambda: machine.accepts(("127.0.0.1", self.plain_port)), 20, "Postfix")

    def lay_out(self, master):
        (self.etc / "sasl").mkdir(parents=True)
        (self.top / "spool").mkdir()
        data = self.top / "data"
        data.mkdir(mode=0o700)
        machine.run("chown", "postfix", data)
        cert, key = machine.certificate(self.etc, self.hostname)
        database = data / "sasldb2"
        machine.sasl_user(database, self.hostname, mta.USER, mta.PASSWORD, owner="postfix")
        (self.etc / "sasl/smtpd.conf").write_text(SASL_CONF.format(database=database))
        (self.etc / "main.cf").write_text(MAIN_CF.format(
            top=self.top, etc=self.etc, cert=cert, key=key, hostname=self.hostname,
            hub=mta.LOCAL_HUB, protocols="all" if machine.has_ipv6() else "ipv4"))
        (self.etc / "master.cf").write_text(MASTER_CF.format(
            port=self.port, plain_port=self.plain_port) + master)
        self.allow_local_submission()

    def allow_local_submission(self):
        """postdrop(1) is set-gid and believes MAIL_CONFIG only if the system's main.cf, here the
        private copy of it, lists the directory."""
        system = pathlib.Path("/etc/postfix/main.cf")
        known = ""
        if system.exists():
            known = machine.run("postconf", "-c", system.parent, "-h",
                                "alternate_config_directories").stdout.decode().strip()
        system.parent.mkdir(exist_ok=True)
        system.write_text("compatibility_level = 3.6\n"
                          f"alternate_config_directories = {known} {self.etc}\n")

    def set_parameters(self, parameters):
        """Sets main.cf parameters; a running server needs reload() after it."""
        lines = [f"{name}={value}" for name, value in parameters.items()]
        if lines:
            machine.run("postconf", "-c", self.etc, "-e", *lines)

    def reload(self):
        machine.run("postfix", "-c", self.etc, "reload", env=self.env)

    def submit(self, message, *arguments, user="nobody"):
        """Hands a message to sendmail(1) as a local user; returns the finished process."""
        return machine.run("setpriv", "--reuid", user, "--regid", "nogroup", "--clear-groups",
                           "/usr/sbin/sendmail", *arguments, stdin=message, env=self.env,
                           check=False)

    def log(self):
        with open(self.maillog, "rb") as f:
            f.seek(self.log_start)
            return f.read().decode("utf-8", "replace")

    def queue(self):
        names = {"maildrop": "active", "incoming": "active", "active": "active",
                 "deferred": "deferred", "hold": "hold"}
        return [(name, file) for directory, name in names.items()
                for _, _, files in os.walk(self.top / "spool" / directory) for file in files]

    def is_idle(self):
        return not any(name == "active" for name, _ in self.queue())

    def flush(self):
        """Tries deferred mail again now. What the log has told of is not in the deferred queue yet:
        that gets there first, unless something else is under way for long."""
        end = time.monotonic() + 3
        while not self.is_idle() and time.monotonic() < end:
            time.sleep(0.02)
        machine.run("postqueue", "-c", self.etc, "-f", env=self.env)

    def begin_test(self):
        self.log_start = self.maillog.stat().st_size

    def purge(self):
        if self.queue():
            machine.run("postsuper", "-c", self.etc, "-d", "ALL", env=self.env)

    def stop(self):
        machine.run("postfix", "-c", self.etc, "stop", env=self.env, check=False)

"""Deliveries to a domain with three mail servers, decided by mailhooks-policy: what the tests of
the outbound side share."""

import shutil
import subprocess

from rig import machine, milter

CLI = machine.BUILD / "cli/mailhooks"
DOMAIN = "three.test"
HOSTS = {"a": "127.0.0.31", "b": "127.0.0.32", "c": "127.0.0.33"}
ZONES = [line for n, (name, address) in enumerate(HOSTS.items(), 1) for line in (
    f"mx-host={DOMAIN},{name}.{DOMAIN},{n * 10}", f"host-record={name}.{DOMAIN},{address}")]
MESSAGE = "From: ann@sender.test\nTo: bob@three.test\nSubject: hi\n\nhello\n"


def parameters(policy, *maps):
    """main.cf for these maps of the service."""
    named = {"mx": "smtp_dns_reply_filter", "tls": "smtp_tls_policy_maps",
             "reply": "smtp_reply_filter", "status": "smtp_delivery_status_filter",
             "ehlo_out": "smtp_discard_ehlo_keyword_address_maps", "generic": "smtp_generic_maps",
             "transport": "transport_maps"}
    return {"smtp_randomize_addresses": "no", "smtp_connection_cache_on_demand": "no",
            **{named[name]: policy.map(name) for name in maps}}


def socket_directory():
    directory = machine.new_directory("sockets")
    shutil.chown(directory, milter.USER)
    return directory


def three_hosts(sink, dns):
    """Zones and listeners, as a fixture yields them."""
    for address in HOSTS.values():
        sink.listen(address)
    dns.add(*ZONES)
    yield sink
    for address in HOSTS.values():
        sink.unlisten(address)


# domain: address of its server, mail.DOMAIN
TLS_SERVERS = {"right.test": "127.0.0.41", "wrong.test": "127.0.0.42", "expired.test": "127.0.0.43",
               "self.test": "127.0.0.44", "clear.test": "127.0.0.45"}


def tls_files(authority):
    """The certificate and key of each of TLS_SERVERS that has TLS."""
    return {"right.test": authority.issue("mail.right.test"),
            "wrong.test": authority.issue("other.example"),
            "expired.test": authority.issue("mail.expired.test", expired=True),
            "self.test": machine.certificate(machine.new_directory("self"), "mail.self.test")}


def servers_with_tls(sink, dns, servers, files):
    """servers: address by domain, of mail.DOMAIN; files: certificate and key by domain, none is no
    TLS. As a fixture yields them."""
    for domain, address in servers.items():
        sink.listen(address, certificate=files.get(domain))
    dns.add(*[line for domain, address in servers.items() for line in (
        f"mx-host={domain},mail.{domain},10", f"host-record=mail.{domain},{address}")])
    yield sink
    for address in servers.values():
        sink.unlisten(address)


def store(policy):
    return f"store=sqlite:{policy.directory}/store.db"


def cli(policy, *arguments, options=(), check=True):
    """`mailhooks ARGUMENTS` with the service's scripts and store; what it printed."""
    policy.config.touch()
    done = subprocess.run(
        [str(CLI), "-c", str(policy.config), *policy.options((store(policy), *options)),
         *map(str, arguments)], capture_output=True, text=True, timeout=30)
    if check:
        assert done.returncode == 0, done
        return done.stdout
    return done


def written(policy, options=()):
    """main.cf parameters and master.cf lines of `mailhooks setup --write`, with the service's
    configuration and scripts."""
    directory = machine.new_directory("setup")
    cli(policy, "setup", "--write", directory, options=options)
    lines = (directory / "main.cf.mailhooks").read_text().splitlines()
    parameters = dict(line.split(" = ") for line in lines if line and line[0] != "#")
    return parameters, (directory / "master.cf.mailhooks").read_text()


def hosts_of(deliveries):
    return sorted(name for d in deliveries for name, address in HOSTS.items() if d.host == address)

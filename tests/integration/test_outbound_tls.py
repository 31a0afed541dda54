"""ServerDetails() on stock Postfix, against servers with the right certificate, one of another name,
an expired one, a self-signed one, and without TLS."""

import pytest

from rig import certificates, outbound, postfix
from rig import policy as policy_module
from rig.deciding import authority, policy, server, sockets   # noqa: F401 (fixtures)
from rig.outbound import MESSAGE
from rig.outbound import TLS_SERVERS as SERVERS


@pytest.fixture(scope="module")
def files(authority):
    """The certificate and key of each server."""
    return outbound.tls_files(authority)


@pytest.fixture(scope="module")
def mta_of_module(world, name_server, sockets, authority):
    service = policy_module.Policy(sockets)
    server = postfix.Postfix(world, 2720, parameters={
        **outbound.parameters(service, "mx", "tls", "ehlo_out"),
        "smtp_tls_security_level": "may", "smtp_tls_fingerprint_digest": "sha1",
        "smtp_tls_CAfile": authority.certificate})
    yield server
    server.stop()


@pytest.fixture
def hosts(sink, dns, files):
    yield from outbound.servers_with_tls(sink, dns, SERVERS, files)


def outcomes(server, policy, lua, domains=SERVERS, options=()):
    """What becomes of a message to each domain, when ServerDetails does this: the TLS version of
    its delivery, "clear", or the status of its deferral."""
    script = f"function ServerDetails(p, headers, actions)\n{lua}\nreturn actions\nend\n"
    policy.script("mxout.lua", script)
    if policy.process:
        policy.reload()
    else:
        policy.start(None, outbound.store(policy), *options)
    server.begin_test()
    before = len(server.deliveries())
    with server.client() as c:
        assert c.send("ann@sender.test", [f"bob@{d}" for d in domains], MESSAGE).ok
    server.settle()
    found = {}
    for domain in domains:
        for d in server.deliveries()[before:]:
            if f"bob@{domain}" in d.recipients:
                found[domain.partition(".")[0]] = "tls" if d.tls else "clear"
        log = [line for line in server.log().splitlines() if f"to=<bob@{domain}>" in line]
        for status in ("4.7.4", "4.7.5"):
            if any(f"dsn={status}, status=deferred" in line for line in log):
                found[domain.partition(".")[0]] = status
    return found


def test_levels(server, policy):
    """The default of the MTA, none, encrypt, and the checks of certificate and name."""
    assert outcomes(server, policy, "") == {
        "right": "tls", "wrong": "tls", "expired": "tls", "self": "tls", "clear": "clear"}
    assert outcomes(server, policy, 'actions["tryTLS"] = 0') == {
        "right": "clear", "wrong": "clear", "expired": "clear", "self": "clear", "clear": "clear"}
    assert outcomes(server, policy, "actions.forceTLS = 1") == {
        "right": "tls", "wrong": "tls", "expired": "tls", "self": "tls", "clear": "4.7.4"}
    assert outcomes(server, policy, "actions.verifyCert = 1") == {
        "right": "tls", "wrong": "4.7.5", "expired": "4.7.5", "self": "4.7.5", "clear": "4.7.4"}


def test_names(server, policy):
    """checkCertName: the certificate's own name, a wildcard, another name; what cannot be said
    makes the mail wait instead of going out unchecked."""
    got = outcomes(server, policy, """
        actions.checkCertName = ({["right.test"] = "*.RIGHT.test", ["wrong.test"] = "other.example",
            ["expired.test"] = "mail.expired.test", ["self.test"] = "mail.self.test"})[p.domain]
    """)
    assert got == {"right": "tls", "wrong": "tls", "expired": "4.7.5", "self": "4.7.5",
                   "clear": "clear"}
    got = outcomes(server, policy, 'actions.checkCertName = "m*l.right.test"', ["right.test"])
    assert got == {"right": "4.7.5"}
    policy.wait_log(r"checkCertName must be a name, or \*\.domain; mail to right.test waits")


def test_thumbprints(server, policy, files):
    """checkCertThumbprint: SHA-1 as VPOP3 has it, in any case; the wrong one makes the mail wait,
    and one that is none."""
    prints = {d: certificates.thumbprint(files[d][0]) for d in files}
    prints["right.test"] = prints["wrong.test"]
    prints["expired.test"] = prints["expired.test"].upper()
    rows = ", ".join(f'["{d}"] = "{p}"' for d, p in prints.items())
    assert outcomes(server, policy, f"actions.checkCertThumbprint = ({{{rows}}})[p.domain]") == {
        "right": "4.7.5", "wrong": "tls", "expired": "tls", "self": "tls", "clear": "clear"}
    assert outcomes(server, policy, 'actions.checkCertThumbprint = "abc"', ["self.test"]) == {
        "self": "4.7.5"}


def test_one_host_without(server, policy, hosts, dns, files):
    """The vendor's example: no TLS with one server; its neighbour of the same domain keeps it. And
    DSN hidden from one server."""
    dns.add("mx-host=both.test,mail.wrong.test,10", "mx-host=both.test,mail.right.test,20")
    hosts.answer("RCPT", "450 4.2.1 later", host=SERVERS["wrong.test"])
    policy.start(None, outbound.store(policy), mxout="""
        function ServerDetails(params, headers, actions)
            if params["server"] == "mail.wrong.test" then
                actions["tryTLS"] = 0
                actions.allowDSN = false
            end
            return actions
        end
    """)
    with server.client() as c:
        c.mail("ann@sender.test"), c.rcpt("bob@both.test", "NOTIFY=SUCCESS,FAILURE")
        assert c.data(MESSAGE.replace("\n", "\r\n")).ok
    delivery = server.wait_delivery(recipient="bob@both.test")
    assert delivery.host == SERVERS["right.test"] and delivery.tls
    assert "NOTIFY=SUCCESS,FAILURE" in delivery.rcpt_lines[0]
    first = hosts.dialogues_with(SERVERS["wrong.test"])[0]
    assert not first.tls and not any("NOTIFY" in line for line in first.said)


def test_servers_without_mx_records(server, policy, hosts, dns):
    """ehlo_out is exact for them, too: a domain that is its own server, an MX host that is an alias
    (one alone, and one of two), a relay in brackets that is one."""
    address = SERVERS["clear.test"]
    dns.add(f"host-record=plain.test,{address}",
            "mx-host=alias.test,one.alias.test,10", "cname=one.alias.test,plain.test",
            "mx-host=pair.test,nobody.pair.test,10", "mx-host=pair.test,mx.pair.test,20",
            "cname=mx.pair.test,plain.test")
    policy.start(None, outbound.store(policy), mxout="""
        function ServerDetails(p, headers, actions)
            print(p.server, p.domain)
            actions.allowDSN = p.server ~= "plain.test" and p.server ~= "one.alias.test" and
                               p.server ~= "mx.pair.test"
            return actions
        end
    """)
    for domain, named in (("plain.test", "plain.test"), ("alias.test", "one.alias.test"),
                          ("pair.test", "mx.pair.test")):
        with server.client() as c:
            c.mail("ann@sender.test"), c.rcpt(f"bob@{domain}", "NOTIFY=SUCCESS,FAILURE")
            assert c.data(MESSAGE.replace("\n", "\r\n")).ok
        delivery = server.wait_delivery(recipient=f"bob@{domain}")
        assert delivery.host == address and "NOTIFY" not in delivery.rcpt_lines[0]
        assert policy.out().split("\n")[-2] == f"{named}\t{domain}"
    # a relay, as Postfix asks about it; it is an alias
    policy.look_up("mx", f"plain.test. 0 IN A {address}")
    policy.look_up("tls", "[relay.test]")
    policy.look_up("ehlo_out", address)
    assert policy.out().endswith("relay.test\trelay.test\n" * 2)


def test_strictest_of_all_hosts(server, policy, hosts, dns):
    """The policy is one for the next hop: what one host must have, the others must have too."""
    dns.add("mx-host=both.test,mail.clear.test,10", "mx-host=both.test,mail.right.test,20")
    policy.start(None, outbound.store(policy), mxout="""
        function ServerDetails(params, headers, actions)
            if params.server == "mail.right.test" then actions.verifyCert = 1 end
        end
    """)
    assert server.send("ann@sender.test", "bob@both.test", MESSAGE).ok
    delivery = server.wait_delivery(recipient="bob@both.test")
    assert delivery.host == SERVERS["right.test"] and delivery.tls
    assert not any("MAIL" in line for d in hosts.dialogues_with(SERVERS["clear.test"])
                   for line in d.said)


def test_a_held_host_counts(server, policy, hosts, dns):
    """What a host demands that is not used now is demanded of the others: the answer may still be
    the last one when the host is back and the script is late."""
    dns.add("mx-host=both.test,mail.clear.test,10", "mx-host=both.test,mail.right.test,20")
    policy.start(None, outbound.store(policy), mxout="""
        function ServerDetails(params, headers, actions)
            if params.server == "mail.right.test" then actions.forceTLS = 1 end
        end
    """, mxserverrules="""
        function CheckServer(domain, mxserver) return mxserver ~= "mail.right.test" end
    """)
    assert server.send("ann@sender.test", "bob@both.test", MESSAGE).ok
    server.wait_log(r"to=<bob@both\.test>, .*dsn=4\.7\.4, status=deferred")
    assert hosts.dialogues_with(SERVERS["right.test"]) == []


def test_no_answer_is_not_in_clear(server, policy):
    """R18: a script that is broken or slow never lets mail out in clear: it waits, or goes by the
    last answer."""
    assert outcomes(server, policy, "actions.forceTLS = nothing.there", ["clear.test"],
                    ("policy.deadline_ms=500", "lua.instructions=1000000000000")) == {
                        "clear": "4.7.5"}
    assert outcomes(server, policy, "while true do end", ["clear.test"]) == {"clear": "4.7.5"}
    policy.wait_log("answered by default")
    # once it has answered, that answer is repeated
    flag = policy.directory / "slow"
    lua = f'local f = io.open("{flag}") if f then while true do end end actions.forceTLS = 1'
    assert outcomes(server, policy, lua, ["right.test", "clear.test"]) == {
        "right": "tls", "clear": "4.7.4"}
    flag.touch(mode=0o644)
    with server.client() as c:
        assert c.send("ann@sender.test", ["bob@right.test"], MESSAGE).ok
    assert server.wait_deliveries(2, recipient="bob@right.test")[-1].tls

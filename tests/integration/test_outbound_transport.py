"""GetOverrides() and FinalOverrides() on stock Postfix: servers other than those in DNS; held ones
are left out; recipients are never refused because a server is held."""

import re
import shutil

import pytest

from rig import machine, milter, outbound, postfix
from rig import policy as policy_module
from rig.deciding import hosts, policy, server, sockets   # noqa: F401 (fixtures)
from rig.outbound import DOMAIN, HOSTS, MESSAGE

BOB = f"bob@{DOMAIN}"


@pytest.fixture(scope="module")
def mta_of_module(world, name_server, sockets):
    service = policy_module.Policy(sockets)
    server = postfix.Postfix(world, 2730,
                             parameters=outbound.parameters(service, "mx", "transport"))
    yield server
    server.stop()


def start(policy, script, *options, **scripts):
    policy.start(None, outbound.store(policy), "outbound.minute_ms=1500", "outbound.holds_ms=0",
                 "outbound.route_seconds=0", *options, mxserverrules=script, **scripts)


def send(server, recipient):
    assert server.send("ann@sender.test", recipient, MESSAGE).ok


OVERRIDES = f"""
function GetOverrides(domain, numRetries, messageSize)
    if domain == "none.test" then return nil, false end
    if domain == "other.test" then return {{ "a.{DOMAIN}", "b.{DOMAIN}:25" }} end
end
"""


def test_we_are_the_backup(server, hosts, policy, dns):
    """A route never leads to this host, nor to a server behind it, which would bring the mail back:
    neither while a better one is held nor by FinalOverrides()."""
    dns.add(f"mx-host=backup.test,a.{DOMAIN},10", f"mx-host=backup.test,b.{DOMAIN},15",
            "mx-host=backup.test,us.backup.test,20", f"mx-host=backup.test,c.{DOMAIN},30",
            "host-record=us.backup.test,127.0.0.1")
    start(policy, f"""
        function FinalOverrides(domain, servers)
            if domain ~= "backup.test" then return end
            servers[#servers].priority = 1
            return servers
        end""")
    assert policy.look_up("transport", "bob@backup.test") == \
        f"OK smtp:[a.{DOMAIN}], [b.{DOMAIN}]"
    for host in "ab":
        outbound.cli(policy, "holds", "add", "server", f"{host}.{DOMAIN}", 10)
    assert policy.look_up("transport", "bob@backup.test") == "NOTFOUND "
    send(server, "bob@backup.test")
    server.wait_log(r"to=<bob@backup\.test>, .*dsn=4\.7\.0, status=deferred")
    assert hosts.dialogues_with() == [] and "status=bounced" not in server.log()


def test_other_servers(server, hosts, policy, dns):
    """A domain without any server in DNS goes by the script's; the next one when the first refuses;
    other domains and local mail are left alone."""
    dns.add(f"mx-host=none.test,c.{DOMAIN},10")
    start(policy, OVERRIDES)
    send(server, "bob@other.test")
    assert server.wait_delivery(recipient="bob@other.test").host == HOSTS["a"]
    hosts.answer("MAIL", "450 4.2.1 later", host=HOSTS["a"])
    send(server, "joe@other.test")
    assert server.wait_delivery(recipient="joe@other.test").host == HOSTS["b"]
    send(server, "bob@one.test")
    server.wait_delivery(recipient="bob@one.test")
    send(server, f"user1@{server.hostname}")
    server.wait_delivery(host="127.0.0.30")
    send(server, "bob@none.test")     # continue = false
    server.wait_log(r"to=<bob@none\.test>, .*dsn=4\.3\.0, status=deferred")
    assert "status=bounced" not in server.log()


def test_routes_are_reused(hosts, policy):
    """GetCheckCache: a route is good for outbound.route_seconds, unless the script wants it anew, of
    that domain alone; a reload forgets them all."""
    script = f"""
        function GetCheckCache(domain) return domain ~= "fresh.test" end
        function GetOverrides(domain) print(domain) return {{ "a.{DOMAIN}" }} end
    """
    start(policy, script, "outbound.route_seconds=600")

    def asked(*domains):
        before = policy.out()
        for domain in domains:
            assert policy.look_up("transport", f"bob@{domain}") == f"OK smtp:[a.{DOMAIN}]"
        return policy.out()[len(before):].split()
    assert asked(*["reused.test", "fresh.test"] * 3) == ["reused.test"] + ["fresh.test"] * 3
    assert asked("reused.test", "other.test") == ["other.test"]
    policy.reload()
    assert asked("reused.test", "reused.test") == ["reused.test"]


def test_servers_of_the_script_are_checked(server, hosts, policy):
    """CheckServer for each of them; none usable: accepted all the same, waits, is delivered. Without
    the service that `mailhooks setup` writes, too: then Postfix finds none."""
    policy.script("refused.lua", f'return {{ ["a.{DOMAIN}"] = true }}')
    script = OVERRIDES + """
        local refused = require "refused"
        function CheckServer(domain, mxserver) if refused[mxserver] then return false end end
    """
    start(policy, script)
    send(server, "bob@other.test")
    assert server.wait_delivery(recipient="bob@other.test").host == HOSTS["b"]
    policy.script("refused.lua", f'return {{ ["a.{DOMAIN}"] = true, ["b.{DOMAIN}"] = true }}')
    policy.reload()
    send(server, "joe@other.test")
    server.wait_log(r"to=<joe@other\.test>, .*dsn=4\.3\.0, status=deferred \(mail transport unav")
    assert "nothing is held" in outbound.cli(policy, "holds")
    policy.script("refused.lua", "return {}")
    policy.reload()
    send(server, "bob@one.test")      # qmgr(8) uses its last answer for half a minute
    server.wait_delivery(recipient="bob@one.test")
    server.flush()
    server.wait_delivery(recipient="joe@other.test")


def test_final_overrides(server, hosts, policy, dns):
    """The last word: another order, and one server less."""
    start(policy, f"""
        function FinalOverrides(domain, servers, numRetries, messageSize)
            if domain ~= "{DOMAIN}" then return end
            print(#servers, servers[1].server, servers[1].priority)
            servers[3].Priority = 1
            return {{ servers[1], servers[3] }}
        end
    """)
    send(server, BOB)
    assert server.wait_delivery(recipient=BOB).host == HOSTS["c"]
    assert f"3\ta.{DOMAIN}\t10" in policy.out()
    send(server, "bob@two.test")
    server.wait_delivery(recipient="bob@two.test")
    # a domain of this host that nobody has declared stays here
    dns.add("mx-host=ours.test,mx.ours.test,10", "host-record=mx.ours.test,127.0.0.1")
    policy.script("mxserverrules.lua", "function FinalOverrides() return { 'away.test' } end")
    policy.reload()
    assert policy.look_up("transport", "ann@ours.test") == "NOTFOUND "
    assert policy.look_up("transport", "bob@two.test") == "OK smtp:[away.test]"


def test_no_answer_in_time(server, hosts, policy):
    """R18: the last route, else the client is told to come back; nothing goes by the wrong way."""
    flag = policy.directory / "slow"
    start(policy, OVERRIDES.replace('if domain == "none.test"', f"""
        local f = io.open("{flag}")
        if f then while true do end end
        if domain == "none.test" """), "outbound.deadline_ms=300", "lua.instructions=1000000000000")
    send(server, "bob@other.test")
    server.wait_delivery(recipient="bob@other.test")
    flag.touch(mode=0o644)
    send(server, "joe@other.test")    # sender.test has its last answer too
    assert server.wait_delivery(recipient="joe@other.test").host == HOSTS["a"]
    assert server.send("ann@sender.test", "bob@new.test", MESSAGE).code == 451
    policy.wait_log("answered by default")


def test_domains_of_this_machine(server, policy):
    """Never routed, whichever of the two settings names them; Postfix asks about them too."""
    start(policy, 'function GetOverrides() return { "away.test" } end', "local_domains=ours.test",
          "outbound.local_domains=relayed.test")
    for domain in ("ours.test", "OURS.test", "relayed.test"):
        assert policy.look_up("transport", f"ann@{domain}") == "NOTFOUND "
    assert policy.look_up("transport", "ann@theirs.test") == "OK smtp:[away.test]"


def test_one_domain_of_a_shared_server_waits(hosts, make_postfix, policy):
    """With the service that `mailhooks setup` writes: not a connection for the domain that CheckServer
    refuses, be the server a name or an address, and all others go by the same ones."""
    domains = "one.test", "other.test", "two.test", "more.test"
    policy.script("refused.lua", 'return { ["other.test"] = true, ["more.test"] = true }')
    script = f"""
        function GetOverrides(domain)
            if domain == "one.test" or domain == "other.test" then return {{ "a.{DOMAIN}" }} end
            if domain ~= "sender.test" then return {{ "{HOSTS["b"]}" }} end
        end
        local refused = require "refused"
        function CheckServer(domain) return not refused[domain] end
    """
    policy.script("mxserverrules.lua", script)
    master = outbound.written(policy)[1]
    server = make_postfix(milter=None, parameters=outbound.parameters(policy, "mx", "transport"),
                          master=master)
    start(policy, script)
    with server.client() as c:
        assert c.send("ann@sender.test", [f"bob@{d}" for d in domains], MESSAGE).ok
    server.settle()
    assert sorted((d.host, d.recipients) for d in server.deliveries()) == [
        (HOSTS["a"], ["bob@one.test"]), (HOSTS["b"], ["bob@two.test"])]
    for domain in ("other.test", "more.test"):
        server.wait_log(rf"to=<bob@{domain}>, relay=none, .*dsn=4\.7\.5, status=deferred")
    assert len(hosts.dialogues_with(HOSTS["a"])) == len(hosts.dialogues_with(HOSTS["b"])) == 1
    assert "nothing is held" in outbound.cli(policy, "holds")
    told = outbound.cli(policy, "route", "bob@other.test")
    assert "transport map: mailhooks-wait:[192.0.0.8]\n" in told and f"a.{DOMAIN}: not used" in told
    policy.script("refused.lua", "return {}")
    policy.reload()
    server.flush()
    for domain in ("other.test", "more.test"):
        server.wait_delivery(recipient=f"bob@{domain}")


def test_domains_in_all_letters(hosts, make_postfix, policy, dns):
    """R17: a domain in UTF-8 (SMTPUTF8) is to the scripts what it is in DNS. It has its route, and
    its mail does not wait for a TLS policy."""
    server = make_postfix(milter=None, parameters=outbound.parameters(policy, "mx", "tls",
                                                                      "transport"))
    dns.add(f"mx-host=xn--strae-oqa.test,a.{DOMAIN},10")
    start(policy, f"""function GetOverrides(domain)
        if domain ~= "xn--strae-oqa.test" then return {{ "c.{DOMAIN}" }} end
    end""", "local_domains=xn--zrich-kva.test", mxout="""function ServerDetails(parameters)
        print(parameters.domain, parameters.server)
    end""")
    assert policy.look_up("transport", "bob@Z\u00dcRICH.test") == "NOTFOUND "
    assert policy.look_up("transport", "bob@\u00fc\u202e.test") == "NOTFOUND "
    with server.client() as c:
        assert c.command("MAIL FROM:<ann@sender.test> SMTPUTF8").ok
        for domain in ("b\u00fccher.test", "stra\u00dfe.test"):
            assert c.command(f"RCPT TO:<bob@{domain}>").ok
        assert c.command("DATA").code == 354
        assert c.command("Subject: hi\r\n\r\nhello\r\n.").ok
    server.wait_delivery(host=HOSTS["a"])
    server.wait_delivery(host=HOSTS["c"])
    assert {f"xn--bcher-kva.test\tc.{DOMAIN}", f"xn--strae-oqa.test\ta.{DOMAIN}"} <= set(
        policy.out().splitlines())


def test_the_snippet_where_debian_has_chroots(hosts, make_postfix):
    """contrib/postfix-outbound.cf.snippet with the paths that stand in it: those of Debian's
    master.cf that ask are in a chroot, trivial-rewrite(8) too."""
    server = make_postfix(milter=None)
    spool = server.top / "spool"
    (spool / "mailhooks").mkdir()
    shutil.chown(spool / "mailhooks", milter.USER)
    (spool / "etc").mkdir()
    shutil.copy("/etc/resolv.conf", spool / "etc")
    service = policy_module.Policy(spool / "mailhooks")
    start(service, OVERRIDES, mxout="function ServerDetails() end function ReturnCodeHandler() end")
    snippet = (machine.TOP / "contrib/postfix-outbound.cf.snippet").read_text()
    maps = dict(re.findall(r"^#?(\w+) = (socketmap:\S+)$", snippet, re.M))
    assert len(maps) == 7
    server.set_parameters(maps)
    master = server.etc / "master.cf"
    text, changed = re.subn(r"^((smtp|rewrite|cleanup) unix \S+ \S+) n", r"\1 y", master.read_text(),
                            flags=re.M)
    assert changed == 3
    master.write_text(text)
    server.reload()
    send(server, "bob@other.test")
    assert server.wait_delivery(recipient="bob@other.test").host == HOSTS["a"]
    assert "warning:" not in server.log()
    assert service.finish() == []

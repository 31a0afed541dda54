"""relayout.lua on stock Postfix: the senders of the configuration become transports that
`mailhooks setup` writes, CheckFile() chooses one for each message, and the header field that tells
Postfix never leaves the host."""

import pytest

from rig import certificates, machine
from rig import milter as milter_module
from rig import outbound, relays
from rig import policy as policy_module
from rig.deciding import sockets   # noqa: F401 (fixture)
from rig.relays import CHOOSE, FIELD, RELAYS
from test_examples import example

SENDER, BOB, CAT = "ann@sender.test", "bob@one.test", "cat@two.test"
SMALL = "From: ann@sender.test\nTo: bob@one.test\nSubject: small\n\nhello\n"
LARGE = SMALL.replace("small", "large") + ("x" * 70 + "\n") * 1000


class Site:
    """A Postfix with both daemons, set up by `mailhooks setup`."""

    def __init__(self, milter, policy, postfix):
        self.milter, self.policy, self.postfix = milter, policy, postfix

    def run(self, script, *options, config=relays.configuration()):
        scripts = {} if script is None else {"relayout": script}
        self.policy.start(None, outbound.store(self.policy), config=config, **scripts)
        self.milter.start(None, outbound.store(self.policy), *options, config=config, **scripts)

    def send(self, message=SMALL, recipients=BOB, sender=SENDER):
        return self.postfix.send(sender, recipients, message)

    def arrived(self, name, recipient=BOB):
        """The message, at this relay and nowhere else."""
        delivery = self.postfix.wait_delivery(recipient=recipient)
        assert delivery.host == RELAYS[name]
        assert delivery.header(FIELD) == []
        return delivery


@pytest.fixture(scope="module")
def postfix_of_module(world, name_server, sockets):
    service = policy_module.Policy(sockets)
    made = relays.written(service, relays.configuration(), "function ReturnCodeHandler() end")
    server = relays.start_postfix(world, 2740, milter_module.Milter(sockets / "milter.sock"), *made)
    yield server
    server.stop()


@pytest.fixture
def site(sink, sockets, postfix_of_module):
    milter, policy = milter_module.Milter(sockets / "milter.sock"), policy_module.Policy(sockets)
    postfix_of_module.begin_test()
    for _ in relays.listen(sink):
        yield Site(milter, policy, postfix_of_module)
    postfix_of_module.end_test()
    assert milter.finish() == [] and policy.finish() == []


def test_large_messages_through_one_sender(site):
    """The vendor's example: over 50000 bytes through sender 0, all others through sender 1."""
    site.run(CHOOSE)
    assert site.send(LARGE).ok and site.send(SMALL, CAT).ok
    assert site.arrived("big").header("Subject") == ["large"]
    assert site.arrived("other", CAT).header("Subject") == ["small"]


def test_a_forged_field_means_nothing(site):
    """What came with the message names no sender, and is gone."""
    site.run(CHOOSE)
    assert site.send(f"{FIELD}: 0\nx-mailhooks-sender : 0\n{SMALL}{FIELD}: 0\n").ok
    delivery = site.arrived("other")
    assert delivery.body == b"hello\r\n" + f"{FIELD}: 0\r\n".encode()
    assert [name for name, _ in delivery.fields if name.strip().lower() == FIELD.lower()] == []


def test_a_long_field_of_another_filter(site):
    """Postfix shows the map every field that a filter adds, as long as it is."""
    site.run(CHOOSE)
    site.milter.script("smtpsvr.lua", """
        function ProcessMessage(from, subject, recipients, actions)
            actions.HeaderModifiers = { "X-Long: " .. string.rep("0123456 ", 7000) }
            return actions
        end
    """)
    site.milter.reload()
    assert site.send().ok
    assert len(site.arrived("other").header("X-Long")[0]) > 50000


def test_held_when_every_sender_skips(site):
    site.run("""function CheckFile(name, actions)
        actions.SkipSend, actions.Reason = true, "not by " .. sendername
        return actions
    end""")
    assert site.send().ok
    site.postfix.settle()
    assert [name for name, _ in site.postfix.queue()] == ["hold"]
    assert site.postfix.deliveries() == []
    log = site.milter.log()
    assert "sender 0 (big) skips the message: not by big" in log
    assert "sender 1 (other) skips the message: not by other" in log
    machine.run("postsuper", "-c", site.postfix.etc, "-H", "ALL", env=site.postfix.env)
    site.postfix.flush()
    site.arrived("big")   # released by hand: through the first that was asked


def test_what_the_script_is_told(site):
    """All global variables; Start() before CheckFile(), whose arguments are eight; what Start()
    leaves behind is there in CheckFile(); a fresh instance for each sender and message."""
    site.run("""
        count = (count or 0) + 1
        function Start()
            print("start", count, senderid, sendername, UseBATV, MaxMessagesPerConnection,
                  MaxRecipientsPerConnection, MaxRecipientsPerMessage, VerifyCertificate,
                  "[" .. ConnectedServer .. "]")
            mark = "from Start"
        end
        function CheckFile(...)
            local name, actions, size, created, from, to, headers, lines = ...
            print("check", select("#", ...), #name > 5, size > 60, #created, from,
                  table.concat(to, "+"), headers["subject"], lines[3], mark)
            print("actions", actions.SkipSend, actions.Priority, "[" .. actions.Reason .. "]",
                  actions.ForceRetry)
            actions.SkipSend = senderid == 0
        end""")
    assert site.send(recipients=[BOB, CAT]).ok
    site.arrived("other", CAT)
    seen = site.milter.out().splitlines()
    check = f"check\t8\ttrue\ttrue\t14\t{SENDER}\t{BOB}+{CAT}\tsmall\tSubject: small\tfrom Start"
    actions = "actions\tfalse\t50\t[]\tfalse"
    assert seen == ["start\t1\t0\tbig\tfalse\t0\t0\t0\tfalse\t[]", check, actions,
                    "start\t1\t1\tother\tfalse\t0\t0\t0\tfalse\t[]", check, actions]


def test_local_recipients_keep_a_message_here(site):
    """FILTER would take every recipient along, so nobody is asked when one is local."""
    site.run("function CheckFile() print('asked') end")
    local = f"user@{site.postfix.hostname}"
    assert site.send(recipients=[BOB, local]).ok
    assert site.postfix.wait_delivery(recipient=BOB).host not in RELAYS.values()
    site.postfix.wait_delivery(recipient=local)
    assert site.milter.out() == ""
    assert "no sender is asked: 1 of 2 recipients are local" in site.milter.log()


def test_header_data(site):
    """Names in any case, values without folds, of repeated fields the last."""
    site.run("""function CheckFile(name, actions, size, created, from, to, headers, lines)
        print(headers["x-one"], headers["X-ONE"], headers["Subject"], headers["none"], #lines)
    end""")
    assert site.send("x-One: first\nSubject: a long\n one\nX-one: second\nno-colon\n\nhello\n").ok
    site.arrived("big")
    assert site.milter.out().startswith("second\tsecond\ta long one\tnil\t")


def test_many_fields_of_a_stranger(site):
    """Their number is the sender's choice; the table costs what its lines cost."""
    site.run("function CheckFile(...) print(#select(8, ...)) end")
    assert site.send("".join(f"X-F{n}: v\n" for n in range(9000)) + SMALL).ok
    site.arrived("big")
    assert int(site.milter.out()) >= 9003


def test_without_a_script(site):
    """The first sender that is for all recipients takes the message; else it goes directly."""
    config = relays.configuration(big='domains = { "two.test", ".one.test" }',
                                  other='domains = { ".test" }')
    site.run(None, config=config)
    assert site.send(recipients=CAT).ok and site.send(recipients=BOB).ok
    site.arrived("big", CAT)
    site.arrived("other", BOB)
    assert site.send(recipients=["dan@two.test", "eve@one.test"]).ok
    site.arrived("other", "dan@two.test")


def test_for_nobody(site):
    site.run(None, config=relays.configuration(big='domains = { "x.test" }', other='relay = ""'))
    assert site.send().ok
    assert site.postfix.wait_delivery(recipient=BOB).host not in RELAYS.values()


@pytest.mark.parametrize("hook", ["Start", "CheckFile"])
@pytest.mark.parametrize("mode", ["accept", "tempfail"])
def test_a_script_that_fails(site, hook, mode):
    """accept: as if there were no script; tempfail: the message waits at its sender."""
    site.run(f"function {hook}(name, actions) if actions then actions.SkipSend = true end "
             "error('broken') end", f"lua.on_error={mode}")
    reply = site.send()
    if mode == "accept":
        assert reply.ok
        site.arrived("big")
    else:
        assert reply.code == 451
    assert "broken" in site.milter.errors()


def test_a_wrong_result(site):
    site.run("function CheckFile() return 'yes' end")
    assert site.send().ok
    site.arrived("big")
    assert "a result is not the table Actions" in site.milter.log()


def test_the_dialogue_with_a_relay(site, sink):
    """ServerConnected(), and ReturnCodeHandler() with its three arguments: a 4xx for an unknown
    recipient becomes a bounce."""
    sink.answer("RCPT", "450-4.2.1 one\n450 4.2.1 unknown", host=RELAYS["other"])
    site.run(CHOOSE + """
        function ServerConnected() print("connected", senderid, ConnectedServer) end
        function ReturnCodeHandler(command, full, last)
            print(sendername, ConnectedServer, command, (full:gsub("\\r\\n", "/")), last)
            if command:match("^RCPT") then return "550 5.1.1 " .. last:sub(5) end
        end""")
    assert site.send().ok
    site.postfix.wait_log("status=bounced")
    seen = site.policy.out().splitlines()
    host = RELAYS["other"]
    assert seen[:2] == [f"connected\t1\t{host}",
                        f"other\t{host}\tCONNECT\t220 sink.test ESMTP\t220 sink.test ESMTP"]
    assert any(line.endswith("\t450-4.2.1 one/450 4.2.1 unknown\t450 4.2.1 unknown")
               for line in seen)
    assert seen.count(seen[0]) == 1


def test_refused_after_a_recipient(site, sink):
    """R18: with what setup attaches, a second recipient's 4xx becomes a bounce, a refused DATA does
    not, since the hook knows which it was."""
    sink.answer("RCPT", "450 4.2.1 unknown", contains="cat@")
    site.run(CHOOSE + """
        function ReturnCodeHandler(command, full, last, where)
            print(sendername, command, last, where.again)
            if command:match("^RCPT") and last:match("^4") then return "550 5.1.1 unknown" end
        end""")
    assert site.send(SMALL, [BOB, CAT]).ok
    site.postfix.wait_log(rf"to=<{CAT}>, .*dsn=5.1.1, status=bounced")
    site.arrived("other", BOB)
    assert "other\tRCPT TO:\t450 4.2.1 unknown\ttrue\n" in site.policy.out()
    sink.answer("DATA", "451 4.3.0 busy")
    assert site.send(SMALL, BOB).ok
    site.postfix.wait_log(rf"to=<{BOB}>, .*dsn=4.3.0, status=deferred .*reply to DATA")


def test_the_map(site):
    """Its answers; a number that nobody has is no reason to send a message another way."""
    site.run(CHOOSE)
    assert site.policy.look_up("header", f"{FIELD}: 1") \
        == f"OK FILTER mailhooks-sender-1:[{RELAYS['other']}]:25"
    for key in ("Subject: 1", f"{FIELD}:", f"{FIELD}: 1 2", f"{FIELD}: -1", "",
                f"{FIELD}: 123456789"):
        assert site.policy.look_up("header", key).startswith("NOTFOUND")
    assert site.policy.look_up("header", f"{FIELD}: 7").startswith("TEMP")


def test_while_the_service_is_away(site):
    """The message is refused for now, and never goes another way."""
    site.milter.start(None, outbound.store(site.policy), config=relays.configuration(),
                      relayout=CHOOSE)
    assert site.send().code == 451
    site.postfix.settle()
    assert site.postfix.deliveries(recipient=BOB) == [] and site.postfix.queue() == []


# setup

SETTINGS = """
    max_recipients_per_message = 7
    max_recipients_per_connection = 20
    helo_name = "out.sender.test"
"""
START = """
    function Start()
        if sendername == "big" then
            MaxMessagesPerConnection = 9
        else
            MaxRecipientsPerMessage, MaxMessagesPerConnection, VerifyCertificate = "2", 1, 1
        end
    end
"""


def service_of(master, name):
    """The options of a service of master.cf."""
    _, found, rest = master.partition(f"\n{name} unix - - n - - smtp\n")
    assert found, master
    options = []
    for line in rest.splitlines():
        if not line.startswith("  -o "):
            break
        options.append(line[5:])
    return options


def test_setup_writes_what_start_leaves_behind(sink, sockets):
    """Limits and certificates of the transports: the section of the configuration, then Start()."""
    policy = policy_module.Policy(sockets)
    main, master = relays.written(policy, relays.configuration(big=SETTINGS), START)
    assert main["mailhooks-sender-0_destination_recipient_limit"] == "7"
    assert main["mailhooks-sender-1_destination_recipient_limit"] == "2"
    assert main["milter_header_checks"] == policy.map("header")
    assert "smtp_reply_filter" not in main and "transport_maps" not in main
    big, other = (service_of("\n" + master, f"mailhooks-sender-{n}") for n in (0, 1))
    # 20 recipients of a connection in messages with 7: two of them
    assert {"smtp_tls_security_level=none", "smtp_helo_name=out.sender.test",
            "smtp_connection_cache_on_demand=yes", "smtp_connection_reuse_count_limit=1",
            "smtp_reply_filter="} <= set(big)
    assert {"smtp_tls_security_level=secure", "smtp_connection_cache_on_demand=no"} <= set(other)
    assert policy.finish() == []


def test_setup_names_the_maps_in_use(sink, sockets):
    policy = policy_module.Policy(sockets)
    policy.script("mxserverrules.lua", "function CheckServer() end")
    policy.script("mxout.lua", "function ServerDetails() end")
    main, master = relays.written(policy, "", None)
    assert main == {"smtp_dns_reply_filter": policy.map("mx"),
                    "smtp_tls_policy_maps": policy.map("tls"),
                    "smtp_discard_ehlo_keyword_address_maps": policy.map("ehlo_out"),
                    "smtp_connection_cache_on_demand": "no", "smtp_randomize_addresses": "no",
                    "enable_long_queue_ids": "yes"}
    assert master == ""
    for listen, written in (("inet:9999@127.0.0.1", "inet:127.0.0.1:9999"),
                            ("unix:/var/spool/postfix/x/map", "unix:x/map")):
        printed = machine.run(outbound.CLI, "-c", policy.config, "-o", f"scripts={policy.scripts}",
                              "-o", f"socketmap.listen={listen}", "setup")
        assert f"smtp_dns_reply_filter = socketmap:{written}:mx\n" in printed.stdout.decode()
        assert printed.stderr == b""
    assert "out of reach" in outbound.cli(policy, "setup", check=False).stderr
    assert outbound.cli(policy, "setup", "x", check=False).returncode == 2
    policy.script("mxserverrules.lua", "function FinalOverrides() end")  # holds of servers in DNS
    assert {"smtp_dns_reply_filter", "transport_maps"} <= set(relays.written(policy, "", None)[0])
    policy.script("relayout.lua", "function Start() error('broken') end")
    policy.config.write_text(relays.configuration())
    failed = outbound.cli(policy, "setup", options=["lua.on_error=tempfail"], check=False)
    assert failed.returncode == 1 and "Start() of relayout.lua failed" in failed.stderr
    assert policy.finish() == []


@pytest.fixture
def make_site(sink, name_server):
    """make_site(config, script, parameters): a Postfix of its own for these senders."""
    made = []

    def make(config, script, parameters=None):
        directory = outbound.socket_directory()
        milter = milter_module.Milter(directory / "milter.sock")
        policy = policy_module.Policy(directory)
        main, master = relays.written(policy, config, script)
        server = relays.start_postfix(sink, 2750, milter, {**main, **(parameters or {})}, master)
        made.append(Site(milter, policy, server))
        made[-1].run(None, config=config)
        milter.script("relayout.lua", script)
        milter.reload()
        return made[-1]
    for _ in relays.listen(sink):
        yield make
    for site in made:
        site.postfix.stop()
        assert site.milter.finish() == [] and site.policy.finish() == []


def test_recipients_of_a_message(make_site):
    site = make_site(relays.configuration(), "function Start() MaxRecipientsPerMessage = 2 end")
    assert site.send(recipients=[f"u{n}@one.test" for n in range(5)]).ok
    found = site.postfix.wait_deliveries(3)
    site.postfix.settle()
    assert sorted(len(d.recipients) for d in site.postfix.deliveries()) == [1, 2, 2], found


@pytest.mark.parametrize("limits, messages", [
    ("MaxMessagesPerConnection = 2", [1, 2, 2]),
    ("MaxRecipientsPerMessage, MaxRecipientsPerConnection = 3, 6", [1, 2, 2])])
def test_limits_of_a_connection(make_site, sink, limits, messages):
    """Connections to the relay are used again, but for no more messages than the script's Start()
    allows, or messages that have that many recipients."""
    site = make_site(relays.configuration(), f"function Start() {limits} end",
                     {"smtp_connection_cache_destinations": RELAYS["big"],
                      "smtp_connection_cache_time_limit": "30s"})
    for n in range(5):   # one after the other, each while the connection is kept
        site.send(recipients=[f"u{n}{k}@one.test" for k in "abc"])
        site.postfix.wait_deliveries(n + 1)
    site.postfix.settle()
    dialogues = sink.dialogues_with(RELAYS["big"])
    assert sorted(sum(line.startswith("MAIL") for line in d.said) for d in dialogues) == messages
    assert sum(line.startswith("RCPT") for d in dialogues for line in d.said) == 15


def test_the_certificate_of_a_relay(make_site, sink, dns):
    """VerifyCertificate: the right certificate gets the mail, another name gets nothing."""
    authority = certificates.Authority()
    names = {"big": "big.relay.test", "other": "other.relay.test"}
    dns.add(*(f"host-record={names[n]},{RELAYS[n]}" for n in names))
    config = "".join(f'sender "{n}" {{\n relay = "[{names[n]}]"\n tls = "encrypt"\n}}\n'
                     for n in names)
    site = make_site(config, CHOOSE + "function Start() VerifyCertificate = true end",
                     {"smtp_tls_CAfile": str(authority.certificate)})
    for name, issued in (("big", "big.relay.test"), ("other", "wrong.relay.test")):
        sink.unlisten(RELAYS[name])
        sink.listen(RELAYS[name], certificate=authority.issue(issued))
    assert site.send(LARGE, CAT).ok and site.send(SMALL, BOB).ok
    assert site.arrived("big", CAT).tls
    site.postfix.wait_log(r"to=<bob@one.test>.*status=deferred \(Server certificate not verified\)")
    assert site.postfix.deliveries(recipient=BOB) == []


# the rest

def test_return_paths_are_signed_as_the_sender_wants(site):
    """UseBATV: for each message."""
    keys = site.milter.directory / "batv.keys"
    keys.write_text("1 0123456789abcdef\n")
    keys.chmod(0o600)
    milter_module.shutil.chown(keys, milter_module.USER)
    site.run(CHOOSE + "function Start() UseBATV = senderid == 0 end", f"batv.key_file={keys}",
             "batv.domains=sender.test", "batv.sign=true")
    assert site.send(LARGE, CAT).ok and site.send(SMALL, BOB).ok
    assert site.arrived("big", CAT).sender.startswith("prvs=")
    assert site.arrived("other", BOB).sender == SENDER


def test_the_example(site):
    """contrib/scripts/relayout.lua"""
    site.run(example("relayout.lua", ("5 * 1024 * 1024", "50000"),
                     ('"bulk", "normal"', '"big", "other"')))
    assert site.send(LARGE, CAT).ok and site.send(SMALL, BOB).ok
    assert site.send("Precedence: Bulk\n" + SMALL, "list@one.test").ok
    site.arrived("big", CAT)
    site.arrived("other", BOB)
    site.arrived("big", "list@one.test")


def test_on_sendmail(sendmail_server, milter, sink):
    """The relay cannot be chosen there: mail goes its own way, without a trace; held as ever."""
    sendmail_server.begin_test()
    milter.start(config=relays.configuration(), relayout="""
        function CheckFile(name, actions)
            return actions
        end""")
    assert sendmail_server.send(SENDER, BOB, f"{FIELD}: 0\n{SMALL}").ok
    delivery = sendmail_server.wait_delivery(recipient=BOB)
    assert delivery.host not in RELAYS.values() and delivery.header(FIELD) == []
    milter.script("relayout.lua", "function CheckFile() return {SkipSend = 1} end")
    milter.reload()
    assert sendmail_server.send(SENDER, CAT, SMALL).ok
    sendmail_server.settle()
    assert sendmail_server.deliveries(recipient=CAT) == []
    assert [name for name, _ in sendmail_server.queue()] == ["hold"]
    sendmail_server.end_test()

"""Block lists: real look-ups in the name server of the rig, and what comes of them."""

import time

import pytest

from rig import dns as dns_module, machine
from test_globals import addresses, by_address, local_user
from test_hooks_session import printed, said

SENDER, CLIENT, CLEAN, CLIENT6 = "ann@sender.test", "192.0.2.7", "192.0.2.8", "2001:db8::7"
MESSAGE = "Subject: hi\n\nhello\n"
ZONE = 'rbl { zones = { "bl.test" } %s }'
WARNING = "the sending server is on a DNS block list"
TARGET = "spam@one.test"


def query(address, zone="bl.test"):
    return f"A {dns_module.reverse_name(address)}.{zone}"


def asked(dns, zone="bl.test"):
    """The look-ups in this list so far, without the repetitions of a resolver that waits."""
    return [name for name in dns.queries() if name.endswith("." + zone)]


def send(mta, source=CLIENT, to=None):
    return mta.send(SENDER, to or local_user(mta), MESSAGE, source=source,
                    **({"host": "::1"} if ":" in source else {}))


@pytest.fixture
def listed(dns):
    """bl.test lists CLIENT."""
    dns.block_list("bl.test", CLIENT)
    return dns


# rbl.action, without any script

@pytest.mark.parametrize("client", [CLIENT, CLIENT6])
def test_header_for_a_listed_client(mta, milter, dns, client):
    if ":" in client and not machine.has_ipv6():
        pytest.skip("no IPv6 here")
    dns.block_list("bl.test", client)
    milter.start(config=ZONE % "")
    assert send(mta, client).code == 250
    assert mta.wait_delivery().header("X-RBL-Warning") == [WARNING]
    assert query(client) in asked(dns)
    assert f"client {client} is listed by bl.test" in milter.log()


def test_nothing_for_a_clean_client(mta, milter, listed):
    milter.start(config=ZONE % "")
    assert send(mta, CLEAN).code == 250
    assert mta.wait_delivery().header("X-RBL-Warning") == []
    assert asked(listed) == [query(CLEAN)]


@pytest.mark.parametrize("settings,code,enhanced,text", [
    ('action = "reject"', 550, "5.7.1", "Refused: your server is on a DNS block list"),
    ('action = "reject" message = "450 4.7.9 not now"', 450, "4.7.9", "not now"),
    ('action = "reject" message = "554"', 554, "5.7.1", "")])
def test_action_reject(mta, milter, listed, settings, code, enhanced, text):
    milter.start(config=ZONE % settings)
    reply = send(mta)
    assert (reply.code, reply.enhanced, said(reply)) == (code, enhanced, [text])
    assert send(mta, CLEAN).code == 250
    assert mta.wait_delivery().header("X-RBL-Warning") == []


def test_action_discard(mta, milter, listed):
    milter.start(config=ZONE % 'action = "discard"')
    assert send(mta).code == 250
    milter.wait_log("message discarded: the client is listed")
    mta.settle()
    assert mta.deliveries() == [] and mta.queue() == []


def test_action_redirect(mta, milter, listed):
    milter.start(config=ZONE % f'action = "redirect" redirect = "{TARGET}"')
    assert send(mta, to=[local_user(mta), "eve@" + mta.hostname]).code == 250
    delivery = mta.wait_delivery()
    assert delivery.recipients == [TARGET] and delivery.header("X-RBL-Warning") == [WARNING]
    mta.settle()
    assert len(mta.deliveries()) == 1


@pytest.mark.parametrize("header,expected", [
    ("X-Spam-Source: yes, listed", ("X-Spam-Source", ["yes, listed"])), ("", ("X-RBL-Warning", []))])
def test_header_of_the_configuration(mta, milter, listed, header, expected):
    milter.start(config=ZONE % f'header = "{header}"')
    assert send(mta).code == 250
    name, values = expected
    assert mta.wait_delivery().header(name) == values


# RBLResults() and RBLResultInfo

INFO = '''
local function show(when)
    local zones = {}
    for zone, answer in pairs(RBLResultInfo) do
        zones[#zones + 1] = zone .. "=" .. math.type(answer) .. ":" .. answer
    end
    table.sort(zones)
    print(when, RBLFound, table.concat(zones, " "))
end
function Start() show("start") end
function RBLResults() show("results") end
function DoHELO() show("helo") end
function DoMAILFROM() show("mail") end
function ProcessMessage() show("message") end
'''
THREE_ZONES = 'rbl { zones = { "bl.test", "clean.test", "two.bl.test" } check_all = %s }'
PACKED = {"127.0.0.1": 16777343, "127.0.0.2": 33554559, "127.0.0.10": 167772287, "127.1.2.3": 50463103}


def test_result_info(mta, milter, dns):
    """The answer as a number, least significant byte first; readable in all later hooks."""
    clients = [client for client, _ in addresses(PACKED)]
    dns.extra += [f"host-record={query(client)[2:]},{answer}" for client, answer in zip(clients, PACKED)]
    dns.add()
    milter.start(INFO, config=ZONE % "")
    for client, number in zip(clients, PACKED.values()):
        assert send(mta, client).code == 250
        found = f"\ttrue\tbl.test=integer:{number}"
        printed(milter, "start\tfalse\t", "results" + found, "helo" + found, "mail" + found, "message" + found)


def test_result_info_of_others(mta, milter, listed):
    """A table in every hook, also when nothing was asked."""
    milter.start(INFO, config=ZONE % 'whitelist = { "192.0.2.9" }')
    for source in (CLEAN, "192.0.2.9", "127.0.0.1"):
        mta.client(source=source).quit()
    assert milter.out().splitlines() == ["start\tfalse\t", "results\tfalse\t", "helo\tfalse\t"] * 2 \
        + ["start\tfalse\t", "helo\tfalse\t"]
    assert asked(listed) == [query(CLEAN)]


def test_check_all_zones(mta, milter, dns):
    dns.block_list("bl.test", CLIENT)
    dns.block_list("two.bl.test", CLIENT, answer="127.0.0.4")
    milter.start(INFO, config=THREE_ZONES % "true")
    assert send(mta).code == 250
    printed(milter, "results\ttrue\tbl.test=integer:33554559 two.bl.test=integer:67108991")
    assert set(asked(dns, "test")) >= {query(CLIENT, zone) for zone in ("bl.test", "clean.test", "two.bl.test")}


def test_first_hit_is_enough(mta, milter, dns):
    dns.block_list("bl.test", CLIENT)
    dns.block_list("two.bl.test", CLIENT)
    milter.start(INFO, config=THREE_ZONES % "false")
    assert send(mta).code == 250
    results = [line for line in milter.out().splitlines() if line.startswith("results\ttrue")]
    assert len(results) == 1 and results[0].count("=") == 1


def test_answers_that_list_nobody(mta, milter, dns):
    """Outside of 127.0.0.0/8 a list has closed down; 127.255.255.x does not serve us."""
    dns.block_list("parked.test", CLIENT, answer="198.51.100.99")
    dns.block_list("refusing.test", CLIENT, answer="127.255.255.254")
    milter.start(INFO, config='rbl { zones = { "parked.test", "refusing.test" } action = "reject" }')
    for _ in range(3):
        assert send(mta).code == 250
    printed(milter, "results\tfalse\t")
    for zone in ("parked.test", "refusing.test"):
        assert milter.log().count(f"rbl: zone {zone} ") == 1


# result strings of RBLResults(); more of them in test_replies.py and test_hooks_session.py

def test_results_may_refuse(mta, milter, listed):
    milter.start('function RBLResults() if RBLFound then return "450 4.7.9 wait" end end', config=ZONE % "")
    reply = send(mta)
    assert (reply.code, reply.enhanced, said(reply)) == (450, "4.7.9", ["wait"])
    assert send(mta, CLEAN).code == 250


def test_positive_result_takes_the_client(mta, milter, listed):
    milter.start('function RBLResults() return "220 welcome all the same" end',
                 config=ZONE % 'action = "reject"')
    assert send(mta).code == 250
    assert mta.wait_delivery().recipients == [local_user(mta)]


# the choice in the hands of the script

A, R, D, T = "accepted", "refused", "discarded", "to the target"
CHOICES = {   # what the script assigns: what follows under rbl.action header, reject, discard, redirect
    "": (A, R, D, T),
    "RBLAccept = true": (A, A, A, A),
    "RBLAccept = 1": (A, A, A, A),
    "RBLAccept = false": (R, R, D, T),
    "RBLBlackhole = true": (D, D, D, D),
    "RBLBlackhole = '1'": (D, D, D, D),
    "RBLBlackhole = false": (A, R, R, T),
    f"RBLRedirect = '{TARGET}'": (T, T, T, T),
    "RBLRedirect = ''": (A, R, D, R),
    f"RBLBlackhole, RBLRedirect = true, '{TARGET}'": (D, D, T, D),
    f"RBLAccept, RBLBlackhole, RBLRedirect = true, true, '{TARGET}'": (D, A, A, A),
    "RBLAccept, RBLBlackhole, RBLRedirect = false, false, ''": (R, R, R, R),
    "RBLFound = false": (A, A, A, A),
    "RBLFound = 'no'": (A, A, A, A),
}
ACTIONS = ["header", "reject", "discard", "redirect"]


def what_became(reply, deliveries, to):
    """One of A, R, D, T for a message and its deliveries."""
    recipients = [r for d in deliveries for r in d.recipients]
    if reply.code == 550:
        assert recipients == []
        return R
    assert reply.code == 250 and recipients in ([], [to], [TARGET])
    return D if not recipients else T if recipients == [TARGET] else A


@pytest.mark.parametrize("action", ACTIONS)
def test_choice_of_the_script(mta, milter, dns, action):
    """What RBLResults() switches on counts before rbl.action, and acceptance before the others."""
    cases = addresses(CHOICES)
    dns.block_list("bl.test", *(address for address, _ in cases))
    milter.start(by_address(CHOICES) + "function RBLResults() case() end",
                 config=ZONE % f'action = "{action}" redirect = "{TARGET if action == "redirect" else ""}"')
    to = local_user(mta)
    replies = [mta.send(SENDER, to, f"Subject: {address}\n\nhello\n", source=address) for address, _ in cases]
    mta.settle()
    for (address, choice), reply in zip(cases, replies):
        found = [d for d in mta.deliveries() if d.header("Subject") == [address]]
        assert what_became(reply, found, to) == CHOICES[choice][ACTIONS.index(action)], choice
        for delivery in found:
            assert delivery.header("X-RBL-Warning") == [WARNING] * ("RBLFound" not in choice), choice


LATER_HOOKS = ["DoHELO", "DoMAILFROM", "DoRCPTTO", "EndMessage", "ProcessMessage", "MonitorBcc"]


@pytest.mark.parametrize("choice,expected", [("RBLBlackhole = true", D), (f"RBLRedirect = '{TARGET}'", T)])
def test_choice_in_a_later_hook(mta, milter, dns, choice, expected):
    cases = addresses(LATER_HOOKS)
    dns.block_list("bl.test", *(address for address, _ in cases))
    script = by_address([f'return "{hook}"' for hook in LATER_HOOKS])
    for hook in LATER_HOOKS:
        script += f'function {hook}() if case() == "{hook}" then {choice} end end\n'
    milter.start(script, config=ZONE % "")
    replies = [mta.send(SENDER, local_user(mta), f"Subject: {address}\n\nhello\n", source=address)
               for address, _ in cases]
    mta.settle()
    for (address, hook), reply in zip(cases, replies):
        found = [d for d in mta.deliveries() if d.header("Subject") == [address]]
        assert what_became(reply, found, local_user(mta)) == expected, hook


def test_found_by_the_script_itself(mta, milter):
    """Without any list: RBLFound may be the script's own finding."""
    milter.start('''
        function RBLResults() if IPAddress == "192.0.2.7" then RBLFound = true end end
        function DoMAILFROM(data, from) if from == "drop@sender.test" then RBLBlackhole = true end end
    ''')
    assert send(mta).code == 250
    assert mta.wait_delivery().header("X-RBL-Warning") == [WARNING]
    assert mta.send("drop@sender.test", local_user(mta), MESSAGE, source=CLIENT).code == 250
    assert send(mta, CLEAN).code == 250
    mta.settle()
    assert [d.header("X-RBL-Warning") for d in mta.deliveries()] == [[WARNING], []]


MESSAGES = {   # RBLRejectMessage: code, enhanced code, lines
    "550 5.7.9 see http://bl.test/%s": (550, "5.7.9", ["see http://bl.test/%s"]),
    "450 later": (450, "4.2.0", ["later"]),
    "Your server is listed": (550, "5.7.1", ["Your server is listed"]),
    "Listed.\nSee http://bl.test/": (550, "5.7.1", ["Listed.", "See http://bl.test/"]),
    "550-5.7.9 Listed.\r\n550 5.7.9 See there": (550, "5.7.9", ["Listed.", "See there"]),
    "": (550, "5.7.1", ["Your address is on a block list"]),
    "250 fine": (550, "5.7.1", ["Your address is on a block list"]),
    # a text with a NUL is none: the setting stays
    "no\0 and \r no": (550, "5.7.1", ["Refused: your server is on a DNS block list"]),
}


def test_reject_message(mta, milter, dns):
    cases = [f"RBLRejectMessage = {lua(text)}" for text in MESSAGES]
    dns.block_list("bl.test", *(address for address, _ in addresses(cases)))
    milter.start(by_address(cases) + "function RBLResults() case() end", config=ZONE % 'action = "reject"')
    for (address, _), (code, enhanced, lines) in zip(addresses(cases), MESSAGES.values()):
        reply = send(mta, address)
        assert (reply.code, reply.enhanced, said(reply)) == (code, enhanced, lines)
    assert "RBLRejectMessage: the result is a positive reply" in milter.log()


def lua(text):
    return '"' + "".join(f"\\{byte:03d}" for byte in text.encode()) + '"'


def test_reject_message_with_421_closes(mta, milter, listed):
    milter.start('function Start() RBLRejectMessage = "421 4.7.0 go away" end',
                 config=ZONE % 'action = "reject"')
    c = mta.client(source=CLIENT, hello=False)
    assert c.banner.code == 421 and c.server_closed()


HEADERS = {   # RBLHeader: the fields that follow
    "X-Mine: listed": [("X-Mine", "listed")], "X-Mine: 100%s": [("X-Mine", "100%s")], "": [],
    "no colon": [], "X-A: b\r\nX-B: c": [], "X-A: b\n\nbody": [], "Bad Name: x": []}


def test_header_of_the_script(mta, milter, dns):
    """R10: one header line or none."""
    cases = [f"RBLHeader = {lua(text)}" for text in HEADERS]
    dns.block_list("bl.test", *(address for address, _ in addresses(cases)))
    milter.start(by_address(cases) + "function DoMAILFROM() case() end", config=ZONE % "")
    for address, _ in addresses(cases):
        assert mta.send(SENDER, local_user(mta), f"Subject: {address}\n\nhello\n", source=address).code == 250
    found = {d.header("Subject")[0]: d for d in mta.wait_deliveries(len(cases))}
    for (address, case), expected in zip(addresses(cases), HEADERS.values()):
        fields = [(n, v.strip()) for n, v in found[address].fields if n.startswith(("X-", "Bad", "no"))]
        assert fields == expected, case
        assert found[address].body == b"hello\r\n"


UNUSABLE = ["not an address", "x@one.test\r\nRCPT TO:<y@one.test>", "a b@one.test", "<>", "@", "x@one.test\x1b"]


def test_unusable_target_keeps_the_recipients(mta, milter, dns):
    """R10; recipients are never emptied by accident."""
    cases = [f"RBLRedirect = {lua(target)}" for target in UNUSABLE]
    dns.block_list("bl.test", *(address for address, _ in addresses(cases)))
    milter.start(by_address(cases) + "function Start() case() end", config=ZONE % "")
    for address, _ in addresses(cases):
        assert send(mta, address).code == 250
    mta.settle()
    assert [d.recipients for d in mta.deliveries()] == [[local_user(mta)]] * len(cases)
    assert milter.log().count("left out") == len(cases)


def test_target_that_is_a_recipient_already(mta, milter, listed):
    to, other = local_user(mta), f"eve@{mta.hostname}"
    milter.start(f"function Start() RBLRedirect = '{to}' end", config=ZONE % "")
    assert send(mta, to=[to, other]).code == 250
    mta.settle()
    assert [r for d in mta.deliveries() for r in d.recipients] == [to]


# who is asked about what

@pytest.mark.parametrize("where", ["{0}", "function Start() {0} end"])
def test_zones_of_the_script(mta, milter, dns, where):
    """Without any zone in the configuration; names that cannot be asked are left out."""
    dns.block_list("own.test", CLIENT)
    milter.start(where.format('RBLServers = {"", "bad zone", ("x"):rep(300), "a..b", 5, "clean.test", {}, '
                              '"own.test"} RBLAccept = false'))
    assert send(mta).code == 550
    assert send(mta, CLEAN).code == 250
    assert len(asked(dns, "own.test")) == 2


def test_lists_are_read_after_start_only(mta, milter, listed):
    milter.start('function LoadLimits() RBLServers = {} RBLWhitelist = {"*"} end\n'
                 'function DoHELO() RBLServers = {} RBLWhitelist = {"*"} end', config=ZONE % "")
    assert send(mta).code == 250
    assert mta.wait_delivery().header("X-RBL-Warning") == [WARNING]


def test_check_all_of_the_script(mta, milter, dns):
    dns.block_list("bl.test", CLIENT)
    dns.block_list("two.bl.test", CLIENT)
    milter.start("function Start() RBLCheckAllServers = 1 end\n"
                 "function RBLResults() for zone in pairs(RBLResultInfo) do print(zone) end end",
                 config=THREE_ZONES % "false")
    mta.client(source=CLIENT).quit()
    assert sorted(milter.out().split()) == ["bl.test", "two.bl.test"]


MATCHING = ["192.0.2.{n}", "192.0.2.0/24", "192.0.2.*", "192.0.?.{n}", "*", "host{n}.friend.test",
            "*.friend.test", "HOST{n}.Friend.TEST", "host??.friend.test", "*friend*",
            "127.0.0.1', '192.0.2.{n}"]
OTHERS = ["192.0.2.{n}0", "198.51.100.0/24", "2.0.192.*", "*.enemy.test", "friend.test", "host?.friend.test",
          "*.friend.test.enemy.test", "", "192.0.2", "bl.test", "/", "[", "%d+"]


@pytest.mark.parametrize("by_config", [False, True])
def test_whitelist(mta, milter, dns, by_config):
    """Addresses, networks, host names; the lists are not even asked about these clients."""
    entries = [entry.format(n=n) for n, entry in enumerate(MATCHING + OTHERS, 10)]
    clients = [address for address, _ in addresses(entries)]
    dns.extra += [f"host-record=host{address.split('.')[3]}.friend.test,{address}" for address in clients]
    dns.block_list("bl.test", *clients)
    if by_config:
        milter.start(config=ZONE % 'action = "reject" whitelist = { "198.51.100.1", "host15.friend.test" }')
        expected = [250 if client == "192.0.2.15" else 550 for client in clients]
    else:
        milter.start(by_address([f"RBLWhitelist = {{'{entry}'}}" for entry in entries])
                     + "function Start() case() end", config=ZONE % 'action = "reject"')
        expected = [250] * len(MATCHING) + [550] * len(OTHERS)
    for client, entry, code in zip(clients, entries, expected):
        with mta.client(source=client) as c:
            assert c.mail(SENDER).code == code, entry
    assert sorted(set(asked(dns))) == sorted(query(c) for c, code in zip(clients, expected) if code == 550)


def test_forged_host_name_is_not_whitelisted(mta, milter, dns):
    """The owner of an address names it as he likes: only a name that leads back to it counts."""
    dns.extra += ["ptr-record=7.2.0.192.in-addr.arpa,mail.friend.test",
                  "host-record=mail.friend.test,192.0.2.99"]
    dns.block_list("bl.test", CLIENT)
    milter.start(config=ZONE % 'action = "reject" whitelist = { "*.friend.test" }')
    with mta.client(source=CLIENT) as c:
        assert c.mail(SENDER).code == 550


def test_local_clients_are_not_looked_up(mta, milter, dns):
    dns.block_list("bl.test", "127.0.0.1", CLIENT, CLEAN)
    milter.start('''
        function Start()
            print(IPAddress, CheckRBL)
            if IPAddress == "192.0.2.8" then CheckRBL = true end
        end
        function RBLResults() print("results") end
    ''', config='service "smtp" { local_networks = { "127.0.0.0/8", "192.0.2.0/24" } }\n' + ZONE % "")
    for source in ("127.0.0.1", CLIENT, CLEAN):
        assert send(mta, source).code == 250
    assert milter.out().splitlines() == [
        "127.0.0.1\tfalse", f"{CLIENT}\tfalse", f"{CLEAN}\tfalse", "results"]
    assert asked(dns) == [query(CLEAN)]
    mta.settle()
    assert sorted(len(d.header("X-RBL-Warning")) for d in mta.deliveries()) == [0, 0, 1]


@pytest.mark.parametrize("where", ["{0}", "function Start() {0} end"])
def test_check_rbl_switched_off(mta, milter, listed, where):
    milter.start(where.format("CheckRBL = 0") + '\nfunction RBLResults() print("results") end',
                 config=ZONE % 'action = "reject"')
    assert send(mta).code == 250
    assert (milter.out(), asked(listed)) == ("", [])


def test_answers_are_kept_for_their_ttl(mta, milter, dns):
    """One question for many sessions; an answer without TTL is asked for again."""
    dns.add(f"host-record={query(CLIENT)[2:]},127.0.0.2,600", f"host-record={query(CLEAN)[2:]},127.0.0.2,0")
    milter.start("function RBLResults() print(RBLFound) end", config=ZONE % "")
    for _ in range(4):
        mta.client(source=CLIENT).quit()
        mta.client(source=CLEAN).quit()
    assert (asked(dns).count(query(CLIENT)), asked(dns).count(query(CLEAN))) == (1, 4)
    assert milter.out().split() == ["true"] * 8


# name servers that do not answer

SLACK = 1.0   # seconds that a loaded machine may need on top


def timed(function):
    begin = time.monotonic()
    result = function()
    return result, time.monotonic() - begin


def test_dead_name_server_delays_no_longer_than_its_time(mta, milter, silent_dns):
    """After some failures it is skipped for a while; nobody is refused for it."""
    milter.start(INFO, f"dns.servers={silent_dns.address}", config=ZONE % 'timeout_ms = 600 action = "reject"')
    for n in range(5):
        code, seconds = timed(lambda: send(mta).code)
        assert code == 250 and seconds < 0.6 + SLACK
    milter.wait_log(f"dns: no answer from {silent_dns.address} in 5 calls")
    code, seconds = timed(lambda: send(mta).code)
    assert code == 250 and seconds < 0.5
    assert "results\ttrue" not in milter.out()


def test_dead_zone_hides_no_other(mta, milter, dns, silent_dns):
    """A list whose servers are silent costs its time a few times and is skipped then; the others count."""
    dns.extra.append(f"server=/dead.test/{silent_dns.address}")
    dns.block_list("bl.test", CLIENT)
    milter.start(INFO, config='rbl { zones = { "dead.test", "bl.test" } check_all = true timeout_ms = 400 }')
    for n in range(6):
        code, seconds = timed(lambda: send(mta).code)
        assert code == 250 and seconds < 0.4 + SLACK
    milter.wait_log("rbl: zone dead.test gave no usable answer 5 times in a row")
    code, seconds = timed(lambda: send(mta).code)
    assert code == 250 and seconds < 0.35
    assert milter.out().count("results\ttrue\tbl.test=integer:33554559") == 7


def test_hit_is_not_delayed_by_a_dead_zone(mta, milter, dns, silent_dns):
    dns.extra.append(f"server=/dead.test/{silent_dns.address}")
    dns.block_list("bl.test", CLIENT)
    milter.start(config='rbl { zones = { "dead.test", "bl.test" } timeout_ms = 8000 }')
    code, seconds = timed(lambda: send(mta).code)
    assert code == 250 and seconds < 3
    assert mta.wait_delivery().header("X-RBL-Warning") == [WARNING]


def test_scripts_leave_less_time_to_the_lists(mta, milter, silent_dns):
    """All of one SMTP command together stays within lua.command_ms."""
    milter.start('function Start() local t = os.clock() while os.clock() - t < 0.7 do end end',
                 f"dns.servers={silent_dns.address}", "lua.command_ms=1200", "lua.hook_ms=1000",
                 config=ZONE % "timeout_ms = 1200")
    c, seconds = timed(lambda: mta.client(source=CLIENT, hello=False))
    with c:
        assert c.banner.code == 220 and seconds < 1.2 + SLACK / 2
        assert c.ehlo().code == 250 and c.mail(SENDER).code == 250


CROWD, WAITING = 24, 4


def test_many_sessions_with_a_dead_name_server(mta, milter, silent_dns):
    """milter.waiting bounds how many wait; the rest does without, and other sessions notice nothing."""
    milter.start("function DoMAILFROM() end", f"dns.servers={silent_dns.address}", f"milter.waiting={WAITING}",
                 "dns.breaker_failures=0", config=ZONE % "timeout_ms = 3000")

    def session(n):
        if n < CROWD:   # strangers
            return timed(lambda: send(mta, f"192.0.2.{n + 10}").code)
        time.sleep(1)   # in the midst of it
        return timed(lambda: mta.send(SENDER, "bob@one.test", MESSAGE).code)
    results = machine.in_parallel(CROWD + 4, session)
    assert {code for code, _ in results} == {250}
    assert all(seconds < 3 + 2 * SLACK for _, seconds in results)
    assert all(seconds < 2 * SLACK for _, seconds in results[CROWD:])
    waited = sum(seconds >= 2.9 for _, seconds in results)
    assert 1 <= waited <= WAITING
    assert f"milter.waiting: {WAITING} callbacks wait already" in milter.log()

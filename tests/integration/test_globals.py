"""Global variables of smtpsvr.lua: what a script finds in them, and what its assignments do."""

import socket
import subprocess

import pytest

from rig import machine, milter as milter_module, mta as mta_module, smtp
from test_hooks_session import printed, said

SENDER, BOB = "ann@sender.test", "bob@one.test"
MESSAGE = "Subject: hi\n\nhello\n"
STRANGERS, OURS = "192.0.2.", "127.0.0."   # clients; the last number picks the case


def local_user(mta):
    return f"bob@{mta.hostname}"


def login(mta, client):
    """Authenticates the rig's user."""
    user = f"{mta_module.USER}@{mta.hostname}"
    assert client.auth_plain(user, mta_module.PASSWORD).code == 235


def mail_from(mta, source, auth=False):
    """The reply to MAIL of a client at this address."""
    with mta.client(source=source) as c:
        if auth:
            login(mta, c)
        return c.mail(SENDER)


def addresses(cases, network=STRANGERS):
    return [(f"{network}{n}", case) for n, case in enumerate(cases, 10)]


def by_address(cases, network=STRANGERS):
    """Lua: function case() does what stands in the list for the client's address."""
    functions = "".join(f'["{address}"] = function() {text} end,\n'
                        for address, text in addresses(cases, network))
    return f"local cases = {{\n{functions}}}\nlocal case = cases[IPAddress] or function() end\n"


# what a script finds

SHOW = '''
local names = {"IPAddress", "ValidClientAddress", "LocalClientAddress", "AuthenticationRequired",
    "AllowedUsers", "CheckRBL", "RBLCheckAllServers", "RBLFound", "RBLAccept", "RBLBlackhole",
    "RBLRedirect", "MaxLineLength", "AddUserAddresses", "ServerID", "ServerName", "Encryption",
    "EncryptionDetails"}
local function show(when)
    for _, name in ipairs(names) do
        local value = _G[name]
        print(when, name, type(value), math.type(value) or "", value)
    end
end
show("load")
print("lists", table.concat(RBLServers, " "), table.concat(RBLWhitelist, " "))
function Start() show("start") end
function DoHELO() show("helo") end
'''


def shown(milter, when):
    """Name -> (type, value) of the last time that the script showed them."""
    rows = [line.split("\t") for line in milter.out().splitlines()]
    return {row[1]: (row[3] or row[2], row[4]) for row in rows if row[0] == when}


def test_values_at_connect(mta, milter):
    """At the top level of the script already, with their types."""
    milter.start(SHOW)
    expected = {
        "IPAddress": ("string", STRANGERS + "7"), "ValidClientAddress": ("boolean", "true"),
        "LocalClientAddress": ("boolean", "false"), "AuthenticationRequired": ("boolean", "false"),
        "AllowedUsers": ("string", ""), "CheckRBL": ("boolean", "true"),
        "RBLCheckAllServers": ("boolean", "false"), "RBLFound": ("boolean", "false"),
        "RBLAccept": ("boolean", "true"), "RBLBlackhole": ("boolean", "false"),
        "RBLRedirect": ("string", ""), "MaxLineLength": ("integer", "0"),
        "AddUserAddresses": ("boolean", "false"), "ServerID": ("integer", "1"),
        "ServerName": ("string", "smtp"), "Encryption": ("boolean", "false"),
        "EncryptionDetails": ("string", ""),
    }
    mta.client(source=STRANGERS + "7").quit()
    for when in ("load", "start", "helo"):
        assert shown(milter, when) == expected
    assert "lists\t\t\n" in milter.out()

    mta.client().quit()
    expected |= {"IPAddress": ("string", "127.0.0.1"), "LocalClientAddress": ("boolean", "true"),
                 "CheckRBL": ("boolean", "false")}
    for when in ("load", "start", "helo"):
        assert shown(milter, when) == expected


def test_values_of_the_configuration(mta, milter):
    milter.start(SHOW, config='''
        service "outside" {
            id = 25
            client_networks = { "127.0.0.0/8" }
            local_networks = { "192.0.2.0/24" }
            auth_required = true
            allowed_users = "ann bob"
            max_line_bytes = 998
        }
        rbl {
            zones = { "bl.test", "dnsbl.test" }
            whitelist = { "192.0.2.0/24" }
            check_all = true
            action = "discard"
        }
    ''')
    mta.client(source=STRANGERS + "7").quit()
    found = shown(milter, "start")
    assert {name: value for name, (_, value) in found.items()} == {
        "IPAddress": STRANGERS + "7", "ValidClientAddress": "false", "LocalClientAddress": "false",
        "AuthenticationRequired": "true", "AllowedUsers": "ann bob", "CheckRBL": "true",
        "RBLCheckAllServers": "true", "RBLFound": "false", "RBLAccept": "false",
        "RBLBlackhole": "true", "RBLRedirect": "", "MaxLineLength": "998",
        "AddUserAddresses": "false", "ServerID": "25", "ServerName": "outside",
        "Encryption": "false", "EncryptionDetails": ""}
    assert "lists\tbl.test dnsbl.test\t192.0.2.0/24\n" in milter.out()


@pytest.mark.skipif(not machine.has_ipv6(), reason="no IPv6 here")
def test_ipv6_clients(mta, milter):
    milter.start(SHOW)
    mta.client(host="::1").quit()
    found = shown(milter, "start")
    assert found["IPAddress"] == ("string", "::1")
    assert found["LocalClientAddress"] == ("boolean", "true")
    mta.client(host="::1", source="2001:db8::7").quit()
    found = shown(milter, "start")
    assert found["IPAddress"] == ("string", "2001:db8::7")
    assert found["LocalClientAddress"] == ("boolean", "false")


def test_encryption_after_starttls(mta, milter):
    """R11: known from the HELO after STARTTLS on; another session knows nothing of it."""
    milter.start('''
        function DoHELO(name) print(name, Encryption, EncryptionDetails) end
        function DoMAILFROM(data, from) print(from, Encryption, EncryptionDetails) end
    ''')
    with mta.client(hello=False) as c:
        c.ehlo("clear.test")
        assert c.starttls().code == 220
        c.ehlo("tls.test")
        c.mail(SENDER)
        cipher, version, _ = c.socket.cipher()
        with mta.client(hello=False) as other:
            other.ehlo("other.test")
    printed(milter, "clear.test\tfalse\t", f"tls.test\ttrue\t{version} {cipher}",
            f"{SENDER}\ttrue\t{version} {cipher}", "other.test\tfalse\t")


def test_variables_that_are_only_in(mta, milter):
    """A script may overwrite its own copy; ours stays, and what we decide with it."""
    milter.start('''
        function Start()
            IPAddress, ServerName, ServerID, Encryption = "10.9.8.7", "mine", 99, true
            return "550 5.7.1 no"
        end
        function DoMAILFROM() end
    ''')
    with mta.client(source=STRANGERS + "7") as c:
        c.mail(SENDER)
    assert f"session of {STRANGERS}7 refused" in milter.log()
    assert "10.9.8.7" not in milter.log()


def test_sessions_do_not_see_each_other(mta, milter):
    """R11: every session begins with the values of the configuration, also in a used instance."""
    milter.start('''
        function Start()
            print("begin", AuthenticationRequired, MaxLineLength, AllowedUsers, mine)
            AuthenticationRequired, MaxLineLength, AllowedUsers, mine = true, 7, "eve", 1
        end
        function DoMAILFROM() end
    ''')
    for _ in range(3):
        assert mail_from(mta, "127.0.0.1").code == 530
    machine.in_parallel(8, lambda n: mail_from(mta, f"127.0.0.{n + 1}"))
    begins = {line for line in milter.out().splitlines() if line.startswith("begin")}
    assert begins == {"begin\tfalse\t0\t\tnil"}


@pytest.mark.parametrize("mta", ["sendmail"], indirect=True)
def test_sendmail_on_standard_input_is_local(mta, milter):
    """`sendmail -bs` has a client without address: it is this host."""
    milter.start('function Start() print(IPAddress, ValidClientAddress, LocalClientAddress) end\n'
                 'function DoMAILFROM() end')
    ours, its = socket.socketpair()
    process = subprocess.Popen([mta.binary, "-L", mta.tag, "-bs", "-C", mta.top / "sendmail.cf"],
                               stdin=subprocess.PIPE, stdout=its)
    its.close()
    with ours, ours.makefile("rb") as replies, process:
        codes = [replies.readline()[:3]]   # Sendmail refuses who talks before its greeting
        for line in (b"HELO client.test", f"MAIL FROM:<{SENDER}>".encode(), b"QUIT"):
            process.stdin.write(line + b"\r\n")
            process.stdin.flush()
            codes.append(replies.readline()[:3])
    assert codes == [b"220", b"250", b"250", b"221"]
    assert milter.out().splitlines() == ["127.0.0.1\ttrue\ttrue"]


# ValidClientAddress

@pytest.mark.parametrize("hook", ["", "Start", "LoadLimits", "GetMaxMessageSize", "DoHELO",
                                  "DoMAILFROM"])
def test_invalid_client(mta, milter, hook):
    assign = 'if IPAddress == "192.0.2.7" then ValidClientAddress = false end'
    milter.start(f"function {hook}()\n{assign}\nend" if hook else assign)
    reply = mail_from(mta, STRANGERS + "7")
    assert (reply.code, reply.enhanced) == (550, "5.7.1")
    assert mail_from(mta, STRANGERS + "8").code == 250


def test_client_networks(mta, milter):
    """A script may let one client in again; it still may not relay."""
    milter.start('''
        function DoMAILFROM(data, from)
            if from == "friend@sender.test" then ValidClientAddress = true end
        end
    ''', config='service "smtp" { client_networks = { "127.0.0.0/8", "::1", "198.51.100.0/24" } }')
    for source, code in (("127.0.0.1", 250), ("198.51.100.9", 250), (STRANGERS + "7", 550)):
        assert mail_from(mta, source).code == code
    assert mta.send("friend@sender.test", local_user(mta), MESSAGE, source=STRANGERS + "7").code == 550
    milter.script("smtpsvr.lua", '''
        function Start() if IPAddress == "192.0.2.7" then ValidClientAddress = true end end
    ''')
    milter.reload()
    assert mta.send(SENDER, local_user(mta), MESSAGE, source=STRANGERS + "7").code == 250
    assert mta.send(SENDER, BOB, MESSAGE, source=STRANGERS + "7").code in (550, 554)
    assert mta.send(SENDER, local_user(mta), MESSAGE, source=STRANGERS + "8").code == 550
    assert len(mta.wait_deliveries(1)) == 1


STEPS = 0x37f   # SMFIP_NO* of connect, HELO, MAIL, RCPT, body, header, its end, unknown, DATA
NO_MAIL = 0x04


@pytest.mark.parametrize("mta", ["postfix"], indirect=True)
def test_default_networks_need_no_question(mta, milter):
    """A service for everybody has nothing to decide at MAIL, so the MTA does not wait for us."""
    def steps():
        mta.client().quit()
        return int(milter.wait_log(r"negotiated: .* steps (0x[0-9a-f]+)")[1], 16)
    milter.start("", "log.level=debug")
    assert steps() & STEPS == STEPS
    milter.stop()
    milter.stderr.write_text("")
    milter.start("", "log.level=debug", "service.smtp.client_networks=127.0.0.0/8")
    assert steps() & NO_MAIL == 0


def test_client_networks_without_a_script(mta, milter):
    milter.start(config='service "smtp" { client_networks = { "127.0.0.0/8" } }')
    reply = mail_from(mta, STRANGERS + "7")
    assert (reply.code, reply.enhanced) == (550, "5.7.1")
    assert mail_from(mta, "127.0.0.1").code == 250


# LocalClientAddress

NO_RELAY = '''
function Start() if IPAddress == "127.0.0.7" then LocalClientAddress = false end end
'''


def test_local_client_may_no_longer_relay(mta, milter):
    milter.start(NO_RELAY)
    with mta.client(source="127.0.0.7") as c:
        assert c.mail(SENDER).code == 250
        reply = c.rcpt(BOB)
        assert (reply.code, reply.enhanced) == (550, "5.7.1")
        assert c.rcpt(local_user(mta)).code == 250
        assert c.rcpt("eve@two.test").code == 550
        assert c.data(smtp.crlf(MESSAGE)).code == 250
    assert mta.wait_delivery().recipients == [local_user(mta)]
    assert mta.send(SENDER, BOB, MESSAGE, source="127.0.0.8").code == 250


LOCAL = ["true", "1", '"1"', '"yes"', "nil", "{}", "print"]   # the last three mean nothing
NOT_LOCAL = ["false", "0", '"0"', '"no"', '""']


def test_values_of_local_client_address(mta, milter):
    cases = LOCAL + NOT_LOCAL
    milter.start(by_address([f"LocalClientAddress = {value}" for value in cases], OURS)
                 + "function Start() case() end")
    for source, value in addresses(cases, OURS):
        with mta.client(source=source) as c:
            c.mail(SENDER)
            assert c.rcpt(BOB).code == (250 if value in LOCAL else 550), value


def test_authenticated_client_may_relay_again(mta, milter):
    milter.start(NO_RELAY)
    with mta.client(source="127.0.0.7") as c:
        login(mta, c)
        assert c.send(SENDER, [BOB, local_user(mta)], MESSAGE).code == 250
    delivered = mta.wait_deliveries(2)
    assert sorted(r for d in delivered for r in d.recipients) == sorted([BOB, local_user(mta)])


@pytest.mark.parametrize("hook", ["", "Start", "DoHELO", "DoMAILFROM", "DoRCPTTO"])
def test_no_script_opens_a_relay(mta, milter, hook):
    """The MTA's own refusal stands, whatever LocalClientAddress and the others say."""
    assign = ("LocalClientAddress, ValidClientAddress, AuthenticationRequired = true, true, false "
              "RBLAccept = true")
    milter.start(f"function {hook}()\n{assign}\nend" if hook else assign)
    with mta.client(source=STRANGERS + "7") as c:
        assert c.mail(SENDER).code == 250
        reply = c.rcpt(BOB)
        assert reply.code in (550, 554) and "elay" in reply.text
        assert c.rcpt(local_user(mta)).code == 250


def test_refusal_of_the_script_stands_before_ours(mta, milter):
    """Of two refusals of one command the script's own words are said."""
    milter.start(NO_RELAY + 'function DoRCPTTO() return "450 4.7.9 own words" end')
    with mta.client(source="127.0.0.7") as c:
        c.mail(SENDER)
        reply = c.rcpt(BOB)
        assert (reply.code, said(reply)) == (450, ["own words"])


# AuthenticationRequired

YES, NO = ["true", "1", '"1"', '"yes"', "0.5", '"true"'], ["false", "0", '"0"', '"no"', '"OFF"', '""', "nil"]


def test_authentication_required(mta, milter):
    milter.start(by_address(f"AuthenticationRequired = {value}" for value in YES + NO)
                 + "function Start() case() end")
    for source, value in addresses(YES + NO):
        reply = mail_from(mta, source)
        if value in YES:
            assert (reply.code, reply.enhanced) == (530, "5.7.0"), value
        else:
            assert reply.code == 250, value
        assert mail_from(mta, source, auth=True).code == 250


def test_authentication_required_by_the_configuration(mta, milter):
    milter.start('''
        function Start()
            print(AuthenticationRequired, LocalClientAddress)
            if IPAddress == "192.0.2.8" then AuthenticationRequired = "no" end
        end
    ''', config='service "smtp" { auth_required = true }')
    for source in ("127.0.0.1", STRANGERS + "7"):
        assert mail_from(mta, source).code == 530
        assert mail_from(mta, source, auth=True).code == 250
    assert mail_from(mta, STRANGERS + "8").code == 250
    assert set(milter.out().splitlines()) == {"true\tfalse"}


# AllowedUsers

def test_allowed_users(mta, milter):
    user, realm = mta_module.USER, mta.hostname
    allowed = ["", user, user.upper(), f"{user}@{realm}", f"eve {user}", f"{user} eve", f"eve,{user}",
               f" eve\t{user}@{realm}  "]
    refused = ["eve", user[:-1], user + "0", f"{user}@other.test", f"@{realm}", "eve frank", "*"]
    cases = allowed + refused
    milter.start(by_address(f"AllowedUsers = '{users}'" for users in cases) + "function Start() case() end")
    for source, users in addresses(cases):
        reply = mail_from(mta, source, auth=True)
        if users in allowed:
            assert reply.code == 250, users
        else:
            assert (reply.code, reply.enhanced) == (550, "5.7.1"), users
        assert mail_from(mta, source).code == 250   # who is no user is not restricted


def test_allowed_users_of_the_configuration(mta, milter):
    milter.start(by_address([f'AllowedUsers = "{mta_module.USER}"', "AllowedUsers = nil"])
                 + "function Start() case() end",
                 config='service "smtp" { allowed_users = "eve frank" }')
    codes = [mail_from(mta, STRANGERS + n, auth=True).code for n in ("10", "11", "12")]
    assert codes == [250, 550, 550]


# MaxLineLength

def lines(*lengths):
    return b"Subject: " + b"s" * 500 + b"\r\n\r\n" + b"".join(b"x" * n + b"\r\n" for n in lengths)


def test_max_line_length(mta, milter):
    """Bytes of a body line without its end; the header does not count."""
    milter.start(by_address(["MaxLineLength = 100", 'MaxLineLength = "100"', "MaxLineLength = 1e2"])
                 + "function Start() case() end")
    across = [98] * 655 + [150]   # the long line lies across two chunks of the milter protocol
    for source, _ in addresses(range(3)):
        with mta.client(source=source) as c:
            for body, code in ((lines(100), 250), (lines(101), 554), (lines(5, 101, 5), 554),
                               (lines(*across), 554), (lines(*[98] * 656), 250)):
                reply = c.send(SENDER, [local_user(mta)], body)
                assert reply.code == code
                if code == 554:
                    assert reply.enhanced == "5.6.0" and "100" in reply.text
    with mta.client(source=STRANGERS + "99") as c:
        assert c.send(SENDER, [local_user(mta)], lines(900)).code == 250


def test_max_line_length_of_the_configuration(mta, milter):
    milter.start('''
        function DoMAILFROM(data, from)
            MaxLineLength = ({["any@sender.test"] = 0, ["less@sender.test"] = 20})[from]
        end
    ''', config='service "smtp" { max_line_bytes = 50 }')
    with mta.client() as c:
        codes = [c.send(sender, [BOB], lines(length)).code for sender, length in (
            (SENDER, 50), (SENDER, 51), ("less@sender.test", 21), ("any@sender.test", 300))]
    assert codes == [250, 554, 554, 250]


def test_max_line_length_without_a_script(mta, milter):
    milter.start(config='service "smtp" { max_line_bytes = 50 }')
    with mta.client() as c:
        assert c.send(SENDER, [BOB], lines(51)).code == 554
        assert c.send(SENDER, [BOB], lines(50)).code == 250


# ServerID, ServerName

SERVICES = 'function Start() print("service", ServerID, ServerName) end'


def test_service_by_daemon_name(mta, milter, make_postfix):
    """Postfix: milter_macro_daemon_name; Sendmail: Name= of DAEMON_OPTIONS."""
    milter.start(SERVICES, config='''
        service "first" { }
        service "in" { id = 25 daemon_names = { "inbound", "MTA" } }
        service "six" { id = 0 daemon_names = { "submission", "MTA6" } }
    ''')
    if mta.name == "postfix":
        submission = 2599
        server = make_postfix(parameters={"milter_macro_daemon_name": "inbound"}, master=(
            f"{submission} inet n - n - - smtpd\n  -o milter_macro_daemon_name=submission\n"))
        server.client().quit()
        smtp.Client("127.0.0.1", submission).quit()
        mta.client().quit()   # its name is that of the host, which no service lists
        printed(milter, "service\t25\tin", "service\t3\tsix", "service\t1\tfirst")
    else:
        mta.client().quit()
        printed(milter, "service\t25\tin")
        if machine.has_ipv6():
            mta.client(host="::1").quit()
            printed(milter, "service\t25\tin", "service\t3\tsix")


@pytest.fixture
def second_server(mta, request):
    """A server of the same kind that asks another socket of the same filter."""
    address = f"unix:{milter_module.socket_path().parent}/second.sock"
    make = request.getfixturevalue("make_" + mta.name)

    def start():
        return make(milter=address)
    start.address = address
    return start


def test_service_by_listen_address(mta, milter, second_server):
    """Two services of one filter, each with a socket of its own; a reload is over when both have
    the new script."""
    milter.start(SERVICES, f"milter.listen={second_server.address}", config=f'''
        service "first" {{ daemon_names = {{ "MTA", "mail.test" }} }}
        service "second" {{ listen = {{ "{second_server.address}" }} auth_required = true }}
    ''')
    second = second_server()
    for n in range(1, 6):
        assert mail_from(second, "127.0.0.1").code == 530
        assert mail_from(mta, "127.0.0.1").code == 250
        assert milter.out().splitlines()[-2:] == ["service\t2\tsecond", "service\t1\tfirst"]
        milter.script("smtpsvr.lua", f'print("generation {n}")')
        milter.reload()
        second.client().quit(), mta.client().quit()
        assert milter.out().splitlines()[-2:] == [f"generation {n}"] * 2
        milter.script("smtpsvr.lua", SERVICES)
        milter.reload()


# read back after every hook

HOOKS = ["LoadLimits", "Start", "RBLResults", "GetMaxMessageSize", "GetEHLOCapabilities", "DoHELO",
         "DoMAILFROM", "DoRCPTTO", "DoDATAStart", "StartMessage", "MessageLineRaw", "MessageLine",
         "EndMessage", "CheckRecipients", "ProcessMessage", "MonitorBcc", "LogRecipients", "DoRSET",
         "DoUnrecognised"]
BEFORE_MAIL = HOOKS[:HOOKS.index("DoMAILFROM") + 1]


def test_read_back_after_every_hook(mta, milter):
    """An assignment in any hook counts from the next decision on."""
    script = by_address(f'return "{hook}"' for hook in HOOKS)
    for hook in HOOKS:
        script += f'function {hook}() if case() == "{hook}" then AuthenticationRequired = true end end\n'
    milter.start(script)
    for source, hook in addresses(HOOKS):
        with mta.client(source=source) as c:
            if hook == "DoUnrecognised":
                c.command("FOO")
            elif hook == "DoRSET":
                assert c.mail(SENDER).code == 250
                c.rset()
            elif hook not in BEFORE_MAIL:
                assert c.send(SENDER, [local_user(mta)], MESSAGE).code == 250, hook
            assert c.mail(SENDER).code == 530, hook


@pytest.mark.parametrize("mta", ["postfix"], indirect=True)
def test_values_stay_as_assigned(mta, milter):
    """What a hook wrote is what the next one reads, also where we decide nothing with it."""
    values = {"ValidClientAddress": "false", "LocalClientAddress": "false",
              "AuthenticationRequired": "true", "AllowedUsers": '"eve"', "MaxLineLength": "72",
              "AddUserAddresses": "true", "CheckRBL": "false", "RBLFound": "true",
              "RBLAccept": "false", "RBLBlackhole": "true", "RBLRedirect": '"x@one.test"',
              "RBLRejectMessage": '"550 no"', "RBLHeader": '"X-A: b"', "RBLCheckAllServers": "true"}
    milter.start("function Start()\n" + "".join(f"{n} = {v}\n" for n, v in values.items())
                 + "end\nfunction DoHELO()\n"
                 + "".join(f'print("{n}", {n} == {v})\n' for n, v in values.items()) + "end")
    mta.client().quit()
    assert milter.out().splitlines() == [f"{name}\ttrue" for name in values]


# values of a wrong type

WRONG = {   # variable: values that mean nothing for it
    "ValidClientAddress": ["{}", "print", "nil"],
    "AuthenticationRequired": ["{}", "print", "nil"],
    "AllowedUsers": ["{}", "true", "print", "nil"],
    "MaxLineLength": ["{}", "true", '"many"', "0/0", "1/0", "nil"],
    "CheckRBL": ["{}", "print", "nil"],
    "RBLServers": ["true", "print", "nil"],
    "RBLWhitelist": ["false", "print", "nil"],
}


def test_wrong_types_leave_ours_unchanged(mta, milter, dns):
    """Every variable has a value that decides; no wrong one takes its place."""
    dns.block_list("bl.test", *(f"{STRANGERS}{n}" for n in range(10, 60)))
    cases = [f"{name} = {value}" for name, values in WRONG.items() for value in values]
    milter.start(by_address(cases) + "function Start() case() end\nfunction DoRCPTTO() end", config='''
        service "smtp" { auth_required = true allowed_users = "user1" max_line_bytes = 50 }
        rbl { zones = { "bl.test" } header = "X-Listed: yes" }
    ''')
    for source, case in addresses(cases):
        with mta.client(source=source) as c:
            assert c.mail(SENDER).code == 530, case
            login(mta, c)
            assert c.send(SENDER, [BOB], lines(51)).code == 554, case
            assert c.send(SENDER, [f"{source}@one.test"], lines(50)).code == 250, case
    for delivery in mta.wait_deliveries(len(cases)):
        assert delivery.header("X-Listed") == ["yes"], delivery.recipients


def test_deleted_and_strange_globals_hurt_nobody(mta, milter):
    milter.start('''
        for name in pairs(_G) do
            if name ~= "print" and name ~= "_G" and name ~= "math" then _G[name] = nil end
        end
        function Start() print("alive") end
        function DoMAILFROM() MaxLineLength = math.huge AllowedUsers = "a\\0b" RBLServers = {{}, 1, {}} end
    ''')
    assert mta.send(SENDER, BOB, MESSAGE).code == 250
    printed(milter, "alive")


@pytest.mark.parametrize("name,value,code", [
    ("ValidClientAddress", "false", 550), ("AuthenticationRequired", "true", 530),
    ("LocalClientAddress", "false", 550), ("MaxLineLength", "10", 554), ("MaxLineLength", "10.9", 554)])
def test_names_made_up_at_run_time(mta, milter, name, value, code):
    """An assignment through _G counts although the name stands in no script."""
    milter.start(f'local settings = {{["{name[:5]}" .. "{name[5:]}"] = {value}}}\n'
                 'for name, value in pairs(settings) do _G[name] = value end')
    assert mta.send(SENDER, BOB, lines(11)).code == code
    mta.settle()
    assert mta.deliveries() == []

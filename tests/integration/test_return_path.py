"""Return paths: BATV, SRS and ModifyReturnPath() on both MTAs, and the way back of bounces.

The senders of the tests are at the MTA's own name; one.test is another host, the hub stands for the
mailboxes of this one."""

import re
import shutil
import socket
import subprocess

import pytest

from rig import machine, milter as milter_module, policy as policy_module, postfix, sendmail

POSTSRSD = "/usr/sbin/postsrsd"
STRANGER = "192.0.2.7"
M4 = machine.TOP / "contrib/sendmail-return-path.m4"
EXAMPLE = machine.TOP / "contrib/scripts/return-path.lua"
MESSAGE = "From: <ann@ours>\nTo: <bob@one.test>\nSubject: hi\n there\n\nhello\n"
REMOTE, FOREIGN = "bob@one.test", "eve@two.test"


class Keys:
    """The key files of a test, readable for the daemons, and the settings that name them."""

    def __init__(self, mta):
        self.directory = machine.new_directory("keys")
        self.batv, self.srs = self.directory / "batv.keys", self.directory / "srs.secret"
        self.write(self.batv, "1 0123456789abcdef\n")
        self.write(self.srs, "a secret\n")
        self.settings = (
            f"batv.key_file={self.batv}", f"batv.domains={mta.hostname}",
            f"srs.secret_file={self.srs}", "srs.domain=srs.test",
            "milter.spill_mb=1")

    @staticmethod
    def write(file, text):
        new = file.with_suffix(".new")
        new.write_text(text)
        shutil.chown(new, "root", milter_module.USER)
        new.chmod(0o640)
        new.rename(file)


# One server of each kind for all tests of this file. Ports 2540 to 2551 are this file's.

@pytest.fixture(scope="module")
def sockets():
    """Where the servers of this file look for mailhooks-policy."""
    directory = machine.new_directory("maps")
    shutil.chown(directory, milter_module.USER)
    return directory


@pytest.fixture
def policy(sockets):
    service = policy_module.Policy(sockets)
    yield service
    wrong = service.finish()
    if wrong:
        pytest.fail("mailhooks-policy: " + "\n".join(wrong), pytrace=False)


@pytest.fixture(scope="module")
def returning_postfix(world, name_server, sockets):
    server = postfix.Postfix(
        world, 2540, f"unix:{milter_module.socket_path()}", parameters={
            "recipient_canonical_maps": f"socketmap:unix:{sockets}/socketmap.sock:srs",
            "recipient_canonical_classes": "envelope_recipient",
            "mydestination": "$myhostname, localhost, srs.test"})
    yield server
    server.stop()


@pytest.fixture(scope="module")
def returning_sendmail(world, name_server, syslog, sockets):
    m4 = M4.read_text()
    assert m4.count("/run/mailhooks/socketmap.sock") == 1
    m4 = m4.replace("/run/mailhooks/socketmap.sock", f"{sockets}/socketmap.sock")
    server = sendmail.Sendmail(world, 2550, syslog, f"unix:{milter_module.socket_path()}",
                               extra="LOCAL_DOMAIN(`srs.test')dnl\n" + m4)
    yield server
    server.stop()


@pytest.fixture(params=["postfix", "sendmail"])
def mta(request, sink):
    """A server whose recipients go through the map srs, as the documents say."""
    server = request.getfixturevalue("returning_" + request.param)
    server.begin_test()
    yield server
    server.end_test()


@pytest.fixture
def keys(mta):
    return Keys(mta)


@pytest.fixture
def start(milter, policy, keys):
    """start({"mxout": text}, more settings ...): both daemons."""
    def both(scripts=None, *settings):
        scripts = dict(scripts or {})
        policy.start(None, *keys.settings, *settings)
        milter.start(scripts.pop("smtpsvr", None), *keys.settings, *settings, **scripts)
    return both


def sent(mta, sender, recipients=REMOTE, message=MESSAGE, **options):
    """The return path that the world sees."""
    before = len(mta.deliveries(host="127.0.0.21"))
    assert mta.send(sender, recipients, message, **options).code == 250
    return mta.wait_deliveries(before + 1, host="127.0.0.21")[-1].sender


def bounce(mta, recipient, source=STRANGER):
    """A bounce from outside; the first refusal, or the last reply."""
    with mta.client(source=source) as c:
        return c.send("", recipient, "Subject: failed\n\nno such user\n")


def local(mta, name="ann"):
    return f"{name}@{mta.hostname}"


# BATV

def test_a_signed_sender_gets_its_bounces(mta, start):
    start(None, "batv.sign=true", "batv.bounces=forged")
    signed = sent(mta, local(mta))
    assert re.fullmatch(r"prvs=1\d{3}[0-9a-f]{6}=" + re.escape(local(mta)), signed)
    assert bounce(mta, signed).code == 250
    back = mta.wait_delivery(host="127.0.0.30")
    assert back.recipients == [local(mta)] and back.sender == ""
    # capitals on the way do not hurt
    assert bounce(mta, signed.upper()).code == 250
    assert len(mta.wait_deliveries(2, host="127.0.0.30")) == 2


def test_forged_tags(mta, start, milter, keys):
    """Refused where batv.bounces says so; else they are names like any other."""
    start(None, "batv.sign=true", "batv.bounces=forged")
    forged = f"prvs=1999abcdef={local(mta)}"
    reply = bounce(mta, forged)
    assert (reply.code, reply.enhanced) == (550, "5.7.1") and "not valid" in reply.text
    assert bounce(mta, local(mta)).code == 250               # no tag: not asked for
    mta.wait_delivery(recipient=local(mta))
    milter.stop()
    milter.start(None, *keys.settings)
    assert bounce(mta, forged).code == 250
    assert mta.wait_delivery(recipient=forged).recipients == [forged]


def test_bounces_without_a_tag(mta, start):
    start(None, "batv.bounces=untagged")
    reply = bounce(mta, local(mta))
    assert (reply.code, reply.enhanced) == (550, "5.7.1") and "no tag" in reply.text
    assert bounce(mta, local(mta, "postmaster")).code == 250      # RFC 5321, 4.5.1
    assert bounce(mta, local(mta), source="127.0.0.1").code == 250     # our own
    assert mta.send(FOREIGN, local(mta), MESSAGE, source=STRANGER).code == 250


def test_who_is_not_signed(mta, start):
    start(None, "batv.sign=true")
    assert sent(mta, FOREIGN) == FOREIGN                     # not ours
    assert mta.send(local(mta), local(mta), MESSAGE).code == 250  # stays here
    assert mta.wait_delivery(host="127.0.0.30").sender == local(mta)
    assert mta.send("", REMOTE, MESSAGE).code == 250         # the null sender
    assert mta.wait_deliveries(2, host="127.0.0.21")[-1].sender == ""


def test_a_stranger_gets_no_signature(make_postfix, sink, milter):
    """What somebody else sends in our name is not signed by us, whoever lets him relay."""
    mta = make_postfix(parameters={"mynetworks": "0.0.0.0/0"})
    milter.start(None, *Keys(mta).settings, "batv.sign=true")
    assert sent(mta, local(mta), source=STRANGER) == local(mta)
    assert sent(mta, local(mta)).startswith("prvs=1")
    with mta.client(source=STRANGER) as c:
        c.starttls()
        c.ehlo()
        assert c.auth_plain(*mta.login).code == 235
        assert c.send(local(mta), REMOTE, MESSAGE).code == 250
    assert mta.wait_deliveries(3, host="127.0.0.21")[-1].sender.startswith("prvs=1")


def test_server_details_decide(mta, start):
    """useBATV and returnAddressModifier of ServerDetails(), for each domain that gets the mail."""
    start({"mxout": """
        function ServerDetails(parameters, lines, actions)
            print("asked " .. parameters.domain .. " " .. parameters.originator .. " " .. #lines
                  .. " " .. tostring(actions.useBATV))
            if parameters.domain == "two.test" then
                actions.useBATV = 0
            elseif parameters.originator:find("^news@") then
                actions.returnAddressModifier = true
                actions.defaultReturnAddress = "bounces@elsewhere.test"
            end
            return actions
        end
    """}, "batv.sign=true")
    assert sent(mta, local(mta)).startswith("prvs=1")
    assert sent(mta, local(mta), [REMOTE, "eve@two.test"]) == local(mta)
    assert sent(mta, local(mta, "news")) == "bounces@elsewhere.test"


def test_redirected_mail(mta, start):
    """What counts is where the mail goes after the scripts."""
    start({"smtpsvr": """
        local elsewhere = { list = "bob@one.test", here = "zoe@HOST", there = "zoe@two.test" }
        function ProcessMessage(from, subject, recipients, actions)
            actions.SendToOriginalRecipients = false
            actions.Recipients = { elsewhere[recipients[1]:match("^[^@]*")] }
            return actions
        end
    """.replace("HOST", mta.hostname)}, "batv.sign=true", "local_domains=two.test")
    assert sent(mta, local(mta), local(mta, "list")).startswith("prvs=1")
    assert mta.send(local(mta), local(mta, "here"), MESSAGE).code == 250
    assert mta.wait_delivery(host="127.0.0.30").sender == local(mta)
    assert mta.send(local(mta), local(mta, "there"), MESSAGE).code == 250
    assert mta.wait_delivery(host="127.0.0.22").sender == local(mta)


def test_known_users_only(make_postfix, sockets, policy, milter):
    """With a table of users Postfix itself refuses a forged tag and knows the user behind ours."""
    mta = make_postfix(parameters={
        "recipient_canonical_maps": policy.map("srs"),
        "recipient_canonical_classes": "envelope_recipient",
        "local_recipient_maps": "inline:{ ann=x }"})
    settings = Keys(mta).settings + ("batv.sign=true",)
    policy.start(None, *settings)
    milter.start(None, *settings)
    assert bounce(mta, sent(mta, local(mta))).code == 250
    reply = bounce(mta, f"prvs=1999abcdef={local(mta)}")
    assert (reply.code, reply.enhanced) == (550, "5.1.1")


# ModifyReturnPath

PRINTS = """
    function ModifyReturnPath(...)
        local a = {...}
        print("arguments " .. select("#", ...))
        for i, v in ipairs(a) do
            print(i .. " " .. (type(v) == "table" and table.concat(v, "|") or tostring(v)):gsub("\\n", "/"))
        end
    end
"""


def test_the_eleven_arguments(mta, start, milter):
    start({"mxout": PRINTS}, "batv.sign=true")
    signed = sent(mta, local(mta), [REMOTE, local(mta, "postmaster")])
    assert signed.startswith("prvs=1")                       # nil: the computed one
    lines = milter.out().splitlines()
    assert lines[0] == "arguments 11"
    told = dict(line.split(" ", 1) for line in lines[1:])
    assert told["1"] == signed
    assert told["2"] == told["3"] == local(mta)
    assert told["4"] == ""
    assert told["5"] == REMOTE
    assert re.fullmatch(r"20\d{12}", told["6"])
    assert "Subject: hi/ there" in told["7"].split("|")
    assert int(told["8"]) >= len(MESSAGE)
    assert told["9"] == "127.0.0.1"
    assert told["10"] == "hi there"
    assert told["11"] == f"{REMOTE}|{local(mta, 'postmaster')}"


RESULTS = {
    "plain": ("'new@elsewhere.test'", "new@elsewhere.test"),
    "brackets": ("'<new@elsewhere.test>'", "new@elsewhere.test"),
    "empty": ("''", "prvs="),
    "commands": ("'a@x.test>\\r\\nRCPT TO:<x@two.test'", "prvs="),
    "blank": ("'a b@x.test'", "prvs="),
    "table": ("{}", "prvs="),
    "srs": ("mailhooks.srs_forward('eve@two.test')", "SRS0="),
    "untagged": ("mailhooks.batv_check(a[1])", "untagged@"),
}


def test_what_it_may_return(mta, start):
    """R10: what is no address does not get through, and the computed one stays."""
    table = ", ".join(f"{name} = function(a) return {result} end"
                      for name, (result, _) in RESULTS.items())
    start({"mxout": f"""
        local results = {{ {table} }}
        function ModifyReturnPath(...)
            local a = {{...}}
            return results[a[2]:match("^(.*)@")](a)
        end
    """}, "batv.sign=true")
    for name, (_, expected) in RESULTS.items():
        assert sent(mta, local(mta, name)).startswith(expected), name
    mta.settle()
    assert not mta.deliveries(host="127.0.0.22")


def test_the_example(mta, start):
    start({"mxout": EXAMPLE.read_text().replace('"example.com"', f'"{mta.hostname}"')})
    assert sent(mta, local(mta, "news")) == f"bounces+bob=one.test@{mta.hostname}"
    assert sent(mta, local(mta)) == local(mta)
    assert sent(mta, FOREIGN).startswith("SRS0=")
    if mta.name == "postfix":
        assert sent(mta, local(mta), message="Auto-Submitted: auto-replied\n" + MESSAGE) == ""


def test_null_senders(mta, start, milter):
    """A bounce is never asked about; a result may be the null sender."""
    start({"mxout": "function ModifyReturnPath(a) print('asked about ' .. a) return '<>' end"})
    assert mta.send("", REMOTE, MESSAGE).code == 250
    assert mta.wait_delivery(host="127.0.0.21").sender == ""
    assert milter.out() == ""
    if mta.name == "postfix":
        assert sent(mta, local(mta)) == ""
    else:       # Sendmail would make MAILER-DAEMON of it
        assert sent(mta, local(mta)) == local(mta)
        milter.wait_log("Sendmail cannot be given the null sender")


def test_a_failing_hook(mta, start):
    """R18"""
    start({"mxout": """
        function ServerDetails(parameters, lines, actions)
            if parameters.domain == "two.test" then error("no") end
            actions.returnAddressModifier = true
            actions.defaultReturnAddress = "bounces@elsewhere.test"
            return actions
        end
        function ModifyReturnPath(computed, mailfrom)
            if mailfrom:find("^bad@") then error("no") end
        end
    """}, "lua.on_error=tempfail")
    assert sent(mta, local(mta)) == "bounces@elsewhere.test"
    assert mta.send(local(mta), [REMOTE, FOREIGN], MESSAGE).code == 451
    assert mta.send(local(mta, "bad"), REMOTE, MESSAGE).code == 451


# SRS

class PostSrsd:
    """Debian's postsrsd, with the tables that Postfix would ask."""

    forward_port, reverse_port = 15101, 15102

    def __init__(self, secret):
        self.process = subprocess.Popen(
            [POSTSRSD, f"-s{secret}", "-dsrs.test", "-4", f"-f{self.forward_port}",
             f"-r{self.reverse_port}"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE)
        for port in (self.forward_port, self.reverse_port):
            machine.wait_until(lambda p=port: machine.accepts(("127.0.0.1", p)), 10, "postsrsd")

    def ask(self, port, address):
        with socket.create_connection(("127.0.0.1", port), timeout=10) as s:
            s.sendall(f"get {address}\n".encode())
            code, _, value = s.makefile().readline().rstrip("\n").partition(" ")
        return value if code == "200" else None

    def forward(self, address):
        return self.ask(self.forward_port, address)

    def reverse(self, address):
        return self.ask(self.reverse_port, address)

    def stop(self):
        self.process.terminate()
        self.process.wait(10)


@pytest.fixture
def postsrsd(keys):
    server = PostSrsd(keys.srs)
    yield server
    server.stop()


def test_forwarded_mail_and_its_bounce(mta, start, policy, postsrsd):
    """The same addresses as postsrsd, which finds back from ours as we do from its own."""
    start(None, "srs.rewrite=forwarded")
    ours = sent(mta, FOREIGN)
    theirs = postsrsd.forward(FOREIGN)
    if ours != theirs:      # midnight has passed
        ours, theirs = sent(mta, FOREIGN), postsrsd.forward(FOREIGN)
    assert ours == theirs and re.fullmatch(r"SRS0=....=..=two\.test=eve@srs\.test", ours)
    assert postsrsd.reverse(ours) == FOREIGN
    assert policy.look_up("srs", theirs) == f"OK {FOREIGN}"
    # another forwarder was before us
    for sender in ("SRS0=abcd=XY=there.test=eve@first.test", "SRS0+abcd=XY=there.test=eve@first.test",
                   "SRS1=abcd=first.test==efgh=XY=there.test=eve@second.test"):
        again = sent(mta, sender)
        assert again == postsrsd.forward(sender) and again.startswith("SRS1=")
        assert policy.look_up("srs", again) == f"OK {postsrsd.reverse(again)}"
    # a bounce goes to where the mail came from
    assert bounce(mta, ours).code == 250
    back = mta.wait_delivery(host="127.0.0.22")
    assert (back.sender, back.recipients) == ("", [FOREIGN])
    # capitals and small letters
    assert policy.look_up("srs", ours.lower()) == f"OK {postsrsd.reverse(ours.lower())}"


@pytest.mark.parametrize("mta", ["postfix"], indirect=True)
def test_the_map_does_not_wait_for_scripts(mta, keys, policy, postsrsd):
    """R18: a bounce finds its way also while scripts take all workers."""
    policy.start("function First() while true do end end", *keys.settings, "policy.workers=1",
                 "policy.deadline_ms=200", "lua.hook_ms=4000", "lua.instructions=1000000000000")
    theirs = postsrsd.forward(FOREIGN)
    with policy.connect() as busy:
        busy.sendall(policy_module.request("RCPT"))
        assert policy_module.read_action(busy) == "DUNNO"    # its deadline, the worker goes on
        assert policy.look_up("srs", theirs) == f"OK {FOREIGN}"


def test_forged_srs_addresses(mta, start, policy, postsrsd):
    start(None, "srs.rewrite=forwarded")
    for forged in ("SRS0=abcd=AA=two.test=eve@srs.test", "SRS0=abcd=two.test=eve@srs.test",
                   "SRS1=abcd=first.test==efgh=AA=two.test=eve@srs.test", "SRS0=@srs.test",
                   "SRS0=====@srs.test"):
        assert policy.look_up("srs", forged).startswith("NOTFOUND")
        assert postsrsd.reverse(forged) is None
    assert bounce(mta, "SRS0=abcd=AA=two.test=eve@srs.test").code == 250
    mta.wait_delivery(recipient="SRS0=abcd=AA=two.test=eve@srs.test", host="127.0.0.30")
    mta.settle()
    assert not mta.deliveries(host="127.0.0.22")             # no relaying by guessing


def test_who_is_not_rewritten(mta, start):
    start(None, "srs.rewrite=forwarded", "srs.exclude=kept.test", "srs.exclude=.sub.test")
    for sender in (local(mta), "x@kept.test", "x@a.sub.test", "x@srs.test"):
        assert sent(mta, sender) == sender
    assert mta.send(FOREIGN, local(mta), MESSAGE).code == 250     # stays here
    assert mta.wait_delivery(host="127.0.0.30").sender == FOREIGN
    assert mta.send("", REMOTE, MESSAGE).code == 250
    mta.wait_deliveries(5, host="127.0.0.21")
    assert "" in [d.sender for d in mta.deliveries(host="127.0.0.21")]


def test_always(mta, start):
    """For aliases that the MTA expands only later."""
    start(None, "srs.rewrite=always")
    assert mta.send(FOREIGN, local(mta), MESSAGE).code == 250
    assert mta.wait_delivery(host="127.0.0.30").sender.startswith("SRS0=")


# keys

def test_keys_are_replaced_while_mail_flows(mta, start, keys, policy, milter):
    """A new key on top signs at once, without a reload; the old one verifies until it is gone."""
    start(None, "batv.sign=true", "batv.bounces=forged", "srs.rewrite=forwarded")
    old, old_srs = sent(mta, local(mta)), sent(mta, FOREIGN)
    keys.write(keys.batv, "2 fedcba9876543210\n1 0123456789abcdef\n")
    keys.write(keys.srs, "a newer secret\na secret\n")
    new, new_srs = sent(mta, local(mta)), sent(mta, FOREIGN)
    assert new.startswith("prvs=2") and new_srs != old_srs
    assert [bounce(mta, a).code for a in (old, new)] == [250, 250]
    assert policy.look_up("srs", old_srs) == policy.look_up("srs", new_srs) == f"OK {FOREIGN}"
    keys.write(keys.batv, "2 fedcba9876543210\n")
    keys.write(keys.srs, "a newer secret\n")
    assert [bounce(mta, a).code for a in (old, new)] == [550, 250]
    assert policy.look_up("srs", old_srs).startswith("NOTFOUND")
    assert policy.look_up("srs", new_srs) == f"OK {FOREIGN}"
    # a file that cannot be used does not take the keys away
    keys.write(keys.batv, "2 short\n")
    assert sent(mta, local(mta)).startswith("prvs=2")
    milter.wait_log("key file .*batv.keys: line 1: the secret is shorter")


def test_keys_that_cannot_be_read(mta, start, keys, policy):
    """R18: mail goes out unsigned; a bounce that looks ours waits."""
    keys.batv.unlink()
    keys.srs.chmod(0o644)
    start(None, "batv.sign=true", "srs.rewrite=forwarded")
    assert sent(mta, local(mta)) == local(mta)
    assert sent(mta, FOREIGN) == FOREIGN
    assert policy.look_up("srs", "SRS0=abcd=AA=two.test=eve@srs.test").startswith("TEMP")
    assert bounce(mta, f"prvs=1000abcdef={local(mta)}").code in (250, 451)
    mta.settle()
    assert not mta.deliveries(host="127.0.0.30")             # refused for now, or in the queue
    assert bounce(mta, local(mta)).code == 250               # nobody else waits
    mta.wait_delivery(recipient=local(mta))


@pytest.mark.parametrize("mta", ["postfix"], indirect=True)
def test_mailhooks_check_reads_the_keys(mta, keys):
    settings = [w for setting in keys.settings for w in ("-o", setting)]
    scripts = machine.new_directory("scripts")

    def check():
        done = machine.run(machine.BUILD / "cli/mailhooks", "-c", "/dev/null", *settings, "-o",
                           f"scripts={scripts}", "-o", "lua.out=", "-o", "lua.errors=", "check",
                           check=False)
        return done.stdout.decode()
    assert "key-file" not in check()
    keys.batv.chmod(0o644)
    keys.srs.unlink()
    said = check()
    assert re.search(r"batv\.keys.*everybody can read it", said)
    assert re.search(r"srs\.secret.*No such file", said)


def test_while_the_service_is_down(mta, keys, milter, policy):
    """R18: mail for this host waits, and is not lost; on Sendmail nothing else waits."""
    milter.start(None, *keys.settings, "batv.sign=true")
    assert mta.send(FOREIGN, local(mta), MESSAGE).code in (250, 451)
    mta.settle()
    assert mta.deliveries() == []
    if mta.name == "sendmail":
        assert sent(mta, local(mta)).startswith("prvs=")
    else:
        assert mta.send(local(mta), REMOTE, MESSAGE).code == 451
    policy.start(None, *keys.settings)
    if not mta.queue():     # Postfix has told its client to come again
        assert mta.send(FOREIGN, local(mta), MESSAGE).code == 250
    mta.flush()
    mta.wait_delivery(recipient=local(mta))

"""user_redirect.lua and delivery.lua: who gets what, on real servers with several local users."""

import re
import shutil

import pytest

from rig import machine

SENDER, FAR, OTHER = "sue@sender.test", "friend@one.test", "office@two.test"
MESSAGE = "Subject: hi\n\nhello\n"
MAILHOOKS = machine.BUILD / "cli/mailhooks"
FOLDER, FLAGS, MARK = "X-Mailhooks-Folder", "X-Mailhooks-Flags", "X-Mailhooks-Forwarded"


class Users:
    """A filter with users of its own: scripts by name, as ann__delivery for ann/delivery.lua."""

    def __init__(self, mta, milter, people, aliases="", options=(), **scripts):
        self.mta, self.milter = mta, milter
        (milter.directory / "users").write_text(people)
        (milter.directory / "aliases").write_text(aliases)
        self.options = [
            f"local_domains={mta.hostname}",
            f"users.source=file:{milter.directory}/users",
            f"users.aliases={milter.directory}/aliases",
            f"store=sqlite:{milter.directory}/store.db",
            *options]
        for name, text in scripts.items():
            self.script(name, text)
        milter.start(None, *self.options)

    def script(self, name, text):
        user, _, kind = name.rpartition("__")
        if user:
            (self.milter.scripts / user).mkdir(exist_ok=True)
        self.milter.script(f"{user}/{kind}.lua" if user else f"{kind}.lua", text)

    def at(self, name):
        return f"{name}@{self.mta.hostname}"

    def send(self, *names, message=MESSAGE, sender=SENDER):
        """To local users by name, and to whole addresses. Returns who got it, sorted; own users by
        name."""
        before = len(self.mta.deliveries())
        reply = self.mta.send(sender, [n if "@" in n else self.at(n) for n in names], message)
        assert reply.code == 250, reply
        self.mta.settle()
        got = [r for d in self.mta.deliveries()[before:] for r in d.recipients]
        return sorted(r.removesuffix("@" + self.mta.hostname) for r in got)

    def command(self, *arguments, status=0):
        """`mailhooks users ...` as root."""
        done = machine.run(MAILHOOKS, "-c", "/dev/null", *self.milter.options(self.options), "users",
                           *arguments, check=False)
        assert done.returncode == status, done
        return done.stdout.decode()


def test_who_gets_what(mta, milter):
    """One message to many: each recipient goes his own way, and nobody gets it twice."""
    users = Users(mta, milter, f"""
ann:
\tAssistants = bob
bob:
carl:
\tForwards = {FAR}; {OTHER}
\tUseForwards = yes
\tSendToNormalRecipient = no
dora:
""", "team: ann, dora\nprog: dora, \"|/bin/false\"\n")
    assert users.send("ann") == ["ann", "bob"]
    assert users.send("ann", "bob", "carl", "dora") == ["ann", "bob", "dora", FAR, OTHER]


def test_the_rules_of_vpop3(mta, milter):
    users = Users(mta, milter, f"ann:\n\tAssistants = bob\n\tRedirectToAssistant = yes\n"
                               f"bob:\n\tAssistants = ann\n\tRedirectToAssistant = yes\n"
                               f"carl:\n\tBigRedirectTarget = {FAR}\n\tBigRedirectThreshold = 2\n",
                  "team: ann, carl\n")
    # an assistant's assistant is not followed, and gets no mail of his own back
    assert users.send("ann") == ["bob"]
    assert users.send("ann", sender=users.at("bob")) == ["ann"]
    # an alias gives way to its members when one of them is routed elsewhere
    assert users.send("team") == ["bob", "carl"]
    assert users.send("carl", message="Subject: big\n\n" + 50 * (70 * "x" + "\n")) == [FAR]


def test_scripts_of_users(mta, milter):
    """R6: a user's own script counts instead of the one for all, in safety mode; a broken one is
    nobody else's trouble, neither at the start nor at a reload."""
    users = Users(
        mta, milter, "ann:\nbob:\ncarl:\n",
        user_redirect=f"function MainDoRouting(user) Assistants = '{OTHER}' end",
        ann__user_redirect=f"""
            function MainDoRouting(user)
                print(user, Subject, pcall(io.open, "/etc/passwd"))
                Forwards, UseForwards, SendToNormalRecipient = "{FAR}", true, false
            end""",
        bob__user_redirect="function MainDoRouting(")
    assert users.send("ann") == [FAR]
    assert "ann\thi\tfalse\tio.open is disabled in safety mode" in milter.out()
    assert users.send("ann", "bob", "carl") == ["bob", "carl", FAR, OTHER]
    assert re.search(r"bob/user_redirect.lua:1: .*left out", milter.log())
    users.script("bob__user_redirect", "function MainDoRouting() ShouldForward = false end")
    users.script("ann__user_redirect", "error('now this one')")
    milter.reload()
    assert users.send("ann") == ["ann", OTHER]
    assert users.send("bob") == ["bob"]


def test_settings_take_effect_at_once(mta, milter):
    users = Users(mta, milter, "ann:\n\tMood = fine\n", user_redirect="""
        function MainGetSettings() return { "Mood", { Name = "Hour", Default = 8 } } end
        function MainDoRouting(user) print(UserSettings.Mood, UserSettings.Hour, Forwards) end""")
    assert users.send("ann") == ["ann"]
    users.command("set", "ann", "Forwards", FAR)
    users.command("set", "ANN", "UseForwards", "yes")
    users.command("set", "ann", "Hour", "9")
    assert users.send("ann") == ["ann", FAR]
    assert milter.out().splitlines()[-2:] == ["fine\t8\t", f"fine\t9\t{FAR}"]
    shown = users.command("settings", "ann")
    assert f"Forwards = {FAR}" in shown and "Mood = fine" in shown and "Hour = 9" in shown
    assert "declared by" in users.command("settings")
    assert users.command("expand", users.at("ann")).splitlines() == [
        f"user {users.at('ann')} of ann", f"forward {FAR} of ann"]
    assert {f.owner() for f in milter.directory.glob("store.db*")} == {"mailhooks"}
    users.command("unset", "ann", "UseForwards")
    users.command("get", "ann", "UseForwards", status=1)
    users.command("set", "nobody", "a", "b", status=1)
    assert users.send("ann") == ["ann"]


def test_a_circle_of_forwards_ends(mta, milter):
    """What comes back is not forwarded again; a mark that was made up changes nothing."""
    users = Users(mta, milter, f"ann:\n\tForwards = {FAR}\n\tUseForwards = yes\n")
    assert users.send("ann") == ["ann", FAR]
    there = mta.deliveries(recipient=FAR)[0]
    assert len(there.header(MARK)) == 1 and "ann" not in there.header(MARK)[0]
    assert users.send("ann", message=there.data) == ["ann"]
    forged = f"{MARK}: {32 * '0'}\n" + MESSAGE
    assert users.send("ann", message=forged) == ["ann", FAR]


ALIASES = """
MAILER_DEFINITIONS
Mhuba,	P=[IPC], F=mDFMuXaA, S=EnvFromSMTP/HdrFromSMTP, R=EnvToSMTP, E=\\r\\n, L=990,
	T=DNS/RFC822/SMTP, A=TCP $h
LOCAL_RULE_0
R$* < @ $=w . > $*	$#huba $@ [127.0.0.30] $: $1 < @ $2 . > $3
"""


def test_aliases_of_the_mta(make_postfix, make_sendmail, milter):
    """The MTA's own aliases do not bring a recipient back that was routed elsewhere."""
    people = f"ann: info@mail.test, info@sm.test\n\tForwards = {FAR}\n\tUseForwards = yes\n" \
             "\tSendToNormalRecipient = no\nbob:\n"
    postfix = make_postfix(parameters={
        "virtual_alias_maps": "inline:{ { info@mail.test = ann@mail.test } { team@mail.test = ann@mail.test, bob@mail.test } }"})
    users = Users(postfix, milter, people, "team: ann, bob\n")
    assert users.send("info") == [FAR]
    assert users.send("team") == ["bob", FAR]
    assert users.send("bob") == ["bob"]
    milter.stop()
    sendmail = make_sendmail(extra=ALIASES)
    (sendmail.top / "aliases").write_text("info: ann\nteam: ann, bob\n")
    machine.run(sendmail.binary, "-L", sendmail.tag, "-C", sendmail.top / "sendmail.cf", "-bi")
    users = Users(sendmail, milter, people, "team: ann, bob\n")
    assert users.send("info") == [FAR]
    assert users.send("team") == ["bob", FAR]
    assert users.send("bob") == ["bob"]


def test_the_users_are_part_of_a_reload(mta, milter):
    """A mistake in the file of users keeps what was there."""
    file = milter.directory / "users"
    users = Users(mta, milter, f"ann:\n\tAssistants = {OTHER}\n")
    assert users.send("ann") == ["ann", OTHER]
    file.write_text("ann:\nann\n")
    milter.reload()
    milter.wait_log(r"users:2: \"user: addresses\" is wanted")
    assert users.send("ann") == ["ann", OTHER]
    file.write_text(f"ann: ann@nowhere.test\nbob:\n\tAssistants = {FAR}\n")
    milter.reload()
    assert users.send("ann", "bob") == ["ann", "bob", FAR]


def test_users_in_the_store(mta, milter):
    """For several machines: the list is imported into the store, and is not read from a file."""
    users = Users(mta, milter, f"ann:\n\tAssistants = {OTHER}\n", options=["users.source=store"])
    assert users.send("ann") == ["ann"]
    milter.stop()   # the next look would be after a minute
    wrong = milter.directory / "wrong"
    wrong.write_text("ann\n")
    users.command("import", str(wrong), status=1)
    users.command("import", str(milter.directory / "users"))
    assert users.command("list") == f"ann: {users.at('ann')}\n"
    milter.start(None, *users.options)
    assert users.send("ann") == ["ann", OTHER]


def test_accounts_of_the_system(mta, milter):
    users = Users(mta, milter, "", "postmaster: root\n", ["users.source=system", "users.least_uid=0"],
                  user_redirect=f"function MainDoRouting(user) print(user) Assistants = '{FAR}' end")
    assert users.send("root") == [FAR, "root"]
    assert users.send("postmaster") == [FAR, "root"]
    assert users.send("no-such-account") == ["no-such-account"]
    assert set(milter.out().split()) == {"root"}
    assert "root:" in users.command()


def test_delivery_hands_on(mta, milter):
    """Folders and flags are header fields for Sieve; nobody can send them along (R7)."""
    users = Users(mta, milter, "ann:\nbob:\n", delivery="""
        function DeliverMessage()
            Folders = { "Work/" .. User, "Archive" }
            Seen, Flagged = true, true
            Keywords = { "Later" }
            HeaderMods = { "X-For: " .. User, "Subject: filed" }
        end""")
    forged = f"{FOLDER}: Trash\n{FOLDER.lower()}: Junk\nX-Mailhooks-Flags: \\Deleted\n{FOLDER}-9: x\n" + MESSAGE
    users.send("ann", message=forged)
    got = mta.deliveries(recipient=users.at("ann"))[0]
    assert got.header(FOLDER) == ["Work/ann"]
    assert got.header(FOLDER + "-2") == ["Archive"] and got.header(FOLDER + "-9") == []
    assert got.header(FLAGS) == ["\\Seen \\Flagged Later"]
    assert got.header("X-For") == ["ann"] and got.header("Subject") == ["filed"]
    # two users who do not agree, and one message: it stays as it came
    before = len(mta.deliveries())
    assert users.send("ann", "bob", message=forged) == ["ann", "bob"]
    for both in mta.deliveries()[before:]:
        assert both.header(FOLDER) == both.header(FLAGS) == both.header("X-For") == []
        assert both.header("Subject") == ["hi"]
    assert "do not have the same" in milter.log()


@pytest.mark.parametrize("mta", ["postfix"], indirect=True)   # Sendmail takes 32 KiB of header only
def test_forged_fields_behind_more_than_we_keep(mta, milter):
    """R7: nobody hides a folder of his own behind them; the log says so once."""
    users = Users(mta, milter, "ann:\n", delivery="function DeliverMessage() end")
    message = 20100 * "X: y\n" + f"{FOLDER}: Trash\nSubject: s\n\nx\n"
    assert mta.send(SENDER, users.at("ann"), message).code == 554
    assert milter.log().count("cannot be removed") == 1


def test_delivery_forwards_and_rewrites_the_sender(mta, milter):
    users = Users(mta, milter, "ann:\nbob:\n", delivery=f"""
        function DeliverMessage()
            Forwards = {{ "{FAR}" }}
            if User == "bob" then Folders = {{}} end
            ForwardingSenderAddress = User .. "@{mta.hostname}"
        end""")
    assert users.send("ann") == ["ann", FAR]
    assert {d.sender for d in mta.deliveries()} == {SENDER}   # a mailbox gets the same message
    before = len(mta.deliveries())
    assert users.send("bob") == [FAR]
    assert [d.sender for d in mta.deliveries()[before:]] == [users.at("bob")]


def test_nobody_loses_mail_to_a_circle_of_scripts(mta, milter):
    """Each sends his mail to the other one and keeps none: somebody has it."""
    users = Users(mta, milter, "ann:\nbob:\n", delivery="""
        function DeliverMessage()
            Forwards = { ({ ann = "bob", bob = "ann" })[User] }
            Folders = {}
        end""")
    assert users.send("ann", "bob") == ["ann"]
    assert users.send("ann") == ["bob"]


def test_delivery_quarantine(mta, milter):
    users = Users(mta, milter, "ann:\nbob:\n", delivery="""
        function PreDeliver() Quarantine = Subject == "bad" and User == "ann" end""")
    assert users.send("ann", message="Subject: bad\n\nx\n") == []
    assert [queue for queue, _ in mta.queue()] == ["hold"]
    assert users.send("ann", "bob", message="Subject: bad\n\nx\n") == ["ann", "bob"]
    mta.purge()


def test_a_failing_script_costs_nobody_his_mail(mta, milter):
    """R18: with lua.on_error = accept the settings stand; with tempfail the sender keeps it."""
    users = Users(mta, milter, f"ann:\n\tForwards = {FAR}\n\tUseForwards = yes\n",
                  user_redirect="function MainDoRouting() SendToNormalRecipient = false error('no') end",
                  delivery="function DeliverMessage() Forwards = {'x@two.test'} local x = nil; x() end")
    assert users.send("ann") == ["ann", FAR]
    milter.stop()
    milter.start(None, *users.options, "lua.on_error=tempfail")
    assert mta.send(SENDER, users.at("ann"), MESSAGE).code == 451
    assert users.send(FAR) == [FAR]


# examples

def example(name, *changes):
    text = (machine.TOP / "contrib/scripts" / name).read_text()
    for old, new in changes:
        assert text.count(old) == 1, f"{name} has {text.count(old)} times {old!r}"
        text = text.replace(old, new)
    return text


def test_out_of_hours(mta, milter):
    people = f"ann:\n\tOutOfHoursAssistant = bob\nbob:\n\tOutOfHoursAssistant = {FAR}\n\tOutOfHoursOnly = yes\ncarl:\n"
    open_all_day = ('os.date("%a")', '"Mon"'), ('os.date("*t")', '{ hour = 9 }')
    closed = ('os.date("%a")', '"Sat"')
    users = Users(mta, milter, people, user_redirect=example("out-of-hours.lua", closed))
    assert users.send("ann") == ["ann", "bob"]
    assert users.send("bob", "carl") == ["carl", FAR]
    assert "OutOfHoursOnly = yes" in users.command("settings", "bob")
    users.script("user_redirect", example("out-of-hours.lua", *open_all_day))
    milter.reload()
    assert users.send("ann", "bob") == ["ann", "bob"]
    users.command("set", "ann", "Closes", "9")
    assert users.send("ann") == ["ann", "bob"]
    users.command("set", "ann", "Opens", "eight")
    assert users.send("ann") == ["ann"]
    assert 'setting Opens of ann is "eight", and not an hour from 0 to 24: mailhooks users set ann Opens 8' \
        in milter.errors()


def filed(delivery, directory):
    """Where the Sieve script of contrib/ files a message, as sieve-test tells it."""
    (directory / "message").write_bytes(delivery.data)
    shutil.copy(machine.TOP / "contrib/sieve/mailhooks.sieve", directory / "mailhooks.sieve")
    done = machine.run("setpriv", "--reuid=mailhooks", "--regid=mailhooks", "--clear-groups", "env",
                       f"HOME={directory}", "sieve-test", "-o", f"mail_location=maildir:{directory}/mail",
                       "-a", "ann@mail.test", directory / "mailhooks.sieve", directory / "message", check=False)
    assert done.returncode == 0, done
    return done.stdout.decode()


@pytest.mark.parametrize("mta", ["postfix"], indirect=True)
def test_filing_with_sieve(mta, milter):
    users = Users(mta, milter, "ann:\n", delivery=example("filing.lua"))
    users.send("ann", message="List-Id: <x.test>\nSubject: news\n\nx\n")
    text = filed(mta.deliveries()[-1], milter.directory)
    assert re.search(r"folder: Newsletters\n.*\n.*flags: \\seen\n", text) and "(none)" in text, text
    users.send("ann", message="Subject: [urgent] call\n\nx\n")
    text = filed(mta.deliveries()[-1], milter.directory)
    assert re.search(r"folder: INBOX\n.*flags: \\flagged Urgent\n", text), text
    users.send("ann", message=MESSAGE)
    assert mta.deliveries()[-1].header(FLAGS) == []
    big = "Subject: Wire Transfer\n\n" + 20000 * (70 * "x" + "\n")
    assert users.send("ann", message=big) == []
    assert [queue for queue, _ in mta.queue()] == ["hold"]
    mta.purge()

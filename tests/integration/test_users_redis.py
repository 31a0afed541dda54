"""Users and their settings in a live Redis: who gets what, what scripts read and write there, and what
becomes of mail while Redis is away (R18)."""

import signal
import time

import pytest

from rig import machine
from test_users import FAR, MESSAGE, OTHER, SENDER, Users

pytestmark = pytest.mark.parametrize("mta", ["postfix"], indirect=True)
PEOPLE = f"ann: info@mail.test\n\tMood = fine\n\tAssistants = {OTHER}\nbob:\n"
WAIT = 30   # seconds: the store may be skipped for a while after failures, and the list of users


def in_redis(mta, milter, redis, *options, **scripts):
    """Users and settings in Redis, nothing in files."""
    users = Users(mta, milter, PEOPLE, "team: ann, bob\n", ["users.source=store", f"store={redis.url}", *options],
                  **scripts)
    milter.stop()   # it would look again in a minute
    users.command("import", str(milter.directory / "users"))
    (milter.directory / "users").unlink()
    milter.start(None, *users.options)
    return users


def test_users_in_redis(mta, milter, redis):
    users = in_redis(mta, milter, redis, user_redirect="""
        function MainGetSettings() return { "Mood", { Name = "Hour", Default = 8 } } end
        function MainDoRouting(user) print("routed", user, UserSettings.Mood, UserSettings.Hour, Forwards) end""")
    assert users.send("ann", "bob") == ["ann", "bob", OTHER]
    assert users.send("info@mail.test") == sorted([f"info@{mta.hostname}".removesuffix("@" + mta.hostname), OTHER])
    assert users.send("nobody") == ["nobody"]
    users.command("set", "ANN", "Forwards", FAR)
    users.command("set", "ann", "UseForwards", "yes")
    users.command("set", "ann", "Hour", "9")
    assert users.command("get", "ann", "Forwards") == FAR + "\n"
    assert users.send("ann") == ["ann", FAR, OTHER]
    assert milter.out().splitlines()[-1] == f"routed\tann\tfine\t9\t{FAR}"
    assert users.command("list").startswith("ann: info@mail.test")
    users.command("unset", "ann", "Forwards")
    assert users.send("ann") == ["ann", OTHER]
    assert "ann" in redis.command("KEYS", "*").stdout.decode()   # that is where it was


SCRIPT = r'''
function ProcessMessage(from, subject)
    local function text(list)
        for i, t in ipairs(list) do list[i] = t.Name or t end
        table.sort(list)
        return table.concat(list, " ")
    end
    print(subject, "list", text(VPOP3.GetUserList()))
    print(subject, "expand", text(VPOP3.ExpandAddress("team", -1)))
    print(subject, "seen", VPOP3.GetUserSetting("ann", "Seen"), VPOP3.GetUserSetting("ann", "Mood"))
    print(subject, "set", VPOP3.SetUserSetting("ann", "Seen", subject))
    print(subject, "now", VPOP3.GetUserSetting("ann", "Seen"))
    print(subject, "own", VPOP3.GetSetting("Motto"))
    print(subject, "change", VPOP3.SetSetting("Motto", subject), VPOP3.SetSetting("No such", "x"))
end
'''


def printed(milter, subject):
    lines = [line.split("\t") for line in milter.out().splitlines()]
    return {line[1]: line[2:] for line in lines if line[0] == subject}


def test_scripts_read_and_write_there(mta, milter, redis):
    """What one message's script sets, the next one's sees, also after a restart; the command sees it, too."""
    users = in_redis(mta, milter, redis, smtpsvr=SCRIPT)
    users.command("set", "ann", "Seen", "nothing")
    users.command("set", "-", "Motto", "nothing")
    users.command("set", "-", "Users", "x", status=1)   # the list has a command of its own
    users.command("get", "-", "No such", status=1)
    for n, before in ("first", "nothing"), ("second", "first"), ("third", "second"):
        if n == "third":
            milter.stop()
            redis.stop(signal.SIGKILL)
            redis.start()
            milter.start(None, *users.options)
        users.send("bob", message=f"Subject: {n}\n\nx\n")
        told = printed(milter, n)
        assert told["list"] == ["ann bob"] and told["seen"] == [before, "fine"] and told["now"] == [n]
        assert told["set"] == ["true"] and told["own"] == ["true", before] and told["change"] == ["true", "false"]
        assert set(told["expand"][0].split()) >= {"ann", "bob"}
        assert users.command("get", "ann", "Seen") == users.command("get", "-", "Motto") == n + "\n"
    assert milter.errors() == ""


@pytest.mark.parametrize("how", ["hangs", "killed"])
def test_redis_away_mid_way(mta, milter, redis, how):
    """R18: each message has its answer in time, nobody loses mail, the users known stay known; when
    Redis is back all is as it was, without a restart."""
    users = in_redis(mta, milter, redis)
    users.command("set", "ann", "Forwards", FAR)
    users.command("set", "ann", "UseForwards", "yes")
    assert users.send("ann", "bob") == ["ann", "bob", FAR, OTHER]
    if how == "hangs":
        redis.hang()
    else:
        redis.stop(signal.SIGKILL)
    for _ in range(6):   # more than the breaker wants
        start = time.monotonic()
        # what stands in the list of users is known still; what was set by itself is not
        assert users.send("ann", "bob") == ["ann", "bob", OTHER]
        assert time.monotonic() - start < 15
    assert "not known at the moment" in milter.log()
    if how == "hangs":
        redis.resume()
    else:
        redis.start()
    machine.wait_until(lambda: users.send("ann") == ["ann", FAR, OTHER], WAIT, "Redis to be asked again")


def test_redis_away_and_mail_that_must_wait(mta, milter, redis):
    """R18: with lua.on_error = tempfail the sender keeps what cannot be routed now, and only that."""
    users = in_redis(mta, milter, redis, "lua.on_error=tempfail")
    assert users.send("ann") == ["ann", OTHER]
    redis.stop(signal.SIGKILL)
    assert mta.send(SENDER, users.at("ann"), MESSAGE).code == 451
    assert users.send(FAR) == [FAR]
    redis.start()
    machine.wait_until(lambda: mta.send(SENDER, users.at("ann"), MESSAGE).code == 250, WAIT, "Redis")


@pytest.mark.parametrize("on_error, code", [("accept", 250), ("tempfail", 451)])
def test_redis_away_from_the_start(mta, milter, redis, on_error, code):
    """R18: then nobody knows who is a user; and it is found out when Redis comes."""
    users = in_redis(mta, milter, redis, f"lua.on_error={on_error}")
    milter.stop()
    redis.stop(signal.SIGKILL)
    milter.start(None, *users.options)
    assert mta.send(SENDER, users.at("ann"), MESSAGE).code == code
    mta.settle()
    assert [d.recipients for d in mta.deliveries()] == [[users.at("ann")]] * (code == 250)
    if code == 250:
        return   # the way back takes seconds, and the other case shows it
    redis.start()

    def routed():
        before = len(mta.deliveries())
        mta.send(SENDER, users.at("ann"), MESSAGE)
        mta.settle()
        return OTHER in [r for d in mta.deliveries()[before:] for r in d.recipients]
    machine.wait_until(routed, WAIT, "Redis to be asked again")

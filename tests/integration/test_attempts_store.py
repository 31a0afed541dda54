"""Send attempts while the store is away: nothing is lost, nothing counts twice (R18)."""

import sqlite3

import pytest

from test_attempts import MESSAGE, Follower

postfix_only = pytest.mark.parametrize("mta", ["postfix"], indirect=True)


def send(mta, sender, recipient="bob@one.test"):
    assert mta.send(sender, [recipient], MESSAGE, plain=True).ok
    mta.settle()


@postfix_only
def test_sqlite_that_is_locked(mta, policy):
    """The follower waits for its store, and does not forget where it was."""
    follower = Follower(policy, f"file:{mta.maillog}")
    follower.start()
    send(mta, "before@sender.test")
    follower.of("before@sender.test", 1)
    with sqlite3.connect(policy.directory / "store.db", isolation_level=None) as db:
        db.execute("begin immediate")
        send(mta, "locked1@sender.test")
        send(mta, "locked2@sender.test")
        policy.wait_log("store: no answer|busy|locked")
        policy.kill()   # what it knew is gone
        follower.start()
        send(mta, "locked3@sender.test")
        db.execute("rollback")
    for n in (1, 2, 3):
        follower.of(f"locked{n}@sender.test", 1)
    follower.of("before@sender.test", 1)


@postfix_only
@pytest.mark.parametrize("killed", [False, True])
def test_redis_that_hangs(mta, sink, policy, redis, killed):
    """What Redis did not take is there when it is back, once, also if the follower was killed
    meanwhile; the facts of messages are made up for, too."""
    follower = Follower(policy, f"file:{mta.maillog}",
                        f"store={redis.url}")
    follower.start()
    send(mta, f"before{killed}@sender.test")
    follower.of(f"before{killed}@sender.test", 1)
    redis.hang()
    sink.answer("RCPT", "450 4.2.1 later", host="127.0.0.11")
    for n in range(3):
        send(mta, f"away{n}{killed}@sender.test", "bob@example.com")
    policy.wait_log("Redis is away|no answer")
    if killed:
        policy.kill()
        follower.start()
    redis.resume()
    for n in range(3):
        rows = follower.of(f"away{n}{killed}@sender.test", 2)
        assert [row["result"] for row in rows] == ["450 4.2.1 later", "250 2.0.0 kept"]
    follower.of(f"before{killed}@sender.test", 1)
    if not killed:   # for the facts, which do not wait
        policy.wait_log("the mail log is read again")
    send(mta, f"after{killed}@sender.test")
    follower.of(f"after{killed}@sender.test", 1)

"""Messages that every sender of relayout.lua skips: held by Postfix, asked about again by the queue
agent, and sent through the sender that takes them then, be it another one than the first."""

import os
import re
import time

import pytest

from rig import machine, outbound, queue, relays
from rig import milter as milter_module
from rig import policy as policy_module
from rig.deciding import sockets   # noqa: F401 (fixture)
from rig.relays import RELAYS

SENDER, BOB = "ann@sender.test", "bob@one.test"
MESSAGE = "From: ann@sender.test\nX-Own: no\nSubject: hi\n\nhello\n"
FIELD = "X-Mailhooks-Requeue"
NOBODY = "function CheckFile(name, what) what.SkipSend, what.Reason = true, 'closed' return what end"


def only(sender):
    return f"""function CheckFile(name, what, size, created, from, to, data, lines)
        print(sendername, name, from, table.concat(to, " "), data.Subject, #created, size > 30)
        what.SkipSend = sendername ~= "{sender}"
        return what
    end"""


class Site:
    """A Postfix with both daemons and mailhooks-queue, set up by `mailhooks setup`."""

    def __init__(self, milter, policy, postfix):
        self.milter, self.policy, self.postfix = milter, policy, postfix
        self.queue = queue.Queue("postfix", "/usr/sbin", postfix.etc)
        self.settings = (*self.queue.settings, outbound.store(policy))

    def start(self, script):
        """The service has the second script, which the agent goes by."""
        config = relays.configuration()
        self.milter.start(None, *self.settings, config=config, relayout=NOBODY)
        self.queue.start()
        self.policy.start(None, *self.settings, config=config, relayout=script)

    def change(self, script):
        self.policy.script("relayout.lua", script)
        self.policy.reload()

    def hold(self, message=MESSAGE):
        """Sends a message that is held; returns its queue id."""
        reply = self.postfix.send(SENDER, BOB, message)
        assert reply.ok, reply
        return reply.text.split()[-1]

    def state(self, queue_id):
        return self.queue.state(self.postfix, queue_id)

    def field(self, queue_id):
        """The genuine field of a message."""
        record = (self.queue.records / queue_id).read_text()
        return f"{FIELD}: {queue_id}-" + re.search(r"^token 32\n([0-9a-f]{32})\n", record, re.M)[1]

    def look_up(self, field):
        return self.policy.look_up("requeue", field)

    def pick_up(self):
        """What pickup(8) does once a minute, until nothing waits any more."""
        def picked_up():
            machine.run("postkick", "-c", self.postfix.etc, "public", "pickup", "W",
                        env=self.postfix.env, check=False)
            return self.postfix.queue() == []
        machine.wait_until(picked_up, 15, "an empty queue")

    def arrived(self, name):
        delivery = self.postfix.wait_delivery(recipient=BOB)
        assert delivery.host == RELAYS[name]
        assert (delivery.header(FIELD), delivery.header("X-Own")) == ([], ["yes"])
        machine.wait_until(lambda: self.postfix.queue() == [], 10, "an empty queue")


@pytest.fixture(scope="module")
def postfix_of_module(world, name_server, sockets):
    service = policy_module.Policy(sockets)
    parameters, master = relays.written(service, relays.configuration(), NOBODY,
                                        "agent.mta=postfix")
    for name, own in (("header_checks", "regexp:{{/^X-Own: no/ IGNORE}}"),   # the administrator's
                      ("smtp_header_checks", "regexp:{{/^Subject:/ PREPEND X-Own: yes}}")):
        parameters[name] += f", {own}"
    server = relays.start_postfix(world, 2780, milter_module.Milter(sockets / "milter.sock"),
                                  parameters, master)
    yield server
    server.stop()


@pytest.fixture
def site(sink, sockets, postfix_of_module):
    milter, policy = milter_module.Milter(sockets / "milter.sock"), policy_module.Policy(sockets)
    postfix_of_module.begin_test()
    for _ in relays.listen(sink):
        yield (s := Site(milter, policy, postfix_of_module))
    postfix_of_module.end_test()
    assert milter.finish() == [] and policy.finish() == [] and s.queue.finish() == []


@pytest.mark.parametrize("sender", ["big", "other"])
def test_asked_again(site, sender):
    """It waits while every sender skips it; the first one that takes it later sends it. The other
    sender than the queue file names needs a requeue, which a field that came with the message does not
    disturb."""
    site.start(NOBODY)
    queue_id = site.hold(f"{FIELD}: 1-2\n{MESSAGE}")
    assert site.state(queue_id) == "hold"
    machine.wait_until(lambda: site.policy.log().count("skips the message: closed") >= 4, 15,
                       "two passes")
    assert site.state(queue_id) == "hold" and site.postfix.deliveries() == []
    told = outbound.cli(site.policy, "holds", options=site.settings)
    assert re.fullmatch(rf"message {queue_id} from <{SENDER}> held since 20\S+ \S+ by CheckFile of "
                        rf"relayout\.lua: closed\n    asked again every \d+ s, 20\S+ \S+ at the latest "
                        rf"it goes; at once: postsuper -H {queue_id}\n", told), told
    site.change(only(sender))
    site.arrived(sender)
    asked = site.policy.out().splitlines()
    assert asked[0].split("\t") == ["big", queue_id, SENDER, BOB, "hi", "14", "true"]
    assert len(asked) == {"big": 1, "other": 2}[sender]
    assert site.queue.done("r") == ([] if sender == "big" else [queue_id])


def test_requeued_once_although_killed(site):
    """The choice is on the disk before the message is requeued, so whoever asks for it finds it."""
    site.start(NOBODY)
    queue_id = site.hold()
    site.change(only("other"))
    site.policy.wait_log(f"queue={queue_id} sender 1 .* takes the message")
    site.policy.kill()
    site.policy.start(None, *site.settings, config=relays.configuration())

    site.pick_up()
    site.arrived("other")
    assert len(site.postfix.deliveries(recipient=BOB)) == 1


def test_forged_fields(site):
    """Who writes the field himself chooses no relay: neither what he invents nor the field of another
    message, and none of it is delivered."""
    site.start(NOBODY)
    queue_id = site.hold()
    genuine = site.field(queue_id)
    for key in (f"{FIELD}: {queue_id}-", f"{FIELD}: {queue_id}", f"{FIELD}: -", f"{FIELD}:",
                f"{FIELD}: ../../{queue_id}-x", f"{FIELD}: {queue_id}-{'0' * 32}"):
        assert site.look_up(key).startswith("NOTFOUND"), key
    site.milter.script("relayout.lua", only("other"))
    site.milter.reload()
    assert site.postfix.send(SENDER, BOB, f"{genuine}\nx-mailhooks-requeue : 1-2\n{MESSAGE}").ok
    delivery = site.postfix.wait_delivery(recipient=BOB)
    assert delivery.host == RELAYS["other"] and delivery.header(FIELD) == []
    assert site.state(queue_id) == "hold"


def test_requeued_by_hand(site):
    """postsuper -r drops the sender that the queue file names; the record knows it."""
    site.start(NOBODY)
    queue_id = site.hold()
    site.policy.stop()
    site.policy.start(None, *site.settings, "agent.mta=none", config=relays.configuration())
    machine.run("postsuper", "-c", site.postfix.etc, "-r", queue_id, env=site.postfix.env)
    site.pick_up()
    site.arrived("big")


def test_not_held_without_a_record(site):
    """Nobody would release it: it goes through the first sender."""
    site.start(NOBODY)
    site.queue.records.write_text("no directory")
    assert site.postfix.send(SENDER, BOB, MESSAGE).ok
    site.arrived("big")
    site.milter.wait_log("not held, although every sender skips")


def test_while_records_cannot_be_read(site):
    """A requeued message waits rather than go another way."""
    site.start(NOBODY)
    queue_id = site.hold()
    key = site.field(queue_id)
    record = site.queue.records / queue_id
    text = record.read_text()
    site.policy.stop()
    record.write_text(text.replace("chosen 0\n\n", "chosen 6\nx:[y]z\n"))
    site.policy.start(None, *site.settings, "agent.mta=none", config=relays.configuration())
    assert site.look_up(key) == "OK FILTER x:[y]z"
    record.write_text(text[:40])
    assert site.look_up(key).startswith("TEMP ")


def test_field_is_good_once(site):
    """A bounce shows it to the sender, who may put it into other mail of his. It is good again only
    when the message is still in the queue."""
    site.start(NOBODY)
    queue_id = site.hold()
    genuine = site.field(queue_id)
    assert site.look_up(genuine) == f"OK FILTER mailhooks-sender-0:[{RELAYS['big']}]:25"
    assert site.look_up(genuine).startswith("TEMP ")
    machine.wait_until(lambda: site.look_up(genuine).startswith("OK "), 15, "another answer")
    site.change(only("other"))
    site.arrived("other")
    answers = set()

    def gone():
        answers.add(answer := site.look_up(genuine))
        return answer.startswith("NOTFOUND")
    machine.wait_until(gone, 15, "an end")
    assert [a for a in answers if a.startswith("OK")] == []
    assert not (site.queue.records / queue_id).exists()


def test_main_cf_of_an_earlier_version(site):
    """It asks the map `header` instead of `requeue`: the message waits or goes the way that was
    chosen for it, and the log says what to do. When the milter adds the field, it means nothing."""
    site.start(NOBODY)
    queue_id = site.hold()
    key = site.field(queue_id)
    assert site.policy.look_up("header", key).startswith("NOTFOUND")
    site.policy.stop()
    record = site.queue.records / queue_id
    text = record.read_text().replace("chosen 0\n\n", "chosen 6\nx:[y]z\n")
    record.write_text(text)
    site.policy.start(None, *site.settings, "agent.mta=none", config=relays.configuration())
    forged = f"{FIELD}: {queue_id}-{'0' * 32}"
    assert site.policy.look_up("header", forged).startswith("NOTFOUND")
    assert "run mailhooks setup again" not in site.policy.log()
    assert site.policy.look_up("header", key) == "OK FILTER x:[y]z"
    site.policy.wait_log('map "header": main.cf asks .*: run mailhooks setup again')
    assert site.policy.look_up("header", key).startswith("TEMP ")
    record.write_text(text[:40])
    assert site.policy.look_up("header", key).startswith("TEMP ")


def test_field_after_the_release(site, sink):
    """Postfix warns and bounces now; the queue file knows the sender."""
    site.start(NOBODY)
    queue_id = site.hold()
    genuine = site.field(queue_id)
    sink.answer("RCPT", "450 4.2.1 later", host=RELAYS["big"])
    site.change(only("big"))
    site.queue.wait_state(site.postfix, queue_id, "deferred")
    machine.wait_until(lambda: site.look_up(genuine).startswith("NOTFOUND"), 15, "no answer")
    assert (site.queue.records / queue_id).exists()


def test_settings_of_the_start(site):
    """A reload changes neither where records are nor whom the agent asks: what was held before and
    after it comes back, and goes through the sender that takes it then."""
    config = relays.configuration()
    file = config + f'agent {{ directory = "{site.queue.records}" socket = "{site.queue.socket}" }}\n'
    settings = [s for s in site.settings
                if not s.startswith(("agent.directory=", "agent.socket=", "agent.interval_seconds="))]
    other = site.queue.records.parent / "other"
    site.milter.start(None, *settings, config=file, relayout=NOBODY)
    site.queue.start()
    site.policy.start(None, *settings, "agent.interval_seconds=1", config=file, relayout=NOBODY)
    before = site.hold()
    for daemon in (site.milter, site.policy):
        daemon.config.write_text(config + f'''agent {{
            directory = "{other}" socket = "{other}.sock" most_hold_minutes = 7 smallest_first = true
        }}\n''')
        daemon.reload()
        daemon.wait_log("agent.directory: another value takes effect with a restart only")
    for name in ("socket", "most_hold_minutes", "smallest_first"):
        site.policy.wait_log(f"agent.{name}: another value takes effect with a restart only")
    assert "agent.mta:" not in site.policy.log() and "agent.commands" not in site.policy.log()
    after = site.hold()
    assert (site.queue.records / after).exists() and not other.exists()
    site.change(only("other"))
    found = site.postfix.wait_deliveries(2, recipient=BOB)
    assert [delivery.host for delivery in found] == [RELAYS["other"]] * 2
    assert sorted(site.queue.done("r")) == sorted([before, after])


def test_field_of_a_message_that_goes_at_once(site):
    """No queue ever shows that it is not held any more: its token and its hold end nevertheless."""
    site.start(NOBODY)
    queue_id = site.hold()
    genuine = site.field(queue_id)
    site.change(only("big"))
    site.policy.wait_log(f"queue={queue_id} queue agent: released")
    assert site.look_up(genuine).startswith("NOTFOUND")
    assert f"message {queue_id}" not in outbound.cli(site.policy, "holds", options=site.settings)
    site.arrived("big")
    record = site.queue.records / queue_id
    machine.wait_until(lambda: not record.exists(), 20, "the end of the record")


def test_field_that_is_in_use(site):
    """A message that is just being requeued by hand is left alone, whatever the script says."""
    site.start(NOBODY)
    queue_id = site.hold()
    site.queue.edit_record(queue_id, "asked", lambda ms: int(time.time() + 3600) * 1000)
    other = site.hold()
    site.change(only("other"))
    machine.wait_until(lambda: site.state(other) is None, 10, "the other message's end")
    assert site.state(queue_id) == "hold" and site.queue.done("r") == [other]
    site.queue.edit_record(queue_id, "asked", lambda ms: 1)
    machine.wait_until(lambda: site.postfix.queue() == [], 20, "an empty queue")
    assert site.queue.done("r") == [other, queue_id]


def test_field_while_cleanup_works(site):
    """What was requeued may be in the queue `maildrop` for minutes while its copy comes to life: its
    token stays used."""
    site.start(NOBODY)
    queue_id = site.hold()
    genuine = site.field(queue_id)
    site.policy.stop()
    site.policy.start(None, *site.settings, "agent.mta=none", config=relays.configuration())
    machine.run("postsuper", "-c", site.postfix.etc, "-r", queue_id, env=site.postfix.env)
    assert site.look_up(genuine).startswith("OK ")
    site.queue.edit_record(queue_id, "asked", lambda ms: ms - 60000)
    site.policy.stop()
    site.policy.start(None, *site.settings, config=relays.configuration(), relayout=NOBODY)
    held = site.hold()
    machine.wait_until(lambda: site.policy.log().count(f"queue={held} ") >= 4, 15, "two passes")
    assert site.look_up(genuine).startswith("TEMP ")
    site.queue.edit_record(queue_id, "asked", lambda ms: ms - 3600000)
    machine.wait_until(lambda: "\nasked 1\n0\n" in (site.queue.records / queue_id).read_text(), 15,
                       "a token that is good again")
    site.change(only("big"))
    site.pick_up()


def test_damaged_record_of_a_held_message(site):
    """It stays held, but not for ever."""
    site.start(NOBODY)
    queue_id = site.hold()
    site.policy.stop()
    record = site.queue.records / queue_id
    record.write_text(record.read_text()[:40])
    site.policy.start(None, *site.settings, config=relays.configuration(), relayout=NOBODY)
    site.policy.wait_log(rf"queue={queue_id} .*is damaged: .*stays held until 20\d\d-\S+ \d\d:")
    assert site.state(queue_id) == "hold"
    os.utime(record, (time.time() - 4321 * 60,) * 2)
    site.policy.wait_log(f"queue={queue_id} .*is damaged: .*most_hold_minutes and is released")
    site.arrived("big")


def test_damaged_record_of_a_requeued_message(site):
    """It waits, but not for ever: after agent.most_hold_minutes it goes the way of any other."""
    site.start(NOBODY)
    queue_id = site.hold()
    site.policy.stop()
    record = site.queue.records / queue_id
    record.write_text(record.read_text()[:40])
    site.policy.start(None, *site.settings, config=relays.configuration())
    machine.run("postsuper", "-c", site.postfix.etc, "-r", queue_id, env=site.postfix.env)
    site.policy.wait_log(f"queue={queue_id} .*is damaged: the message, which was requeued, waits")
    assert site.postfix.deliveries() == []
    os.utime(record, (time.time() - 4321 * 60,) * 2)
    site.policy.wait_log(f"queue={queue_id} .*goes without its sender")
    site.pick_up()
    assert site.postfix.wait_delivery(recipient=BOB).host not in RELAYS.values()


def test_limit_of_a_hold(site):
    """After agent.most_hold_minutes it goes through the first sender, whatever the script says."""
    site.start(NOBODY)
    queue_id = site.hold()
    site.policy.stop()
    site.queue.edit_record(queue_id, "held", lambda ms: ms - 121 * 60000)
    site.policy.start(None, *site.settings, "agent.most_hold_minutes=120",
                      config=relays.configuration())
    site.policy.wait_log(f"queue={queue_id} .*released, whatever relayout.lua says")
    site.arrived("big")

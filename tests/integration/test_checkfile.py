"""CheckFile() of mxout.lua when a message comes in: on Postfix and on Sendmail."""

import pytest

BOB = "bob@one.test"
MESSAGE = "From: ann@sender.test\nTo: bob@one.test\nSubject: {}\n\nhello\n"
HOLD = """
function CheckFile(file, what, size, created, tries, last, from, to, data, lines)
    print(file, size, created, tries, "<" .. last .. ">", from, table.concat(to, " "), data.Subject,
          #lines, what.Priority)
    what.SkipSend = data.Subject == "wait"
    what.Reason = "not now"
    return what
end
"""


def options(mta, milter):
    return (f"agent.mta={mta.name}", f"agent.directory={milter.directory}/queue")


def send(mta, subject, recipients=BOB):
    assert mta.send("ann@sender.test", recipients, MESSAGE.format(subject)).ok
    mta.settle()


def records(milter):
    return sorted(f.name for f in (milter.directory / "queue").glob("[!.]*"))


def test_held_when_it_comes_in(mta, milter):
    """SkipSend: Postfix's hold queue, Sendmail's quarantine; the others are delivered."""
    milter.start(None, *options(mta, milter), mxout=HOLD)
    send(mta, "wait")
    assert [name for name, _ in mta.queue()] == ["hold"] and mta.deliveries() == []
    queue_id = mta.queue()[0][1]
    milter.wait_log("held by CheckFile: not now")
    assert records(milter) == [queue_id]
    send(mta, "go")
    assert mta.wait_delivery(recipient=BOB).header("Subject") == ["go"]
    first = milter.out().splitlines()[0].split("\t")
    assert first[0].endswith(queue_id) and int(first[1]) >= len(MESSAGE.format("wait"))
    assert len(first[2]) == 14 and first[3:8] == ["0", "<>", "ann@sender.test", BOB, "wait"]
    assert int(first[8]) >= 3 and first[9] == "50"


def test_one_instance_for_a_message(mta, milter):
    """ModifyReturnPath and CheckFile share the script's global variables, and no other message has
    them."""
    milter.start(None, *options(mta, milter), mxout="""
        local hooks = 0
        function ModifyReturnPath(computed)
            hooks = hooks + 1
            mark = "for " .. computed
        end
        function CheckFile(file, what)
            hooks = hooks + 1
            print(hooks, mark, ConnectionId, "<" .. ConnectionName .. ">")
            return what
        end""")
    for n in (1, 2):
        send(mta, "go")
        mta.wait_deliveries(n, recipient=BOB)
    assert milter.out().splitlines() == ["2\tfor ann@sender.test\t0\t<>"] * 2


def test_mail_that_stays_here_is_not_asked_about(mta, milter):
    milter.start(None, *options(mta, milter), mxout=HOLD)
    send(mta, "wait", f"ann@{mta.hostname}")
    mta.wait_delivery(recipient=f"ann@{mta.hostname}")
    assert milter.out() == "" and records(milter) == []


@pytest.mark.parametrize("mta", ["postfix"], indirect=True)
def test_nothing_is_held_that_nobody_would_release(mta, milter):
    """Without an agent, and when the record cannot be written, mail goes on."""
    milter.start(None, "agent.mta=none", f"agent.directory={milter.directory}/queue", mxout=HOLD)
    send(mta, "wait")
    mta.wait_delivery(recipient=BOB)
    milter.wait_log('agent.mta is "none"')
    milter.stop()
    (milter.directory / "file").write_text("")
    milter.start(None, "agent.mta=postfix", f"agent.directory={milter.directory}/file", mxout=HOLD)
    send(mta, "wait")
    mta.wait_deliveries(2)
    milter.wait_log("not held, although CheckFile said so: .*Not a directory")


@pytest.mark.parametrize("mta", ["postfix"], indirect=True)
def test_a_hook_that_fails(mta, milter):
    """Absent with lua.on_error = accept, 451 with tempfail."""
    script = "function CheckFile() error('no') end"
    milter.start(None, *options(mta, milter), "lua.on_error=accept", mxout=script)
    send(mta, "wait")
    mta.wait_delivery(recipient=BOB)
    milter.stop()
    milter.start(None, *options(mta, milter), "lua.on_error=tempfail", mxout=script)
    assert mta.send("ann@sender.test", BOB, MESSAGE.format("wait")).code == 451
    assert "no" in milter.errors()


@pytest.mark.parametrize("mta", ["postfix"], indirect=True)
def test_without_the_hook_there_are_no_records(mta, milter):
    """Scripts without CheckFile cost nothing: no file for any message."""
    milter.start(None, *options(mta, milter), mxout="function ServerDetails() end")
    send(mta, "go")
    mta.wait_delivery(recipient=BOB)
    assert not (milter.directory / "queue").exists()


@pytest.mark.parametrize("mta", ["postfix"], indirect=True)
def test_a_hold_of_another_script_is_not_ours(mta, milter):
    """What smtprules_1.lua has put aside nobody releases because CheckFile() would."""
    milter.start(None, *options(mta, milter), mxout=HOLD, smtprules_1="""
        function First(data, size, position)
            if position == 3 then return "HOLD put aside" end
        end""")
    send(mta, "wait")
    assert [name for name, _ in mta.queue()] == ["hold"]
    record = (milter.directory / "queue" / mta.queue()[0][1]).read_text()
    assert "\nheld 1\n0\n" in record and "held by CheckFile" not in milter.log()

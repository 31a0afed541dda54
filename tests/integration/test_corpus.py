"""Byte for byte: more than 300 messages of every kind pass both MTAs as they do without the filter,
trace fields aside, when the scripts change nothing."""

import re

from rig import corpus, machine

SCRIPTS = {
    # looks at all there is, changes nothing
    "ProcessMessage": {"smtpsvr": r'''
        function ProcessMessage(mailfrom, subject, recipients, actions, mime, size, attachments)
            for i, section in ipairs(mime) do
                VPOP3.GetMessagePartBody(section.Path)
            end
            print("ProcessMessage")
        end
    '''},
    "GetSignature": {"signature": "function GetSignature() print('GetSignature') end"},
}
SESSIONS = 4   # Sendmail is slow with one message after the other


def send_all(mta, messages, tag, plain):
    """Sends them in a few sessions at once; the recipient says which pass and which message.
    Returns the names of those that the server did not take: Sendmail ends the session at a bare
    carriage return."""
    def session(n):
        refused = []
        c = mta.client(plain=plain)
        for name, message in messages[n::SESSIONS]:
            reply = c.send("ann@one.test", f"{tag}.{name}@two.test", message)
            if not reply.ok:
                refused.append((name, reply.code))
            if reply.code == 421:
                c.close()
                c = mta.client(plain=plain)
        c.quit()
        return refused
    return sorted(sum(machine.in_parallel(SESSIONS, session), []))


def arrived(mta, tag, count):
    """What came, by the name of the message."""
    def of_pass():
        return {d.recipients[0].partition("@")[0].partition(".")[2]: d for d in mta.deliveries()
                if d.recipients[0].startswith(tag + ".")}
    machine.wait_until(lambda: len(of_pass()) >= count, 60, lambda: f"{count} messages of {tag}")
    return of_pass()


def difference(a, b):
    """The first place where two deliveries differ; None when there is none but in trace fields."""
    if re.sub(r"SIZE=\d+", "", a.mail_line) != re.sub(r"SIZE=\d+", "", b.mail_line):
        return a.mail_line, b.mail_line
    x, y = a.without_trace(), b.without_trace()
    if x == y:
        return None
    at = next((i for i, (p, q) in enumerate(zip(x, y)) if p != q), min(len(x), len(y)))
    return x[max(0, at - 40):at + 40], y[max(0, at - 40):at + 40]


def test_corpus_passes_byte_for_byte(mta, milter):
    """What scripts do not change stays as it is: R9, and the design's "byte for byte"."""
    messages = corpus.messages()
    assert len({name for name, _ in messages}) == len(messages) >= 300
    refused = send_all(mta, messages, "without", plain=True)
    taken = len(messages) - len(refused)
    assert taken >= 300
    for tag, scripts in SCRIPTS.items():
        for name in ("smtpsvr", "signature"):
            milter.script(name + ".lua", scripts.get(name, ""))
        if milter.process is None:
            milter.start(None)
        else:
            milter.reload()
        assert send_all(mta, messages, tag, plain=False) == refused
    assert milter.out().count("ProcessMessage\n") >= taken   # Sendmail asks, then refuses
    assert milter.out().count("GetSignature\n") > taken / 2   # the others cannot be signed
    without = arrived(mta, "without", taken)
    for tag in SCRIPTS:
        found = arrived(mta, tag, len(without))
        assert found.keys() == without.keys()
        wrong = {name: d for name in found if (d := difference(found[name], without[name]))}
        assert not wrong, (tag, len(wrong), list(wrong.items())[:5])

"""More than 300 messages of every kind pass both MTAs as they do without the filter, byte for byte,
trace fields aside, when the scripts change nothing; and with a signature in them."""

import re

from rig import corpus, machine

SCRIPTS = {
    # both look at all there is and change nothing
    "untouched": {
        "smtpsvr": r'''
            function ProcessMessage(mailfrom, subject, recipients, actions, mime, size, attachments)
                for i, section in ipairs(mime) do
                    VPOP3.GetMessagePartBody(section.Path)
                end
                print("ProcessMessage")
            end
        ''',
        "signature": "function GetSignature() print('GetSignature') end",
    },
    "signed": {"signature": r'''
        function GetSignature(format)
            return format == "HTML" and "<p>ACME 7361 Grüße €</p>" or "-- \nACME 7361 Grüße €"
        end
    '''},
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


def leaves(message):
    return [part for part in message.walk() if not part.is_multipart()]


def fields(part):
    return [f for f in part.items() if f[0].lower().startswith("content-")]


def decoded(part):
    return part.get_payload(decode=True) or b""


def as_text(part):
    """The text of a part with the line ends of the part; None when it cannot be read as it says."""
    try:
        return decoded(part).decode(part.get_content_charset("us-ascii"))
    except (LookupError, UnicodeDecodeError):
        return None


def has_grown(old, new):
    """The one is the other without one stretch of it."""
    before = next((i for i, (p, q) in enumerate(zip(old, new)) if p != q), len(old))
    rest = old[before:]
    return len(new) > len(old) and (not rest or new.endswith(rest))


def changed(without, signed):
    """What is wrong with a signed message; None when it is fine, or was left alone."""
    old, new = leaves(without.message), leaves(signed.message)
    if [p.get_content_type() for p in old] != [p.get_content_type() for p in new]:
        return "other parts"
    for a, b in zip(old, new):
        if a.get_payload() == b.get_payload() and fields(a) == fields(b):
            continue
        if a.get_content_maintype() != "text" or a.get_filename():
            return "a part that is no body"
        x, y = as_text(a), as_text(b)
        if x is None or y is None:
            x, y = decoded(a), decoded(b)
            mark = b"ACME 7361"
        else:
            mark = "ACME 7361"
        if not has_grown(x, y) or y.count(mark) != 1:
            return "a text", x[-100:], y[-200:]
    return None


def test_corpus(mta, milter):
    """What scripts do not change stays as it is, byte for byte. With a signature, read by a parser
    that is not ours (R8): texts have grown by it and nothing else, all other parts are the same."""
    messages = corpus.messages()
    assert len({name for name, _ in messages}) == len(messages)
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
    found = {tag: arrived(mta, tag, taken) for tag in SCRIPTS}
    assert all(found[tag].keys() == without.keys() for tag in SCRIPTS)
    wrong = {n: why for n in without if (why := difference(found["untouched"][n], without[n]))}
    assert not wrong, (len(wrong), list(wrong.items())[:5])
    signed = found["signed"]
    assert sum(difference(signed[name], without[name]) is not None for name in without) > taken / 2
    del without["long-lines"]   # the MTA breaks them; with the signature they are encoded and whole
    wrong = {name: why for name in without if (why := changed(without[name], signed[name]))}
    assert not wrong, (len(wrong), list(wrong.items())[:5])

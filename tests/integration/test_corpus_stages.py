"""The corpus through each stage that can change a message, with a real Postfix: the structure that
ProcessMessage sees, routing and filing for users, errors.lua. What a stage does not change stays as
it is, byte for byte, and no message upsets any of them (R6, R8). test_corpus.py has the signatures."""

import email
import email.policy
import re

import pytest

from rig import corpus, machine, smtp
from test_corpus import arrived, difference, fields, leaves, send_all

MESSAGES = corpus.messages()
# Postfix changes them on the way out, after the filter: it breaks lines of more than 998 bytes, and
# ends the header of a message that has nothing but one
CHANGED_LATER = {"long-lines", "long-8bit-lines", "long-header", "no-empty-line"}
OURS = re.compile(rb"(?im)^X-Mailhooks-[^\r\n]*\r\n([ \t][^\r\n]*\r\n)*")

pytestmark = pytest.mark.parametrize("mta", ["postfix"], indirect=True)


def all_arrived(mta, tag, refused):
    return arrived(mta, tag, len(MESSAGES) - len(refused))


def report(wrong):
    assert not wrong, (len(wrong), list(wrong.items())[:5])


# what ProcessMessage sees

STRUCTURE = r'''
function ProcessMessage(from, subject, recipients, actions, mime, size, attachments)
    local file = assert(io.open("DIRECTORY/" .. recipients[1]:match("^(.*)@"), "wb"))
    for _, section in ipairs(mime) do
        local part = VPOP3.GetMessagePart(section.Path)
        file:write(string.format("%s %s/%s %d %d %d %d\n", section.Path, section.ContentType, section.ContentSubtype,
            section.Start, section.End, #part, #VPOP3.GetMessagePartBody(section.Path)), part, "\n")
    end
    file:close()
    for i, a in ipairs(attachments) do VPOP3.SaveAttachment(i, "DIRECTORY/saved") end
    print("size", recipients[1], size)
end
'''


def sections_of(file):
    """What the script wrote: [(path, type, start, end, size of the body, bytes)]."""
    data, at, found = file.read_bytes(), 0, []
    while at < len(data):
        end = data.index(b"\n", at)
        path, kind, *numbers = data[at:end].decode().split(" ")
        start, stop, size, body = map(int, numbers)
        found.append((path, kind, start, stop, body, data[end + 1:end + 1 + size]))
        at = end + 1 + size + 1
    return found


def wrong_structure(data, sections, size):
    """What is wrong with the offsets; None: nothing."""
    if size != len(data):
        return "size", size, len(data)
    for path, kind, start, stop, body, part in sections:
        if not (0 <= start <= stop <= len(data)) or data[start:stop] != part:
            return "offsets", path, kind, start, stop
        if body > 0 and not part.endswith(data[stop - body:stop]):
            return "body", path, kind, body
    return None


def unlike_python(data, sections):
    """Leaves that Python's parser reads otherwise; None where the two see different trees."""
    theirs = [p for p in email.message_from_bytes(data).walk()
              if p.get_content_maintype() not in ("multipart", "message")]
    ours = [s for s in sections if s[1].split("/")[0] not in ("multipart", "message")]
    if len(theirs) != len(ours):
        return None
    return [(s[0], s[1]) for s, p in zip(ours, theirs)
            if email.message_from_bytes(s[5]).get_payload().rstrip() != p.get_payload().rstrip()]


def test_structure(mta, milter):
    """R8: each section cut out of the message by its offsets is what GetMessagePart() gives, and holds
    what a parser that is not ours sees there."""
    directory = milter.directory / "sections"
    directory.mkdir()
    directory.chmod(0o777)
    milter.start(STRUCTURE.replace("DIRECTORY", str(directory)), f"lua.attachment_dirs={directory}")
    refused = send_all(mta, MESSAGES, "seen", plain=False)
    found = all_arrived(mta, "seen", refused)
    assert milter.errors() == ""
    sizes = dict(re.findall(r"size\tseen\.(.*)@two\.test\t(\d+)", milter.out()))
    wrong, unlike, count = {}, {}, 0
    for name in found.keys() - CHANGED_LATER:
        data, sections = found[name].without_trace(), sections_of(directory / f"seen.{name}")
        count += len(sections)
        if why := wrong_structure(data, sections, int(sizes[name])):
            wrong[name] = why
        unlike[name] = unlike_python(data, sections)
    report(wrong)
    assert count > 2 * len(found)
    report({name: why for name, why in unlike.items() if why})
    assert list(unlike.values()).count(None) < len(found) / 20   # two parsers, broken messages


# routing, and what is handed on to Sieve

def test_routing(mta, milter):
    """R6: each message is forwarded for one user, and filed for another who keeps it to himself;
    nothing but our own fields is new."""
    people = "".join(f"routed.{name}:\n\tForwards = far.{name}@one.test\n\tUseForwards = yes\nfiled.{name}:\n"
                     for name, _ in MESSAGES)
    (milter.directory / "users").write_text(people)
    milter.start(None, "local_domains=two.test", f"users.source=file:{milter.directory}/users",
                 f"store=sqlite:{milter.directory}/store.db", user_redirect="""
        function MainDoRouting(user) print("routed", user) end""", delivery="""
        function DeliverMessage() Folders = { "Work" } Flagged = true end""")
    refused = send_all(mta, MESSAGES, "without", plain=True)
    for tag in "routed", "filed":
        assert send_all(mta, MESSAGES, tag, plain=False) == refused
    without = all_arrived(mta, "without", refused)
    assert milter.errors() == "" and milter.out().count("routed\t") >= 2 * len(without)
    wrong = {}
    for tag, ours in ("routed", b"forwarded"), ("far", b"forwarded"), ("filed", b"folder"):
        for name, got in all_arrived(mta, tag, refused).items():
            added = b"".join(m[0] for m in OURS.finditer(got.data)).lower()
            got.data = OURS.sub(b"", got.data)
            if why := difference(got, without[name]):
                wrong[tag, name] = why
            elif not added.startswith(b"x-mailhooks-" + ours):
                wrong[tag, name] = added
    report(wrong)


# errors.lua

NEW_TEXT = "Neuer Text, ß"
ERRORS = '''
function ProcessError(item, err, connection, sid, subject, fid, format, parameters, target, sender)
    print("asked", target)
    if target:find("^same") then return subject, format, target, sender, false end
    return "Neu: ä", "Neuer Text, ß\\n", nil, "Haus <house@one.test>"
end
'''


def submit_all(mta, tag):
    """As if Postfix itself had written them: through sendmail(1) in a few sessions, as MAILER-DAEMON."""
    def session(n):
        said = [b"EHLO localhost\r\n"]
        for name, data in MESSAGES[n::4]:
            data = data.replace(b"From: ann@one.test\r\n", b"From: MAILER-DAEMON@mail.test\r\n")
            data += b"" if data.endswith(b"\r\n") else b"\r\n"
            said.append(f"MAIL FROM:<>\r\nRCPT TO:<{tag}.{name}@two.test>\r\nDATA\r\n".encode() + smtp.dot_stuff(data))
        done = mta.submit(b"".join([*said, b"QUIT\r\n"]), "-bs")
        assert done.stdout.count(b"queued as") == len(said) - 1, done
    machine.in_parallel(4, session)
    return arrived(mta, tag, len(MESSAGES))


def stretch(old, new):
    """Where two texts differ: the same before it, the same after it."""
    before = next((i for i, (p, q) in enumerate(zip(old, new)) if p != q), min(len(old), len(new)))
    after = 0
    while after < min(len(old), len(new)) - before and old[-1 - after] == new[-1 - after]:
        after += 1
    return before, len(old) - after


def wrong_notice(without, new):
    """What is wrong with a notice that was rewritten; None: nothing. False: it has no text to rewrite."""
    changed = {"subject", "from", "content-type", "content-transfer-encoding", "mime-version"}
    kept = [[f for f in d.fields if f[0].lower().strip() not in changed and not f[0].startswith("Received")]
            for d in (without, new)]
    if kept[0] != kept[1]:
        return "fields", kept
    if "house@one.test" not in new.header("From")[-1]:
        return "From", new.fields
    if without.body == new.body:
        return False
    old_leaves, new_leaves = leaves(without.message), leaves(new.message)
    if new_leaves[0].get_content().rstrip() != NEW_TEXT:
        return "text", new_leaves[0].get_content()
    if len(old_leaves) == 1:
        return None
    if [(fields(p), p.get_payload()) for p in old_leaves[1:]] != [(fields(p), p.get_payload()) for p in new_leaves[1:]]:
        return "parts"
    start, stop = stretch(without.body, new.body)
    first = old_leaves[0].as_bytes(policy=email.policy.compat32.clone(linesep="\r\n", max_line_length=0))
    if without.body[start:stop].strip() not in first:
        return "more than the first part", without.body[start:stop][-200:]
    return None


def test_notices(mta, milter):
    """A script that changes nothing, and one that changes all that it may: subject, sender, and the
    text for people, which is the first part."""
    milter.start(None)
    without = submit_all(mta, "without")
    milter.script("errors.lua", ERRORS)
    milter.reload()
    same, new = submit_all(mta, "same"), submit_all(mta, "new")
    assert milter.errors() == "" and milter.out().count("asked\t") == 2 * len(MESSAGES)
    report({name: why for name in without if (why := difference(same[name], without[name]))})
    found = {name: wrong_notice(without[name], new[name]) for name in without.keys() - CHANGED_LATER}
    report({name: why for name, why in found.items() if why})
    assert list(found.values()).count(None) > 100   # the others are HTML, broken ...
    assert milter.log().count("text of the notice not changed") == len(
        [n for n, d in without.items() if d.body == new[n].body])

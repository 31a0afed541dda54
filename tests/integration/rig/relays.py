"""Relays ("senders") that Postfix sends through, set up with what `mailhooks setup` writes: what
the tests of relayout.lua share."""

from rig import outbound, postfix

RELAYS = {"big": "127.0.0.61", "other": "127.0.0.62"}
FIELD = "X-Mailhooks-Sender"

# The vendor's words: messages over 50000 bytes through sender 0, all others through sender 1. The
# `end`s are those that its page lost.
CHOOSE = """
function CheckFile(filename, actions, size, createtime, mailfrom, recipients, headerdata, headerlines)
    if size > 50000 then
        if senderid ~= 0 then
            actions["SkipSend"] = 1;
        end
    else
        if senderid ~= 1 then
            actions["SkipSend"] = 1;
        end
    end
    return actions;
end
"""


def configuration(**settings):
    """The senders of the configuration: configuration(big="tls = \\"none\\"")."""
    return "".join(f'sender "{name}" {{\n\trelay = "[{address}]:25"\n\ttls = "none"\n'
                   f'\t{settings.get(name, "")}\n}}\n' for name, address in RELAYS.items())


def listen(sink):
    """Listeners, as a fixture yields them."""
    for address in RELAYS.values():
        sink.listen(address)
    yield sink
    for address in RELAYS.values():
        sink.unlisten(address)


def written(policy, config, script, *options):
    """main.cf parameters and master.cf lines of `mailhooks setup --write`."""
    if script is not None:
        policy.script("relayout.lua", script)
    policy.config.write_text(config)
    return outbound.written(policy, options)


def start_postfix(sink, port, milter, parameters, master):
    return postfix.Postfix(sink, port, f"unix:{milter.socket}", parameters, master)

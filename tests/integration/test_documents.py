"""What the documents show works as it is shown: lines for main.cf pasted to the end of Debian's, for
mailhooks.conf to the end of the sample, Lua in the environment of the scripts."""

import pathlib
import re
import subprocess

import pytest

from rig import machine

DOCUMENTS = sorted((machine.TOP / "doc").glob("*.md")) + [machine.TOP / "README.md"]
DEBIAN_MAIN_CF = pathlib.Path("/usr/share/postfix/main.cf.debian")


def blocks(kind):
    """Each fenced block of that kind, with a name for the report."""
    for document in DOCUMENTS:
        for number, text in enumerate(re.findall(rf"^```{re.escape(kind)}\n(.*?)^```$",
                                                 document.read_text(), re.S | re.M)):
            yield pytest.param(text, id=f"{document.name}-{number}")


def snippets():
    for path in sorted((machine.TOP / "contrib").glob("*.cf.snippet")):
        yield pytest.param(path.read_text(), id=path.name)


def cli(*arguments):
    return subprocess.run([machine.BUILD / "cli/mailhooks", *arguments], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False, timeout=30)


@pytest.mark.parametrize("text", [*blocks("main.cf"), *snippets()])
def test_lines_for_main_cf(tmp_path, text):
    """Pasted as they stand, they set what they show, and Postfix knows all of it."""
    (tmp_path / "master.cf").write_text("")
    (tmp_path / "main.cf").write_text(DEBIAN_MAIN_CF.read_text() + text)
    logical = re.sub(r"\n[ \t]+", " ", re.sub(r"^#.*\n", "", text, flags=re.M))
    shown = dict(re.split(r"\s*=\s*", line, 1) for line in logical.splitlines() if line)
    done = subprocess.run(["/usr/sbin/postconf", "-c", tmp_path, *shown], capture_output=True,
                          text=True, check=True, timeout=30)
    assert done.stderr == "" and shown
    assert dict(re.split(r"\s*=\s*", line, 1) for line in done.stdout.splitlines()) == shown


@pytest.mark.parametrize("text", blocks("mailhooks.conf"))
def test_lines_for_mailhooks_conf(tmp_path, text):
    """They are taken, and none of them takes back another of its block."""
    names = re.findall(r"^(\w+)\s*=", text, re.M)
    assert len(names) == len(set(names)), "one block for each choice"
    config = tmp_path / "mailhooks.conf"
    config.write_text((machine.TOP / "contrib/mailhooks.conf").read_text() + text)
    done = cli("-c", config, "-o", f"scripts={tmp_path}", "-o", "user=", "-o", "group=",
               "-o", "users.source=", "check", "--errors")
    assert done.returncode == 0, done.stdout


def test_lua(tmp_path):
    """All of it compiles; it is not run, as some are parts of scripts."""
    script = tmp_path / "parts.lua"
    parts = [(block.id, block.values[0]) for block in blocks("lua")]
    assert len(parts) >= 10
    script.write_text("".join(f"local function part(...)  -- {name}\n{text}\nend\n"
                              for name, text in parts))
    done = cli("-c", "/dev/null", "-o", f"scripts={tmp_path}", "-o", "user=", "-o", "group=", "lua",
               script)
    assert (done.returncode, done.stdout) == (0, ""), script.read_text()


def test_the_guide_shows_the_example():
    """doc/throttle-outbound.md says that contrib/scripts/throttle.lua is what it shows."""
    guide = (machine.TOP / "doc/throttle-outbound.md").read_text()
    example = (machine.TOP / "contrib/scripts/throttle.lua").read_text()
    shown = re.search(r"^```lua\n(.*?)^```", guide, re.S | re.M)[1]
    without = [re.sub(r" *--.*\n", "", text).strip() for text in (shown, example)]
    assert re.sub(r"\n+", "\n", without[0]) == re.sub(r"\n+", "\n", without[1])

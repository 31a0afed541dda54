"""mailhooks check and replay: exit statuses, and the dialogue of the README."""

import re

from rig import machine

BINARY = machine.BUILD / "cli/mailhooks"


def mailhooks(tmp_path, *arguments, stdin=b""):
    scripts = tmp_path / "scripts"
    scripts.mkdir(exist_ok=True)
    done = machine.run(BINARY, "-c", "/dev/null", "-o", f"scripts={scripts}", "-o", f"state_dir={tmp_path}",
                       "-o", "lua.out=", "-o", "lua.errors=", *arguments, stdin=stdin, check=False)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def write(tmp_path, text):
    (tmp_path / "scripts").mkdir(exist_ok=True)
    (tmp_path / "scripts" / "smtpsvr.lua").write_text(text)


def test_check_names_scripts_and_hooks(tmp_path):
    write(tmp_path, "function Start() end function DoMAILFROM() end")
    status, out, _ = mailhooks(tmp_path, "check")
    assert status == 0 and "smtpsvr.lua: hooks Start DoMAILFROM" in out


def test_check_says_good_only_when_it_is(tmp_path):
    """And backslashes are what the script has."""
    write(tmp_path, 'path = "C:\\VPOP3"')
    status, out, _ = mailhooks(tmp_path, "check")
    assert status == 0 and out.startswith("configuration /dev/null: good\n")
    assert "old idiom unknown-escape \\V (Lua" in out
    status, out, _ = mailhooks(tmp_path, "-o", f"users.source=file:{tmp_path}/none", "check")
    assert status == 78 and ": good" not in out and f"{tmp_path}/none" in out and "1 error, 0 warnings, 0 notes" in out


def test_check_of_a_broken_script(tmp_path):
    write(tmp_path, "\n\nfunction Start(")
    status, out, _ = mailhooks(tmp_path, "check")
    assert status == 78 and re.search(r"/scripts/smtpsvr\.lua:3: ", out)


def test_bad_settings_and_usage(tmp_path):
    status, _, err = mailhooks(tmp_path, "-o", "lua.hok_ms=5", "check")
    assert status == 78 and "hook_ms" in err            # did you mean
    _, _, err = mailhooks(tmp_path, "-o", "polciy.listen=x", "check")
    assert '(did you mean "policy.listen"?)' in err
    assert mailhooks(tmp_path)[0] == 2
    assert mailhooks(tmp_path, "no-such-command")[0] == 2
    assert mailhooks(tmp_path, "check", "surplus")[0] == 2
    assert mailhooks(tmp_path, "replay", "/no/such/file")[0] == 1


def test_help(tmp_path):
    """Of every program, in both forms, and of each command; the manual has just these commands."""
    for name in ("milter/mailhooks-milter", "policy/mailhooks-policy", "policy/mailhooks-queue",
                 "cli/mailhooks"):
        texts = [machine.run(machine.BUILD / name, option).stdout.decode() for option in ("-h", "--help")]
        assert texts[0] == texts[1] and texts[0].startswith(f"usage: {name.split('/')[1]} [")
        assert machine.run(machine.BUILD / name, "--version").stdout.startswith(b"mailhooks")
    listed = re.findall(r"^  ([a-z][\w-]*) ", texts[0], re.M)
    manual = (machine.TOP / "man/mailhooks.1").read_text()
    assert listed == sorted(set(listed)) == sorted(set(re.findall(r"^\.Ss mailhooks ([\w-]+)", manual, re.M)))
    for name in listed:
        status, out, _ = mailhooks(tmp_path, name, "--help")
        assert status == 0 and out.startswith(f"usage: mailhooks {name} ")


def test_nothing_to_show(tmp_path):
    """`mailhooks attempts` says why there may be nothing, and what is wrong with an option."""
    where = ("-o", "user=", "-o", "group=", "-o", f"store=sqlite:{tmp_path}/store.db")
    for options, arguments, status, said in (
            ((), (), 0, "maillog.source is empty"),
            (("-o", "maillog.source=journal"), (), 0, "records them from journal"),
            (("-o", "maillog.source=journal"), ("--result", "4"), 0, "no such attempt"),
            ((), ("--since", "5"), 2, '--since "5" is no time'),
            ((), ("-n", "x"), 2, '-n "x" is no number'),
            ((), ("x",), 2, '"x" is no option')):
        assert (done := mailhooks(tmp_path, *where, *options, "attempts", *arguments))[0] == status
        assert done[1] == "" and said in done[2], done


def test_replay_of_the_readme(tmp_path):
    readme = (machine.TOP / "README.md").read_text()
    script = re.search(r"### A first script.*?```lua\n(.*?)```", readme, re.S)[1]
    command, dialogue = re.search(r"\$ printf '(.*?)' \| mailhooks replay\n(.*?)```", readme, re.S).groups()
    write(tmp_path, script)
    status, out, _ = mailhooks(tmp_path, "replay", stdin=command.replace("\\n", "\n").encode())
    assert (status, out) == (0, dialogue)


def test_replay_of_a_whole_session(tmp_path):
    write(tmp_path, '''
        function DoHELO(name) print("from", IPAddress, Encryption, name) end
        function ProcessMessage(f, s, r, a, mime, size)
            print(s, size, #r)
            a.HeaderModifiers = {"Subject: changed"}
            return a
        end
    ''')
    status, out, _ = mailhooks(tmp_path, "replay", stdin=b"""*client 192.0.2.7 mail.example.com
*tls TLSv1.3 TLS_AES_256_GCM_SHA384
EHLO me
MAIL FROM:<a@b.test>
RCPT TO:<c@d.test>
DATA
Subject: first
 line

..dot
.
QUIT
""")
    assert status == 0
    assert "print: from\t192.0.2.7\ttrue\tme" in out
    assert "print: first line\t31\t1" in out
    assert "header change 1 Subject: changed" in out

"""mailhooks check: every kind of finding, and that calls on trial touch nothing (R5, R14)."""

import json
import re
import socket

import pytest

from rig import machine
from test_cli import mailhooks, write


def check(tmp_path, *options):
    status, out, err = mailhooks(tmp_path, *[o for option in options for o in ("-o", option)], "check", "--json")
    assert err == ""
    return status, json.loads(out)


def finding(report, kind):
    return [f for f in report["findings"] if f["kind"] == kind]


# kind, script, line, part of what, part of the way out. A file other than smtpsvr.lua: "name: text"
CASES = [
    ("syntax", "\n\nfunction Start(", 3, "expected", ""),
    ("syntax", "\x1bLua", 0, "binary chunk", ""),
    ("top-level", "local t\nt.x = 1", 2, "attempt to index a nil value", ""),
    ("top-level", "while true do end", 1, "budget of the hook used up", ""),
    ("top-level", 'require "none"', 1, "module 'none' not found", ""),
    ("hook-name", "\nfunction DoRcptTo() end", 2, "DoRcptTo is no hook", "did you mean DoRCPTTO?"),
    ("hook-name", "function DoMAILFORM() end", 1, "DoMAILFORM", "DoMAILFROM"),
    ("hook-name", "function start() end", 1, "start", "did you mean Start?"),
    ("other-hook", "function CheckServer() end", 1, "mxserverrules.lua, not of smtpsvr.lua", "move it"),
    ("parameters", "function DoHELO(a, b, c,\nd) end", 1, "4 parameters and is called with 3", "bEHLO: boolean"),
    ("parameters", "function End(x) end", 1, "1 parameter and is called with 0 arguments", "End()"),
    ("unknown-global", "function Start()\n return greting\nend greeting = 1", 2, "greting is read", "greeting?"),
    ("unknown-global", "function Start() return IPAdress end", 1, "IPAdress", "did you mean IPAddress?"),
    ("unknown-global", "function Start() return ipadress end", 1, "ipadress", "did you mean IPAddress?"),
    ("unknown-global", "\nAuthenticationRequird = true", 2, "nothing reads it", "did you mean AuthenticationRequired?"),
    ("hook-value", "\nDoNOOP = print", 2, "DoNOOP is a library function", "function DoNOOP"),
    ("hook-value", "DoQUIT = '221 bye'", 1, "DoQUIT is a string, not a function", "function DoQUIT()"),
    ("hook-name", "\n\nDoNoop = print", 3, "DoNoop is no hook", "did you mean DoNOOP?"),
    ("wrong-value", "\nAllowedUsers = {}", 2, "AllowedUsers is not a string but a table", "a string"),
    ("wrong-value", "function DoQUIT()\nMaxLineLength = 'long' end", 2, "MaxLineLength is not a number but a string: long", ""),
    ("wrong-value", "function ProcessMessage(f, s, l, a) a.Delete = {} end", 1,
     "ProcessMessage: actions.Delete is not true or false but a table", "true or false"),
    ("wrong-value", "function ProcessMessage(f, s, l, a) a.Recipients = 5 end", 1, "actions.Recipients is not a table", ""),
    ("wrong-value", "function ProcessMessage(f, s, l, a) a.HeaderModifier = {} end", 1,
     "actions.HeaderModifier is a field that nothing reads", "did you mean HeaderModifiers?"),
    ("wrong-value", "function ProcessMessage(f, s, l, a) a.Colour = 1 end", 1, "actions.Colour",
     "the fields are: Delete, HeaderModifiers, Ignore, Reason, Recipients, SendToOriginalRecipients"),
    ("wrong-value", "function ProcessMessage() return { ignore = true } end", 1, "actions.ignore", "did you mean Ignore?"),
    ("wrong-value", "mxout.lua:function CheckFile(n, a) a.Priority = 'high' end", 1,
     "CheckFile: Actions.Priority is not a number but a string: high", "a number"),
    ("wrong-value", "mxout.lua:function ServerDetails(p, h, a) a.verifyCrt = 1 return a end", 1, "Actions.verifyCrt",
     "did you mean verifyCert?"),
    ("wrong-value", "user_redirect.lua:function DoRouting() BigRedirect.Treshold = 5 end", 0, "BigRedirect.Treshold",
     "did you mean Threshold?"),
    ("unknown-global", "function Start() nothing_like_that() end", 1, "nothing_like_that", "local"),
    ("unknown-global", "function Start() local a = function() return far end end", 1, "far", ""),
    ("unknown-function", "function Start()\n\n VPOP3.GetSeting('x') end", 3, "no VPOP3.GetSeting", "VPOP3.GetSetting?"),
    ("unknown-function", "local s = string.fnd", 1, "no string.fnd", "string.find"),
    ("unknown-function", "local x = 300 and VPOP3Net.getdnsrecords", 1, "getdnsrecords", "VPOP3Net.GetDNSRecords?"),
    ("refused-function", "function Start() os.execute('x') end", 1, "os.execute is disabled", "os.timedexecute"),
    ("old-idiom", "function Start()\n return table.getn({}) > 0 end", 2, "table.getn", "exists here"),
    ("old-idiom", 'x = "C:\\VPOP3"', 1, "unknown-escape", "backslash is dropped"),
    ("no-hook", "x = 1", 0, "no hook of smtpsvr.lua", ""),
    ("call-fails", "function DoQUIT() local t\n t.x = 1 end", 2, "DoQUIT, called on trial: attempt to index", ""),
    ("call-fails", "function DoQUIT() error({}) end", 0, "table value", ""),
    ("call-budget", "function DoQUIT()\n while true do end end", 2, "budget of the hook used up", "mailhooks.conf"),
    ("call-budget", "function DoQUIT() local s = 'x'\n while true do s = s .. s end end", 2, "memory budget used up", ""),
    ("call-unsure", "function DoQUIT() local ok, v = VPOP3.GetSetting('x') return #v end", 1, "get length of a nil",
     "VPOP3.GetSetting gives no answer"),
    ("result-type", "\nfunction DoQUIT() return {} end", 2, "result 1 of DoQUIT is not an SMTP reply", "response: reply"),
    ("result-type", "function DoVRFY() return 'no' end", 1, "a string: no", ""),
    ("result-type", "function DoHELO() return {}, '' end", 1, "not true or false but a table", "bRefuse"),
    ("result-type", "function DoHELO() return true, 12 end", 1, "result 2 of DoHELO", ""),
    ("result-type", "function GetMaxMessageSize() return 'much' end", 1, "not a number", ""),
    ("result-type", "function DoMAILFROM() return '', 'x' end", 1, "not a table", ""),
    ("result-type", "function DoDATAStart() return '', {{}} end", 1, "not a list of strings", ""),
    ("sibling-syntax", "lists.lua:\nx = = 1", 2, "unexpected symbol", "asks for this file"),
    ("unknown-global", "lists.lua:return missing_thing", 1, "missing_thing", ""),
    ("file-name", "smptsvr.lua:x = 1", 0, "smptsvr.lua", "did you mean smtpsvr.lua?"),
    ("user-script", "joe/delivery.lua:\nerror('mine')", 2, "mine", "left out"),
    ("user-script", "joe/delivery.lua:function", 1, "expected", "left out"),
    ("result-type", "passwordcheck.lua:function Check() return {} end", 1, "result 1 of Check is not true or false",
     "allowed: boolean"),
    ("parameters", "mxserverrules.lua:function CheckServer(a, b, c, d, e, f) end", 1, "6 parameters", "defaultResult"),
]

SEVERITY = {"syntax": ("error", 78), "top-level": ("error", 78), "no-hook": ("note", 0), "old-idiom": ("note", 0),
            "call-unsure": ("note", 0)}


@pytest.mark.parametrize("kind,text,line,what,way_out", CASES)
def test_findings(tmp_path, kind, text, line, what, way_out):
    write(tmp_path, "")
    name, colon, rest = text.partition(":")
    other = colon and re.fullmatch(r"[\w/]+\.lua", name)
    path = tmp_path / "scripts" / (name if other else "smtpsvr.lua")
    path.parent.mkdir(exist_ok=True)
    path.write_text(rest if other else text)
    status, report = check(tmp_path, "lua.hook_ms=100")
    (found,) = finding(report, kind)
    severity, wanted = SEVERITY.get(kind, ("warning", 1))
    assert (found["file"], found["line"], found["severity"]) == (str(path), line, severity)
    assert what in found["what"] and way_out in found["way_out"], found
    if wanted == 78 or severity == "warning":
        assert status == wanted
    assert report[severity + "s"] >= 1


def test_nothing_to_find(tmp_path):
    """Guarded names, names that another file or the top level gives, aliases, nested functions, locals."""
    write(tmp_path, """
        local lists = require "lists"
        local find = string.find
        if not unpack then unpack = table.unpack end
        if newer_function then newer_function() end
        if type(other_function) == "function" then other_function() end
        local fallback = maybe or {}
        function string.split(s) return { s:match("(.*),(.*)") } end
        for _, name in ipairs { "made_up" } do _G[name] = function() end end
        count = (count or 0) + 1
        function Start()
            made_up()
            from_lists = from_lists + #string.split("a,b") + count
            return find("x", "x") and ""
        end
        function DoHELO(host) return false, RBLFound and "550 listed" or nil end
        function DoRCPTTO(data, rcpt, parameters, list, ...)
            if list[1] == rcpt then return "550 5.1.1 twice" end
            for k, v in parameters do print(k, v) end
            return "", parameters
        end
        function ProcessMessage(from, subject, list, actions, mime)
            actions.HeaderModifiers = { "X-Part: " .. mime[1].ContentType }
            actions.ignore, actions.Delete, actions.Reason, actions.Recipients = 0, "no", 5, "ann@one.test"
        end
        function GetMaxMessageSize(host, size) return 10 / 2 end
        MaxLineLength, AllowedUsers, RBLServers, CheckRBL, forwarded = 2000 / 2, 12, "bl.test", 1, {}
        function DoQUIT() return "221" end
        """)
    (tmp_path / "scripts" / "lists.lua").write_text("from_lists = 1 return {}")
    status, report = check(tmp_path)
    assert [f for f in report["findings"] if f["severity"] != "note"] == []
    assert status == 0
    assert report["scripts"] == [{"file": str(tmp_path / "scripts/smtpsvr.lua"), "hooks": [
        "Start", "GetMaxMessageSize", "DoHELO", "DoQUIT", "DoRCPTTO", "ProcessMessage"]}]


def test_every_script_is_looked_at(tmp_path):
    """One broken script hides nothing of the others."""
    write(tmp_path, "function DoQUIT() return {} end")
    for name in ("mxout", "signature", "passwordcheck"):
        (tmp_path / "scripts" / f"{name}.lua").write_text("x = = 1")
    status, report = check(tmp_path)
    assert status == 78 and len(finding(report, "syntax")) == 3 and len(finding(report, "result-type")) == 1


def test_calls_on_trial_touch_nothing(tmp_path):
    """R14: files, programs, the store and the network stay alone, also through names saved at the top level."""
    canary = tmp_path / "canary"
    canary.write_text("still here")
    server = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{server.getsockname()[1]}/"
    write(tmp_path, f"""
        local open, remove, get, file = io.open, os.remove, VPOP3Net.GetHTTP, io.open("{canary}", "a")
        local function try(f, ...) tried = (tried or 0) + 1 return pcall(f, ...) end
        function Start()
            try(open, "{tmp_path}/made", "w") try(remove, "{canary}") try(os.rename, "{canary}", "{tmp_path}/x")
            try(get, "{url}") try(os.timedexecute, "/bin/touch {tmp_path}/touched", 1000)
            try(VPOP3.SetSetting, "a", "b") try(VPOP3.SetUserSetting, "ann", "a", "b") try(os.sleep, 100000)
            try(file.write, file, "more") try(io.write, "text") try(os.tmpname) try(io.tmpfile)
            try(VPOP3Net.GetDNSRecords, "example.com", 1) try(VPOP3Net.GetWHOIS, "127.0.0.1", "x")
            error("tried " .. tried)
        end""")
    before = sorted(p.name for p in tmp_path.iterdir())
    status, report = check(tmp_path, "http.allow_private=true", f"store=sqlite:{tmp_path}/store.db")
    (found,) = finding(report, "call-unsure")
    assert "tried 14" in found["what"] and status == 0
    assert sorted(p.name for p in tmp_path.iterdir()) == before
    assert canary.read_text() == "still here"
    server.settimeout(0)
    with pytest.raises(BlockingIOError):
        server.accept()
    server.close()


def test_text_and_configuration(tmp_path):
    write(tmp_path, "function DoRcptTo() end\nfunction Start() end")
    status, out, _ = mailhooks(tmp_path, "check")
    assert status == 1
    assert f"{tmp_path}/scripts/smtpsvr.lua: hooks Start\n" in out
    assert re.search(r"smtpsvr\.lua:1: warning: function DoRcptTo .* \[hook-name\]\n    did you mean DoRCPTTO\?\n", out)
    assert out.endswith("0 errors, 1 warning, 0 notes\n")
    assert mailhooks(tmp_path, "check", "--errors")[0] == 0     # what a reload asks
    assert mailhooks(tmp_path, "check", "--nonsense")[0] == 2
    status, out, err = mailhooks(tmp_path, "-o", "lua.hok_ms=5", "check", "--json")
    (found,) = json.loads(out)["findings"]
    assert (status, found["kind"]) == (78, "configuration") and "hook_ms" in found["what"]
    status, report = check(tmp_path, "scripts=/no/such/directory")
    assert status == 78 and "/no/such/directory" in report["findings"][0]["what"]


def test_section_of_no_script(tmp_path):
    write(tmp_path, "")
    conf = tmp_path / "conf"
    conf.write_text(f'scripts = "{tmp_path}/scripts"\nscript "smtpsrv" {{ hook_ms = 5 }}\nscript mxout {{ }}\n')
    done = machine.run(machine.BUILD / "cli/mailhooks", "-c", str(conf), "check", "--json", check=False)
    (found,) = json.loads(done.stdout)["findings"]
    assert (done.returncode, found["kind"]) == (1, "section") and '"smtpsrv"' in found["what"]


def test_hostile_text_stays_text(tmp_path):
    """R19: what a script says cannot forge a line of the report, nor break the JSON."""
    write(tmp_path, r"""function DoQUIT() error('x\nsmtpsvr.lua:1: error: forged\27[2J"\\', 0) end""")
    status, out, _ = mailhooks(tmp_path, "check")
    assert status == 1 and "\x1b" not in out and not re.search("^smtpsvr.lua:1: error", out, re.M)
    assert finding(check(tmp_path)[1], "call-fails")


def test_every_kind_is_in_the_manual():
    source = (machine.TOP / "lua-bindings/check/check_report.c").read_text()
    kinds = re.findall(r'\[CHECK_\w+\] = \{"([\w-]+)", CHECK_', source)
    manual = (machine.TOP / "man/mailhooks.1").read_text()
    assert len(kinds) >= 19
    assert [k for k in kinds if f".It Cm {k}\n" not in manual] == []

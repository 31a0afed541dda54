"""Scripts for Lua 5.0 run behind a mail server as they are (R14); the log says what was done."""

import pytest

from test_hooks_session import printed, said

SENDER, BOB = "ann@sender.test", "bob@one.test"
MESSAGE = "From: <ann@sender.test>\nTo: <bob@one.test>\nSubject: hi\n\nhello\n"

# In the manner of 2003: Windows line ends and paths, implicit arg, a table as an iterator, nested
# long strings, a division in a reply, table.getn.
OLD = r"""
-- [[ rules of the house ]]
rules = { "spam.example", "sender.test" }
file = "C:\VPOP3\smtp.log"
--[[ not now:
  banner = [[ mail ]]
]]
function Log(...)
  local line = ""
  for i = 1, table.getn(arg) do line = line .. arg[i] .. " " end
  print(line)
end
function DoMAILFROM(sender)
  for i, domain in rules do
    if string.find(sender, domain, 1, true) then
      Log("rule", i, 10/4, 10/5, file)
      return "550 5.7.1 rule " .. i .. " of " .. table.getn(rules) .. ", " .. 100/2 .. " percent"
    end
  end
end
function DoRCPTTO(to)
  return "550 " .. nothing
end
""".replace("\n", "\r\n")

# The same under every version: nothing old in it.
NEW = """
function DoMAILFROM(sender)
    return "550 5.7.1 " .. 10 / 2
end
"""


@pytest.mark.parametrize("mta", ["postfix"], indirect=True)
def test_old_script(mta, milter):
    """R14: the script of 2003 answers as it did."""
    milter.start(OLD)
    reply = mta.send(SENDER, BOB, MESSAGE)
    assert (reply.code, reply.enhanced) == (550, "5.7.1")
    assert "rule 2 of 2, 50 percent" in said(reply)[0]
    printed(milter, "rule 2 2.5 2 C:VPOP3smtp.log ")
    log = milter.log()
    assert "script smtpsvr.lua:4: unknown-escape \\V: the backslash is dropped" in log.replace("\\\\", "\\")
    assert "script smtpsvr.lua:5: nested-long-string" in log
    assert "script smtpsvr.lua:8: implicit-arg" in log
    assert "script smtpsvr.lua:14: for-in-table rules" in log
    mta.send("other@else.test", BOB, MESSAGE)
    assert "smtpsvr.lua:22: attempt to concatenate a nil value (global 'nothing')" in milter.errors()


@pytest.mark.parametrize("mta", ["postfix"], indirect=True)
def test_setting(mta, milter):
    """lua.compat: "auto" leaves a new script alone, "5.2" writes numbers as Lua 5.2."""
    milter.start(NEW)
    assert said(mta.send(SENDER, BOB, MESSAGE)) == ["5.0"]
    assert "number-text" not in milter.log()
    milter.stop()
    milter.start(NEW, "lua.compat=5.2")
    assert said(mta.send(SENDER, BOB, MESSAGE)) == ["5"]
    assert "script smtpsvr.lua:3: number-text" in milter.log()

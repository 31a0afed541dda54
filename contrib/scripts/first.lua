-- first.lua - a first smtpsvr.lua; contrib/quickstart shows it at work.
--
-- As it stands it is harmless on any server: it adds a line to the header of each message, writes
-- to LUA.OUT what it saw, and what it refuses are names that nobody has. Edit the three tables.

-- A client that introduces itself by one of these names is sent away at once.
local unwanted = { ["spammer.example"] = true }

-- People who have left: the sender is told where to write instead.
local moved = { ["former@quick.test"] = "office@quick.test" }

-- Mail from these domains gets a mark in its subject.
local marks = { ["partner.example"] = "[partner]" }

function DoHELO(hostname, refuse, ehlo)
    if unwanted[hostname:lower()] then
        print("DoHELO", hostname .. " is not wanted: refused")
        return true, "421 4.7.1 " .. hostname .. ": not today"
    end
    print("DoHELO", hostname .. " from " .. IPAddress)
    return refuse, ""
end

function DoMAILFROM(data, mailfrom, parameters)
    print("DoMAILFROM", "<" .. mailfrom .. ">")
end

function DoRCPTTO(data, recipient, parameters, recipients)
    local new = moved[recipient:lower()]
    if new then
        print("DoRCPTTO", recipient .. " has moved: refused")
        return "550 5.1.6 " .. recipient .. " has moved, please write to " .. new
    end
    print("DoRCPTTO", recipient)
end

function ProcessMessage(mailfrom, subject, recipients, actions)
    local mark = marks[mailfrom:lower():match("@(.*)$")]
    actions.HeaderModifiers = { "X-Seen-By: mailhooks" }
    if mark and not subject:find(mark, 1, true) then -- an answer to such mail has it already
        table.insert(actions.HeaderModifiers, "Subject: " .. mark .. " " .. subject)
        print("ProcessMessage", "header and subject changed")
    else
        print("ProcessMessage", "header changed")
    end
    return actions
end

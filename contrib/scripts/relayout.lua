-- relayout.lua - which relay takes a message. Needs two sections "sender" in mailhooks.conf and the
-- lines for Postfix that "mailhooks setup" writes.

local large = 5 * 1024 * 1024   -- bytes
-- The names of the senders: for what is large or a mailing, and for the rest.
local bulk, normal = "bulk", "normal"

-- Read by "mailhooks setup": run it again after a change.
function Start()
    if sendername == bulk then
        MaxRecipientsPerMessage = 50
    end
end

function CheckFile(filename, actions, size, created, sender, recipients, headers, lines)
    local wanted = normal
    if size > large or (headers["Precedence"] or ""):lower() == "bulk" then
        wanted = bulk
    end
    if sendername ~= wanted then
        actions.SkipSend = true
        actions.Reason = "sender " .. wanted .. " is for this message"
    end
    return actions
end

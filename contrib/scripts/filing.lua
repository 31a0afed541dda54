-- filing.lua - delivery.lua: what happens to mail in the mailbox.
--
-- Copy it to delivery.lua in the script directory, or to <user>/delivery.lua for one user. Folders
-- and flags are handed on as header fields; contrib/sieve/mailhooks.sieve files by them.

-- Newsletters are read later: a folder of their own, and they do not count as new mail.
local function is_list()
    for _, field in ipairs(Headers) do
        if field[1]:lower() == "list-id" then
            return true
        end
    end
    return false
end

-- Before the message is filed: a message that is quarantined waits in the MTA's queue for the
-- administrator.
function PreDeliver()
    if Subject:lower():find("wire transfer", 1, true) and MessageSize > 1000000 then
        Quarantine = true
    end
end

function DeliverMessage()
    if is_list() then
        Folders = { "Newsletters" }
        Seen = true
    elseif Subject:find("[urgent]", 1, true) then
        Flagged = true
        table.insert(Keywords, "Urgent")
    end
end

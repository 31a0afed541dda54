-- archive.lua - a copy of our mail for the archive, and another reader outside of office hours.

-- Mail from and to this domain is copied to the archive.
local domain, archive = "@company.example", "archive@company.example"

-- Outside of office hours mail to the desk goes to who is on call instead.
local desk, on_call = "support@company.example", "oncall@company.example"
local opens, closes = 8, 18                                                         -- local time
local workdays = { Mon = true, Tue = true, Wed = true, Thu = true, Fri = true }

local function is_open()
    local now = os.date("*t")
    return workdays[os.date("%a")] and now.hour >= opens and now.hour < closes
end

local function is_ours(address)
    return address:lower():sub(-#domain) == domain
end

-- Recipients get the message in addition to the ones of the envelope, or, when
-- SendToOriginalRecipients is false, instead of them: whoever shall keep it is in the list then.
function ProcessMessage(mailfrom, subject, recipients, actions)
    local keep = is_ours(mailfrom)
    local redirect = false
    for _, recipient in ipairs(recipients) do
        keep = keep or is_ours(recipient)
        if recipient:lower() == desk and not is_open() then
            redirect = true
            table.insert(actions.Recipients, on_call)
        else
            table.insert(actions.Recipients, recipient)
        end
    end
    if redirect then
        actions.SendToOriginalRecipients = false
        actions.HeaderModifiers = { "X-Redirected-From: " .. desk }
    end
    if keep then
        table.insert(actions.Recipients, archive)
    end
    return actions
end

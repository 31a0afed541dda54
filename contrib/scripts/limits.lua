-- limits.lua - bad HELO names, recipients per message, size per sender.
--
-- Two kinds of clients are told apart. "user": an address of local_networks, or a client of a
-- service with auth_required = true, which has logged in when it says MAIL. "stranger": the rest.

-- Names that only we may use. A stranger who calls himself by one of them is a spammer.
local ours = { ["company.example"] = true, ["mail.company.example"] = true }

-- Recipients of one message.
local most_recipients = { user = 100, stranger = 20 }

-- Bytes of one message: of a sender, of all senders in a domain, else of a kind of clients; 0 is
-- no limit. A sender is easily forged, so give nobody more than your disks can bear.
local MB = 1024 * 1024
local most_bytes = {
    ["scanner@company.example"] = 100 * MB,
    ["@partner.example"] = 50 * MB,
    user = 25 * MB,
    stranger = 10 * MB,
}

local function kind()
    return (AuthenticationRequired or LocalClientAddress) and "user" or "stranger"
end

-- Users may introduce themselves as they like: their programs know no better. The refusal is given
-- to the next MAIL, as the milter protocol has it; "421 ..." would end the session at once.
function DoHELO(hostname, refuse, ehlo)
    if kind() == "stranger" then
        if ours[hostname:lower()] then
            return true, "550 5.7.1 You are not " .. hostname
        end
        local is_literal = hostname:find("^%[.*%]$") -- [192.0.2.1] is allowed, 192.0.2.1 is not
        if not is_literal and (not hostname:find("%.%a") or hostname:find("[^%w._-]")) then
            return true, "550 5.7.1 " .. hostname .. " is no host name (RFC 5321, 4.1.1.1)"
        end
    end
    return refuse, ""
end

local function limit(sender)
    sender = sender:lower()
    return most_bytes[sender] or most_bytes[sender:match("@.*$") or ""] or most_bytes[kind()]
end

local function too_big(sender, size)
    local most = limit(sender)
    if most > 0 and size > most then
        return string.format("552 5.3.4 Not more than %d KiB, please", most // 1024)
    end
end

-- A client that tells the size beforehand (SIZE=) saves both sides the transfer.
function DoMAILFROM(data, mailfrom, parameters)
    return too_big(mailfrom, tonumber(parameters.SIZE) or 0)
end

-- 452: the client sends the message to the others and tries again for this one.
function DoRCPTTO(data, recipient, parameters, recipients)
    local most = most_recipients[kind()]
    if #recipients >= most then
        return "452 4.5.3 Not more than " .. most .. " recipients, please"
    end
end

function ProcessMessage(mailfrom, subject, recipients, actions, mime, size)
    return actions, too_big(mailfrom, size)
end

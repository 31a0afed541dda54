-- blocklist.lua - your own list of clients and senders, and DNS block lists with exceptions.
--
-- blocklist.txt, in the same directory, has one entry a line; # begins a comment:
--
--   joe@bad.example     a sender
--   @bad.example        all senders of a domain
--   192.0.2.66          a client
--   192.0.2.            all clients whose address begins so
--
-- The list is read here, at the top level, which runs for each connection: a new entry is in force
-- at once, without a reload. Without the file nobody is blocked.
local blocked = {}
local file = io.open("blocklist.txt")
if file then
    for line in file:lines() do
        local entry = line:gsub("#.*", ""):match("%S+")
        if entry then
            blocked[entry:lower()] = true
        end
    end
    file:close()
end

-- 192.0.2.66, then 192.0.2. and 192.0. and 192.
local function is_blocked_client(address)
    while address do
        if blocked[address] then
            return true
        end
        address = address:match("^(.*[.:])[^.:]+[.:]?$")
    end
    return false
end

-- What is set here stands above the section rbl of the configuration. Local clients are not looked
-- up at all.
function Start()
    if is_blocked_client(IPAddress) then
        return "550 5.7.1 Mail from " .. IPAddress .. " is not accepted here"
    end
    RBLServers = { "zen.spamhaus.org" }
    RBLWhitelist = { "198.51.100.*", "192.0.2.0/28", "*.partner.example" } -- never looked up
    RBLCheckAllServers = false
    return ""
end

-- The answer of a list is an address 127.0.0.x; as a number x is its highest byte. Of this list 10
-- and 11 mean an end user's connection: mail from there gets a header line, the rest is refused.
function RBLResults()
    for zone, answer in pairs(RBLResultInfo) do
        local x = answer // 16777216
        if x == 10 or x == 11 then
            RBLAccept = true
            RBLHeader = "X-RBL-Warning: " .. IPAddress .. " is an end user's (" .. zone .. ")"
        else
            RBLAccept = false
            RBLRejectMessage = "550 5.7.1 " .. IPAddress .. " is listed by " .. zone
        end
    end
    return ""
end

function DoMAILFROM(data, mailfrom, parameters)
    local sender = mailfrom:lower()
    if blocked[sender] or blocked[sender:match("@.*$") or ""] then
        return "550 5.7.1 Mail from <" .. mailfrom .. "> is not accepted here"
    end
end

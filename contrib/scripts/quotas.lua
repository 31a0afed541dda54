-- quotas.lua - how much each sender may send. Copy it to smtprules_1.lua.
--
-- Needs, in main.cf: smtpd_end_of_data_restrictions = check_policy_service { ... } as doc/policy.md
-- has it. There Postfix tells how many recipients were accepted, so refused ones cost nothing. Who
-- is counted: the user who logged in, and the domain he writes from; else the client's address.

local minute, hour, day = 60, 3600, 24 * 3600

-- { count, seconds }: each line may have several windows, and all of them count.
local quotas = {
    user = {
        messages = { { 30, minute }, { 300, hour } },
        recipients = { { 500, hour }, { 2000, day } },
    },
    domain = { messages = { { 1000, hour } }, recipients = { { 5000, day } } },
    client = { messages = { { 60, minute } }, recipients = { { 600, hour } } },
}

-- Other quotas for some; {} is no quota at all. Web servers of our own send without logging in, so
-- a domain counts for the clients in `trusted`, too; nobody else can use up a domain's quota.
local exceptions = {
    ["user:newsletter@company.example"] = { recipients = { { 20000, day } } },
    ["client:127.0.0.1"] = {},
}
local trusted = { ["127.0.0.1"] = true }

-- The answer while the store is away: "DUNNO" lets mail pass uncounted.
local store_away = "451 4.3.0 Quotas cannot be looked up, please try again later"

-- An IPv6 client has a whole network to choose addresses from: its first 64 bits are counted.
local function network(address)
    local head, tail = address:match("^(.-)::(.*)$")
    local groups, after = {}, 0
    for group in (head or address):gmatch("%x+") do
        table.insert(groups, group)
    end
    if head then
        after = select(2, tail:gsub("%x+", ""))
        for _ = #groups + after + 1, 8 do
            table.insert(groups, "0")
        end
        for group in tail:gmatch("%x+") do
            table.insert(groups, group)
        end
    end
    return table.concat(groups, ":", 1, 4) .. "::/64"
end

-- Those that this message is counted for: lists of kind and name.
local function senders(request)
    local user, client = request.sasl_username:lower(), request.client_address
    local domain = request.sender:lower():match("@([^@]+)$")
    local list = {}
    if user ~= "" then
        table.insert(list, { "user", user })
    else
        table.insert(list, { "client", client:find(":") and network(client) or client })
    end
    if domain and (user ~= "" or trusted[client]) then
        table.insert(list, { "domain", domain })
    end
    return list
end

-- The limits that apply: lists of key, windows, cost, and what the sender is told.
local function limits(request)
    local costs = { messages = 1, recipients = math.max(1, tonumber(request.recipient_count) or 1) }
    local list = {}
    for _, sender in ipairs(senders(request)) do
        local name = sender[1] .. ":" .. sender[2]
        for what, windows in pairs(exceptions[name] or quotas[sender[1]]) do
            local limit = {}
            for _, window in ipairs(windows) do
                table.insert(limit, { count = window[1], seconds = window[2] })
            end
            table.insert(list, { "quota:" .. what .. ":" .. name, limit, costs[what],
                what .. " of " .. sender[1] .. " " .. sender[2] })
        end
    end
    return list
end

local function refusal(limit, state)
    if not state.retry then  -- more at once than the quota ever allows
        return "554 5.7.1 Too many " .. limit[4] .. " at once"
    end
    return string.format("450 4.7.1 Too many %s, please try again in %d s", limit[4],
        math.ceil(state.retry))
end

-- Nothing is counted unless all limits have room for it.
function Policy(request)
    if request.state ~= "END-OF-MESSAGE" then
        return
    end
    local list = limits(request)
    for _, count in ipairs { mailhooks.rate_peek, mailhooks.rate_take } do
        for _, limit in ipairs(list) do
            local passes, state = count(limit[1], limit[2], limit[3])
            if passes == nil then
                return store_away
            elseif not passes then
                return refusal(limit, state)
            end
        end
    end
end

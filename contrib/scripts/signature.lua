-- signature.lua - a signature for each user, from what is known of him.
--
-- The fields are settings of the user: below his name in the file of users.source, or set with
-- VPOP3.SetUserSetting(). Users who are not known, and hosts that send by themselves, have none.

local company, site = "Example Ltd", "https://example.com/"

local function escape(text)
    return (text:gsub("[&<>\"]", { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;", ['"'] = "&quot;" }))
end

local function plain(who)
    local lines = { "-- ", who.Name }
    if who.Title then
        table.insert(lines, who.Title)
    end
    table.insert(lines, company .. (who.Phone and ", " .. who.Phone or ""))
    return table.concat(lines, "\n")
end

local function html(who)
    local line = "<b>" .. escape(who.Name) .. "</b>"
    if who.Title then
        line = line .. ", " .. escape(who.Title)
    end
    return '<p style="color:#555">' .. line .. '<br>\n<a href="' .. site .. '">' .. escape(company) .. "</a>"
        .. (who.Phone and " &middot; " .. escape(who.Phone) or "") .. "</p>"
end

function GetSignature(format, user, sender, subject, attributes)
    if not attributes.Name then
        return "<blank>"
    end
    return format == "HTML" and html(attributes) or plain(attributes)
end

-- Among ourselves the name is enough.
function GetInternalSignature(format, user, sender, subject, attributes)
    if attributes.Name and format == "PLAIN" then
        return "-- \n" .. attributes.Name
    end
end

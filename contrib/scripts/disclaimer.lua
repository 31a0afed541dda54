-- disclaimer.lua - a text below all mail to other hosts; a reply that has it does not get it again.
-- To be used as signature.lua.

local text = [[
This message is for its recipients only. If it has reached you by mistake, please tell us and delete it.
Example Ltd, registered in Exampleton, no. 12345 · example.com]]

-- The domains of senders that have a text of their own, "" for none.
local others = {
    ["lists.example.com"] = "",
    ["shop.example.com"] = "Terms of sale: https://shop.example.com/terms",
}

function GetSignature(format, user, sender, subject)
    local own = others[(sender:match("@([^@]*)$") or ""):lower()]
    local body = own or text
    if body == "" or subject:lower():find("^%s*re:") then
        return "<blank>"
    end
    if format == "HTML" then
        return '<hr>\n<p style="font-size:small">' .. body:gsub("\n", "<br>\n") .. "</p>"
    end
    return "_______________\n" .. body
end

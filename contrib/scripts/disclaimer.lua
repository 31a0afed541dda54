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

-- What mail programs put before the subject of a reply, in the languages that we know of.
local replies = {}
for word in ("re aw antw antwort sv vs vá odp ynt res rif r ref bls atb hl απ σχετ 回复 回覆 答复"):gmatch("%S+") do
    replies[word] = true
end

-- "Re: x", "RE[2]: x", "AW : x", "Sv^2: x", also behind the tag of a list: "[list] Re: x". The subject
-- comes as it stands: a program that encodes these words as well gets the text again.
local function is_reply(subject)
    subject = subject:gsub("：", ":"):gsub("^%s*%[[^%]]*%]", "")
    local word = subject:match("^%s*([^%s:%[%(%^]+)[%[%(%^]?%d*[%]%)]?%s*:")
    return word ~= nil and (replies[word] or replies[word:lower()] or false)
end

function GetSignature(format, user, sender, subject)
    local own = others[(sender:match("@([^@]*)$") or ""):lower()]
    local body = own or text
    if body == "" or is_reply(subject) then
        return "<blank>"
    end
    if format == "HTML" then
        return '<hr>\n<p style="font-size:small">' .. body:gsub("\n", "<br>\n") .. "</p>"
    end
    return "_______________\n" .. body
end

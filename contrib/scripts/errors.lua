-- errors.lua: bounces in words that people understand, and no "delayed" notices for mailing lists.
-- Needs, in Postfix's main.cf: internal_mail_filter_classes = bounce
-- doc/hooks-errors.md describes the hook.

local FAILED, DELAYED = 1, 2

local TEXT = [[
Your message

    %6

did not reach %8.

For %1 the mail server %4 said:

    %2

If the address is right, ask the recipient in another way; the postmaster
can see the reason above, too.
]]

local function IsList(address)
	return string.find(address, "-request@", 1, true) or string.find(address, "^owner%-") or
	    string.find(address, "-bounces@", 1, true)
end

function ProcessError(itemid, errortext, connectionerror, subjectid, subject, formatid, format,
                      parameters, target, sender)
	if subjectid == DELAYED and IsList(target) then
		return subject, ""   -- nothing is sent
	end
	if subjectid == FAILED and parameters[4] ~= "" then
		return "Not delivered: " .. parameters[1], TEXT
	end
	return subject, format, target, sender, false
end

-- return-path.lua - return paths by message: an example of mxout.lua; see doc/return-path.md.
--
-- Newsletters get a return path of their own with the recipient in it (VERP), so that a bounce says
-- by itself who is gone; automatic answers get the null sender, so that nothing comes back; mail of
-- other people that we only pass on is rewritten by SRS; everything else is left as computed, signed
-- by BATV where the settings say so.

local OURS = "example.com"
local NEWSLETTER = "news@" .. OURS
local BOUNCES = "bounces" -- bounces+ann=one.test@example.com

-- The value of a header field, from the list of header lines.
local function field(headers, name)
	for _, line in ipairs(headers) do
		local found, value = string.match(line, "^([^:]+):%s*(.*)$")
		if found and string.lower(found) == string.lower(name) then
			return value
		end
	end
end

function ModifyReturnPath(computed, mailfrom, original, authsender, recipients, created, headers)
	if mailfrom == NEWSLETTER and #recipients == 1 then
		return BOUNCES .. "+" .. string.gsub(recipients[1], "@", "=") .. "@" .. OURS
	end
	local automatic = field(headers, "Auto-Submitted")
	if automatic and string.lower(automatic) ~= "no" then
		return "<>"
	end
	local domain = string.match(mailfrom, "@([^@]*)$")
	if domain and string.lower(domain) ~= OURS and authsender == "" then
		return mailhooks.srs_forward(mailfrom) -- nil, when it cannot be done: as computed
	end
end

-- passwordcheck.lua - which passwords users may choose; see doc/hooks-passwordcheck.md.
--
-- Check() is called by `mailhooks passwd-check`, for example from pam_exec when a user changes the
-- password. It returns true, or false and the reason, which the user gets to see. An error refuses.

-- What many people choose first. A longer list belongs into a file of its own.
local common = {
	["password"] = true, ["passw0rd"] = true, ["12345678"] = true, ["123456789"] = true,
	["qwertyui"] = true, ["qwertzui"] = true, ["iloveyou"] = true, ["letmein1"] = true,
}

-- Of each, one character at least counts as a kind.
local kinds = { "%l", "%u", "%d", "[^%w]" }

local function count_kinds(password)
	local n = 0
	for _, kind in ipairs(kinds) do
		if string.find(password, kind) then
			n = n + 1
		end
	end
	return n
end

function Check(username, password, minlength)
	local lower = string.lower(password)
	local name = string.lower(string.match(username, "^[^@]*"))

	if common[lower] then
		return false, "This is one of the passwords that are tried first"
	end
	if #name >= 3 and string.find(lower, name, 1, true) then
		return false, "The password contains your name"
	end
	if string.match(password, "^(.)%1*$") then
		return false, "The password is one character again and again"
	end
	-- long ones need no variety
	if #password < 2 * minlength and count_kinds(password) < 3 then
		return false, "Mix small letters, capitals, digits and other characters, or take a longer one"
	end
	return true
end

-- out-of-hours.lua - user_redirect.lua: outside of office hours an assistant gets the mail, too.
--
-- Copy it to user_redirect.lua in the script directory. Each user says who his assistant is:
--
--     mailhooks users set ann OutOfHoursAssistant bob
--     mailhooks users set ann OutOfHoursOnly yes          (the assistant instead of ann)
--
-- `mailhooks users settings ann` shows what can be set.

local workdays = { Mon = true, Tue = true, Wed = true, Thu = true, Fri = true }

-- The settings of a user that this script looks at; they are in UserSettings.
function MainGetSettings()
    return {
        { Name = "OutOfHoursAssistant", Description = "user or address" },
        { Name = "OutOfHoursOnly", Default = "no", Description = "yes: the assistant instead of the user" },
        { Name = "Opens", Default = "8", Description = "hour, local time" },
        { Name = "Closes", Default = "18", Description = "hour, local time" },
    }
end

-- A setting that is an hour. An error in it leaves this user's mail as it is, and is in LUAERRORS.LOG.
local function hour(user, name)
    local value = tonumber(UserSettings[name])
    if not value or value < 0 or value > 24 then
        error(string.format("setting %s of %s is %q, and not an hour from 0 to 24: " ..
            "mailhooks users set %s %s 8", name, user, tostring(UserSettings[name]), user, name), 0)
    end
    return value
end

local function is_open(user)
    local now = os.date("*t")
    local opens, closes = hour(user, "Opens"), hour(user, "Closes")
    return workdays[os.date("%a")] and now.hour >= opens and now.hour < closes
end

-- Called for each user who gets the message. The global variables begin as the user's settings say,
-- and what is changed counts for this message only.
function MainDoRouting(user)
    if UserSettings.OutOfHoursAssistant == "" or is_open(user) then
        return
    end
    if Assistants ~= "" then
        Assistants = Assistants .. ";"
    end
    Assistants = Assistants .. UserSettings.OutOfHoursAssistant
    if UserSettings.OutOfHoursOnly == "yes" then
        RedirectToAssistant = true
    end
end

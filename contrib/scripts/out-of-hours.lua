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

local function is_open()
    local now = os.date("*t")
    return workdays[os.date("%a")] and now.hour >= tonumber(UserSettings.Opens)
        and now.hour < tonumber(UserSettings.Closes)
end

-- Called for each user who gets the message. The global variables begin as the user's settings say,
-- and what is changed counts for this message only.
function MainDoRouting(user)
    if UserSettings.OutOfHoursAssistant == "" or is_open() then
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

-- attachments.lua - files of these kinds do not come in, wherever in a message they hide: MIME parts,
-- winmail.dat (TNEF), uuencoded and BinHex files in the text.
--
-- Logged-in users and our own network may send them.

local refused = {}
for extension in string.gmatch("ade adp bat chm cmd com cpl dll exe hta ins iso jar js jse lnk mde msc msi msp mst "
    .. "pif ps1 reg scr sct shb sys vb vbe vbs wsc wsf wsh", "%w+") do
    refused[extension] = true
end

-- What a mail program may read in another way than we do: a name behind it cannot be trusted.
local ambiguous = { ["duplicate-name"] = true, ["names-differ"] = true, ["encoded-container"] = true }

-- "Invoice.pdf.EXE . " is exe: Windows drops blanks and dots at the end.
local function ExtensionOf(name)
    return string.lower(string.match(string.gsub(name, "[%s%.]+$", ""), "%.([^%.]*)$") or "")
end

local function HasFlag(thing, flags)
    for _, flag in ipairs(thing.Flags) do
        if flags[flag] then
            return flag
        end
    end
end

function ProcessMessage(mailfrom, subject, recipients, actions, mime, size, attachments)
    if LocalClientAddress then
        return actions
    end
    for _, file in ipairs(attachments) do
        local extension = ExtensionOf(file.Name)
        if refused[extension] then
            return actions, "550 5.7.1 Files of the kind ." .. extension .. " are not accepted here"
        end
    end
    for _, section in ipairs(mime) do
        if HasFlag(section, ambiguous) then
            actions.HeaderModifiers = { "X-Attachment-Warning: a file may have another name than it shows" }
        end
    end
    return actions
end

-- throttle.lua - leave a mail server alone while it refuses. Copy it to mxserverrules.lua.
--
-- Needs the map mx (contrib/postfix-outbound.cf.snippet) and maillog.source.

-- Minutes, refusals, minutes. A window longer than the pause would count the same refusals again when
-- the pause is over.
local window, limit, pause = 10, 5, 10

function CheckServer(domain, mxserver, numRetries, messageSize, defaultResult)
    -- nil: the store does not answer. No reason to stop the mail.
    local refused = mailhooks.count_attempts { server = mxserver, result = "4", minutes = window }
    if refused and refused > limit then
        return false, pause
    end
end

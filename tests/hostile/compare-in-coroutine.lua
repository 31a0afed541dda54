-- The same in a coroutine, with strings that come into being there.
local function work()
    local n = 1 << 19
    local a, b = ('\0'):rep(n) .. 'a', ('\0'):rep(n) .. 'b'
    while true do local x = a < b, a <= b, b < a end
end
coroutine.wrap(work)()

-- Tens of thousands of arguments, handed on again and again.
local function pass(...) return ... end
local function call(...)
    while true do
        local n = select('#', ...)
        local most = math.max(...)
        pass(...)
        pcall(pass, ...)
        select(-1, ...)
    end
end
local t = {}
for i = 1, LARGE and 200000 or 40000 do t[i] = i end
call(table.unpack(t))

-- Source nested too deep, for ever.
local s = 'return ' .. ('('):rep(100000)
while true do load(s) end

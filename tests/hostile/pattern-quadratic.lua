-- Patterns that look through the rest at each place.
local s = ('a'):rep(200000)
while true do s:gsub('.-b', '') s:find('%b()x') for _ in s:gmatch('a*b') do end end

-- A compiler that is kept busy.
local s = ('x = x + 1 '):rep(20000)
while true do load(s) end

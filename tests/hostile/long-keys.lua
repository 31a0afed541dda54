-- Each key is a new long string.
local s, t = ('x'):rep(300000), {}
for i = 1, math.maxinteger do t[s .. i] = nil end

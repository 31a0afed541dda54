-- A full collection, for ever, with much to look through.
local t = {}
for i = 1, 100000 do t[i] = { i } end
while true do collectgarbage() end

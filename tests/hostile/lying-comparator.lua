-- A comparator without an order, on a large table, for ever.
local t = {}
for i = 1, 50000 do t[i] = i % 7 end
while true do pcall(table.sort, t, function() return true end) end

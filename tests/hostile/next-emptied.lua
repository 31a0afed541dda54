-- next() and "for" on tables whose entries are gone: each call searches the whole of them.
-- LARGE: test_budgets.c has room for more.
local list, map, n = {}, {}, LARGE or 2 ^ 17
for i = 1, n do list[i] = i end
for i = 1, n / 2 do map[-i] = i end
for i in pairs(list) do list[i] = nil end
for k in pairs(map) do map[k] = nil end
while true do
    next(list)
    next(map)
    for k in pairs(list) do error(k) end
end

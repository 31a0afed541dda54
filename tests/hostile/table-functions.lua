-- Functions of table on ranges without an end.
local t = setmetatable({}, { __len = function() return math.maxinteger end, __index = function() return 1 end })
while true do
    pcall(table.move, t, 1, 1e15, 2, {})
    pcall(table.insert, t, 1, 1)
    pcall(table.concat, t)
    pcall(table.unpack, t)
end

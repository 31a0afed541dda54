-- An endless loop in __index, reached from C.
local t = setmetatable({}, { __index = function() while true do end end })
table.concat(t, ',', 1, 10)

-- A chain of tables without an end.
local t = setmetatable({}, { __index = function(t, k) return t[k .. 'x'] end })
return t.x

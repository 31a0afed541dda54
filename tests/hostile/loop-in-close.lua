-- A to-be-closed variable that does not close.
local x <close> = setmetatable({}, { __close = function() while true do end end })
error('now')

-- Full to the brim, then one more, for ever.
local t = {}
local function grow() while true do t[#t + 1] = {} end end
while true do pcall(grow) end

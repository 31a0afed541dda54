-- Whatever does not fit is asked for again.
local function grow() local s = 'x' while true do s = s .. s end end
while true do pcall(grow) end

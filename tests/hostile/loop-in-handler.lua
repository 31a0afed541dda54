-- The error handler loops too.
local function loop() while true do end end
while true do xpcall(loop, loop) end

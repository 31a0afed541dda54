-- An endless loop in a coroutine in a coroutine.
local function loop() while true do end end
coroutine.wrap(function() coroutine.wrap(loop)() end)()

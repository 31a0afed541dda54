-- Coroutines that only yield, ten thousand of them.
local all = {}
for i = 1, 10000 do
    all[i] = coroutine.wrap(function() while true do coroutine.yield() end end)
end
while true do for _, f in ipairs(all) do f() end end

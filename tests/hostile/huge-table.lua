-- A table of a million entries that grows, shrinks and is walked through.
while true do
    local t = {}
    for i = 1, 2 ^ 18 do t[i] = i end
    for k in pairs(t) do t[k] = nil end
    for i = 1, 2 ^ 18 do t['k' .. i] = i end
end

-- One instruction that reads a number behind as many blanks as can be had.
local n, fine, s = 1 << 30
repeat
    n = n // 2
    fine, s = pcall(function() return (' '):rep(n) .. '1' end)
until fine
while true do
    local x = s + 1
    x = s * s
    x = -s
    for i = 1, s do x = i end
end

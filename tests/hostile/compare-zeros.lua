-- One instruction that compares two strings of zeros, as long as can be had.
local n = 1 << 30
local function zeros(c) return ('\0'):rep(n) .. c end
while not (pcall(zeros, 'a') and pcall(zeros, 'b')) do n = n // 2 end
n = n // 2
local a, b = zeros('a'), zeros('b')
local n = 0
while true do if a < b then n = n + 1 end end

-- A full table: one entry goes and another comes, and all are put in again each time.
local t, n = {}, LARGE and LARGE / 8 or 2 ^ 16
for i = 1, n do t[-i] = i end
for i = 1, 1e9 do
    t[-i] = nil
    t[-i - n] = i
end

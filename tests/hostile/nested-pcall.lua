-- pcall inside of pcall, through C.
local function f() return pcall(f) end
while true do f() end

-- A recursion that needs all of the stack.
local function f() return 1 + f() end
return f()

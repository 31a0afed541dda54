-- An error handler that fails itself.
local function fail() error(fail) end
while true do xpcall(fail, fail) end

-- Again and again.
while true do pcall(os.sleep, 1e9) end

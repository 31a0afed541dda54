-- Nothing but garbage.
while true do local t = { {}, {}, {}, 'x' .. math.random() } end

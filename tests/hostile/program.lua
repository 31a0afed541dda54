-- A program that does not end.
while true do os.timedexecute('/bin/sleep 1000', 1e9) end

-- A DNS server that does not answer.
while true do VPOP3Net.GetDNSRecords('example.com', 1) end

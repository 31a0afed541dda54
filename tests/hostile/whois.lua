-- A WHOIS server that does not answer.
while true do VPOP3Net.GetWHOIS(WHOIS_SERVER or '127.0.0.1', 'example.com') end

-- A web server that does not answer.
while true do VPOP3Net.GetHTTP(HTTP_URL or 'http://127.0.0.1:9/') end

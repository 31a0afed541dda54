-- An smtpsvr.lua that defines every command hook, written as VPOP3 scripts are: globals
-- everywhere, small decisions, a table of blocked senders. tests/bench/run-milter measures it.

BlockedSenders = {
	["blocked@bench.test"] = "550 5.7.1 This sender is not welcome here",
	["offers@bulk.test"] = "550 5.7.1 No bulk mail, please",
	["lottery@prize.test"] = "550 5.7.1 We did not take part",
	["invoice@unknown.test"] = "450 4.7.1 Please try again later",
}

BlockedDomains = {
	["spam.test"] = true,
	["bulk.test"] = true,
	["dialup.test"] = true,
	["no-such-company.test"] = true,
}

BlockedRecipients = {
	["retired@rcpt.test"] = "550 5.1.1 This mailbox has been closed",
	["trap@rcpt.test"] = "550 5.1.1 No such user",
}

MaxRecipients = 1000
MaxUnknownCommands = 10

Commands = 0
Messages = 0
Recipients = 0
UnknownCommands = 0
HeloName = ""
Sender = ""

function DomainOf(address)
	return string.match(address, "@([^@]*)$") or ""
end

function Start()
	Client = IPAddress
	if string.sub(Client, 1, 4) == "127." then
		Trusted = true
	else
		Trusted = LocalClientAddress
	end
	return ""
end

function GetMaxMessageSize(hostname, current)
	MaxSize = current
	return current
end

function GetEHLOCapabilities(hostname, capabilities)
	Capabilities = capabilities
	return capabilities
end

function DoHELO(hostname, bRefuse, bEHLO)
	Commands = Commands + 1
	HeloName = string.lower(hostname)
	if BlockedDomains[HeloName] then
		return true, "550 5.7.1 Your name is not welcome here"
	end
	return bRefuse, ""
end

function DoHELP(text)
	Commands = Commands + 1
	return text
end

function DoQUIT()
	Commands = Commands + 1
	return ""
end

function DoNOOP()
	Commands = Commands + 1
	return ""
end

function DoRSET()
	Commands = Commands + 1
	Recipients = 0
	return ""
end

function DoMAILFROM(data, mailfrom, parameters)
	Commands = Commands + 1
	Recipients = 0
	Sender = string.lower(mailfrom)
	if BlockedSenders[Sender] then
		return BlockedSenders[Sender], parameters
	end
	if BlockedDomains[DomainOf(Sender)] then
		return "550 5.7.1 Mail from this domain is not accepted", parameters
	end
	return "", parameters
end

function DoRCPTTO(data, recipient, parameters, recipients)
	Commands = Commands + 1
	Recipients = Recipients + 1
	if Recipients > MaxRecipients then
		return "452 4.5.3 Too many recipients", parameters
	end
	return BlockedRecipients[string.lower(recipient)] or "", parameters
end

function DoDATAStart(recipients)
	Commands = Commands + 1
	Messages = Messages + 1
	return "", ""
end

function DoUnrecognised(line)
	UnknownCommands = UnknownCommands + 1
	if UnknownCommands > MaxUnknownCommands then
		return "421 4.7.0 Too many unknown commands"
	end
	return ""
end

function End()
	LastClient = Client
	LastMessages = Messages
end

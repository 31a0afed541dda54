--[[ SMTPSVR.LUA

     A script as it has grown on a VPOP3 server since Lua 5.0: global variables, 1 and 0 for true
     and false, table.getn, string.gfind and semicolons. It runs here as it is. New scripts are
     shorter: see the other examples.
]]

Version = "3.2";
OurDomain = "company.example";
MaxRecipients = 10;

BadDomains = { "pills.example", "casino.example" };

BadWords = {};
BadWords["pharmacy"] = 1;
BadWords["lottery"] = 1;

-- mail to the first goes to the second
Redirects = {
	{ "sales@company.example", "jim@company.example" };
	{ "accounts@company.example", "kate@company.example" };
};

-- for the summary in LUA.OUT
Messages = 0;
Refused = 0;

function Start()
	StartTime = os.time();
	return "";
end;

function DoHELO(HostName, bRefuse, bEHLO)
	if (string.lower(HostName) == OurDomain) then
		Refused = Refused + 1;
		return 1, "550 5.7.1 You are not " .. OurDomain;
	end;
	return bRefuse, "";
end;

function DoMAILFROM(Data, MailFrom, Parameters)
	local Found, Last, User, Domain = string.find(MailFrom, "^(.*)@(.*)$");

	if (Found ~= nil) then
		for i = 1, table.getn(BadDomains) do
			if (string.lower(Domain) == BadDomains[i]) then
				Refused = Refused + 1;
				return string.format("550 5.7.1 No mail from %s, please (rule %d)", Domain, i), Parameters;
			end;
		end;
	end;
	return "", Parameters;
end;

function DoRCPTTO(Data, Recipient, Parameters, RecipientList)
	if (table.getn(RecipientList) >= MaxRecipients) then
		return string.format("452 4.5.3 Only %d recipients allowed", MaxRecipients), Parameters;
	end;
	return "", Parameters;
end;

function DoDATAStart(RecipientList)
	return "", string.format("X-Script-Version: %s\r\nX-Recipient-Count: %d\r\n",
		Version, table.getn(RecipientList));
end;

-- Called for each recipient.
function Redirect(Number, Recipient)
	local To = Recipient;

	table.foreachi(Redirects, function(i, Rule)
		if (string.lower(Recipient) == Rule[1]) then
			To = Rule[2];
			Redirected = 1;
		end;
	end);
	table.insert(NewRecipients, To);
end;

function ProcessMessage(MailFrom, Subject, RecipientList, Actions, MIME, Size, Attachments)
	local Word;

	for Word in string.gfind(string.lower(Subject), "%a+") do
		if (BadWords[Word] == 1) then
			Refused = Refused + 1;
			Actions["Ignore"] = 1;
			Actions["Delete"] = 1;
			Actions["Reason"] = "Subject contains the word " .. Word;
			return Actions, "550 5.7.1 Your subject contains the word " .. Word;
		end;
	end;

	NewRecipients = {};
	Redirected = 0;
	table.foreachi(RecipientList, Redirect);
	if (Redirected == 1) then
		Actions["Recipients"] = NewRecipients;
		Actions["SendToOriginalRecipients"] = 0;
	end;

	-- requests to be told of the reading of a message are removed
	Actions["HeaderModifiers"] = {
		"Disposition-Notification-To:";
		string.format("X-Size: %d KB", math.ceil(Size / 1024));
	};
	Messages = Messages + 1;
	return Actions, "";
end;

function End()
	print(string.format("%s: %d messages, %d refusals, %d seconds", IPAddress, Messages, Refused,
		os.time() - StartTime));
end;

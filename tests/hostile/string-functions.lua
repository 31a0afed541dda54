-- Long work in single calls of string and utf8.
while true do
    local s = ('x'):rep(1000000)
    s:upper();
    s:reverse();
    s:byte(1, 100);
    s:lower();
    pcall(string.format, '%q', s)
    pcall(string.byte, s, 1, -1)
    utf8.len(s)
end

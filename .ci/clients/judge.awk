# Prints checks, and ends with 1 if one fails that is not known, or passes that is: awk -f judge.awk KNOWN CHECKS
# A line of KNOWN is `CHECK | REASON`; a line of CHECKS `ok|FAIL CHECK  TIME ERROR`, with CHECK padded by spaces.
FNR == NR {
    if ($0 !~ /^#/ && split($0, known, / \| /) == 2) reason[known[1]] = known[2]
    next
}
/^(ok  |FAIL) / {
    name = substr($0, 6)
    sub(/ +[0-9.µm]+s( .*)?$/, "", name)
    checks++
    fails = /^FAIL/
    if (fails == (name in reason)) $0 = fails ? "known " name ": " reason[name] : $0
    else wrong = 1
    if (!fails && name in reason) $0 = "FAIL " name " passes, but is named in known"
}
{ print }
END { exit wrong || !checks }

#!/usr/bin/env python3
"""Judges a report of h2spec by the cases that are known: judge.py PORT REPORT KNOWN

A line of KNOWN is `PORT CASE fails|races REASON`, where PORT `*` is every port and CASE is h2spec's section
and number, as in http2/3.5/2. Exits with 1 if a case fails that is not known, or if one passes that is known
to fail; one that races may do either.
"""
import collections
import sys
import xml.etree.ElementTree as xml

port, report, known_file = sys.argv[1:]
known = {}
with open(known_file) as lines:
    for line in lines:
        if line.strip() and not line.startswith("#"):
            where, case, how, reason = line.split(maxsplit=3)
            if where in ("*", port):
                known[case] = how, reason.strip()

numbers = collections.Counter()
passed = skipped = wrong = 0
notes = []
for case in xml.parse(report).iter("testcase"):
    section = case.get("package")
    numbers[section] += 1
    name = f"{section}/{numbers[section]}"
    how, reason = known.get(name, (None, ""))
    failure = next((found for tag in ("failure", "error") if (found := case.find(tag)) is not None), None)
    if failure is not None:
        notes.append(f"  {name} fails{f', as known: {reason}' if how else ''}")
        if not how:
            wrong += 1
            notes += [f"    {case.get('classname')}", *(f"    {line}" for line in failure.text.splitlines())]
    elif case.find("skipped") is not None:
        skipped += 1
    else:
        passed += 1
        if how == "fails":
            wrong += 1
            notes.append(f"  {name} passes, but is known to fail: {reason}")
print(f"h2spec {port:15} {passed} pass, {skipped} skipped, {sum(numbers.values()) - passed - skipped} fail")
print(*notes, sep="\n", end="\n" if notes else "")
sys.exit(1 if wrong or not numbers else 0)

#!/usr/bin/env python3
"""A table of the runs of a campaign: table.py DIR PREFIX

Reads DIR/PREFIX-NN/summary.md, run.json and DIR/PREFIX-NN.code as verdicts.sh leaves them, and prints a
line for each run: exit code and seconds, rounds, the headline's two claims, and how much of the machine
was taken. Then how many exit with 0, and the median half-width of the CPU intervals.
"""
import json
import pathlib
import re
import statistics
import sys

directory, prefix = pathlib.Path(sys.argv[1]), sys.argv[2]
ROW = re.compile(r"^\| (server CPU per request|median latency) \|(.*)\|\s*$")
widths, exits = [], []
for run in sorted(directory.glob(f"{prefix}-*[0-9]")):
    code = (directory / f"{run.name}.code").read_text().strip()
    exits.append(" exit 0 " in code)
    claims, conditions = [], ""
    for line in (run / "summary.md").read_text().splitlines():
        if line.startswith("At "):
            conditions = line.strip(": ")
        if (row := ROW.match(line)) and (row[1].startswith("server") or "closed loop" in conditions):
            cells = [cell.strip() for cell in row[2].split("|")]
            claims.append(f"{row[1]} {cells[2]} {cells[3]} floor {cells[4]}, {cells[5]}")
            if row[1].startswith("server") and (ends := re.fullmatch(r"([\d.]+)–([\d.]+)", cells[3])):
                low, high = map(float, ends.groups())
                widths.append((high / low) ** 0.5 - 1)
    trials = [json.loads(file.read_text()) for file in sorted(run.glob("trials/*.json"))]
    taken = [
        statistics.median(values)
        for name in ("steal_share", "others_share")
        if (values := [v for trial in trials if (v := trial["measurement"][name]) is not None])
    ]
    rounds = max(trial["round"] for trial in trials)
    shares = " and ".join(f"{share:.1%}" for share in taken)
    print(f"{code}; {rounds} rounds; {'; '.join(claims)}; stolen and taken by others: {shares}")
half = f"{statistics.median(widths):.1%}" if widths else "unknown"
print(f"{prefix}: {sum(exits)} of {len(exits)} exit 0; median half-width of the CPU intervals {half}")

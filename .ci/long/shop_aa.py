#!/usr/bin/env python3
"""Judges a campaign of shop_aa.sh: shop_aa.py DIR

A run of `aa` may claim no difference in server CPU or latency; one of `more` has to find a difference in server CPU,
and its interval has to hold the truth, by what the shop counted. `shop_aa.py DIR fifth` prints a fifth of the CPU time
of a call in the runs of `aa`, in whole nanoseconds.
"""
import json
import pathlib
import statistics
import sys

directory = pathlib.Path(sys.argv[1])


def headline(run):
    claims = json.loads((run / "verdict.json").read_text())["claims"]
    return [next(one for one in claims if one["measure"] == name) for name in ("server CPU per request", "median latency")]


def runs(kind):
    return sorted(run for run in directory.glob(f"{kind}-*") if run.is_dir())


if sys.argv[2:] == ["fifth"]:
    taken = [headline(run)[0]["baseline"]["value"] for run in runs("aa")]
    print(round(statistics.median(taken) * 1000 / 5))
    sys.exit()

claimed = equal = found = held = 0
for run in runs("aa"):
    grades = [claim["grade"] for claim in headline(run)]
    claimed += "difference" in grades
    equal += grades[0] == "no difference"
    print(f"{run.name}: {headline(run)[0]['sentence']}")
for run in runs("more"):
    cpu, work = headline(run)[0], json.loads((directory / f"{run.name}.work").read_text())["rest"]
    truth = 1 + work["workCpuSeconds"] * 1e6 / work["calls"] / cpu["baseline"]["value"]
    if cpu["ratio"] is None:
        print(f"{run.name}: {cpu['sentence']}")
        continue
    found += cpu["grade"] == "difference"
    held += cpu["low"] <= truth <= cpu["high"]
    print(f"{run.name}: {cpu['ratio']:.2f}× ({cpu['low']:.2f}–{cpu['high']:.2f}), in truth {truth:.2f}; {cpu['grade']}")
print(f"A/A: {claimed} of {len(runs('aa'))} claim a difference, {equal} say that there is none in server CPU")
print(f"a fifth more work: {found} of {len(runs('more'))} found, the truth inside {held}")

#!/usr/bin/env python3
"""Judges a campaign of shop_aa.sh: shop_aa.py DIR

At most one in ten runs of `aa` may claim a difference, in server CPU or latency. Nine in ten of `more` have to find one
in server CPU, and as many intervals to hold the truth, by what the shop counted. It ends with 1 if not, or if there is
no run. `shop_aa.py DIR fifth` prints a fifth of the CPU time of a call in the runs of `aa`, in whole nanoseconds.
"""
import json
import pathlib
import statistics
import sys

directory = pathlib.Path(sys.argv[1])


def headline(run):
    claims = json.loads((run / "verdict.json").read_text())["claims"]
    named = ("server CPU per request", "median latency")
    return [next((one for one in claims if one["measure"] == name), None) for name in named]


def value(run):
    cpu = headline(run)[0]
    return cpu and cpu["baseline"]["value"]


def runs(kind):
    return sorted(run for run in directory.glob(f"{kind}-*") if run.is_dir())


if sys.argv[2:] == ["fifth"]:
    taken = [value(run) for run in runs("aa") if value(run)]
    if not taken:
        sys.exit("no run of aa knows the CPU time of a call; ask for one at least")
    print(round(statistics.median(taken) * 1000 / 5))
    sys.exit()

claimed = equal = found = held = 0
for run in runs("aa"):
    grades = [claim["grade"] if claim else "inconclusive" for claim in headline(run)]
    claimed += "difference" in grades
    equal += grades[0] == "no difference"
    print(f"{run.name}: {' and '.join(grades)}")
for run in runs("more"):
    cpu, work = headline(run)[0], json.loads((directory / f"{run.name}.work").read_text())["rest"]
    if not value(run) or cpu["ratio"] is None:
        print(f"{run.name}: nothing is known")
        continue
    truth = 1 + work["workCpuSeconds"] * 1e6 / work["calls"] / value(run)
    found += cpu["grade"] == "difference"
    held += cpu["low"] <= truth <= cpu["high"]
    print(f"{run.name}: {cpu['ratio']:.2f}× ({cpu['low']:.2f}–{cpu['high']:.2f}), in truth {truth:.2f}; {cpu['grade']}")
print(f"A/A: {claimed} of {len(runs('aa'))} claim a difference, {equal} say that there is none in server CPU")
print(f"a fifth more work: {found} of {len(runs('more'))} found, the truth inside {held}")
least_found = len(runs("more")) * 0.9
if not runs("aa") + runs("more") or claimed > len(runs("aa")) * 0.1 or min(found, held) < least_found:
    sys.exit(1)

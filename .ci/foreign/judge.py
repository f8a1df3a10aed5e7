"""Holds a run of loadtest against what the service counted:

judge.py NAME SIDE EXIT RUN SAID COUNTED WHOSE...

SIDE (rest or grpc) of the service had the work, as the variant `worked`; `plain` is the same without. COUNTED holds
a line `worked CALLS calls TIME ns`. WHOSE are the processes and addresses whose CPU time has to be the server's.
"""

import json
import math
import pathlib
import re
import sys

from prometheus_client.openmetrics.parser import text_string_to_metric_families

WITHIN = 0.25  # of what was counted

name, side, code, run, said, counted, *whose = sys.argv[1:]
said = pathlib.Path(said).read_text()
wrong = []
if code != "0":
    wrong.append(f"exit code {code}, not 0")
for one in whose:
    if not re.search(rf"^server CPU is that of .*{re.escape(one)}\b", said, re.MULTILINE):
        wrong.append(f"{one} is not among those whose CPU time is the server's")

calls, took = map(int, re.search(r"worked (\d+) calls (\d+) ns", pathlib.Path(counted).read_text()).groups())
if calls < 1000:
    wrong.append(f"{calls} calls had the work: fewer than a run makes")
counted_us = took / max(calls, 1) / 1000

verdict = pathlib.Path(run, "verdict.json")
verdict = json.loads(verdict.read_text()) if verdict.exists() else {"requirements": [], "claims": []}
values = {one["requirement"]: one["value"] for one in verdict["requirements"] if one["unit"] == "µs"}
worked_us, plain_us = (values.get(f"{variant}.cpu <= 1s") or math.nan for variant in ("worked", "plain"))
more_us = worked_us - plain_us
print(f"{name}: {worked_us:.0f} µs against {plain_us:.0f}; counted {counted_us:.0f} a call, in {calls} calls")
if not abs(more_us - counted_us) <= WITHIN * counted_us:
    wrong.append(f"{more_us:.0f} µs more by what loadtest found, and {counted_us:.0f} by what the service counted")

# What loadtest writes for Prometheus is read by Prometheus' own library, and says the same.
metrics = pathlib.Path(run, "openmetrics.txt")
found = [
    sample.value * 1e6
    for family in text_string_to_metric_families(metrics.read_text() if metrics.exists() else "# EOF\n")
    for sample in family.samples
    if sample.name == "loadtest_server_cpu_seconds"
    and (sample.labels["variant"], sample.labels["purpose"]) == ("worked", "open")
]
if len(found) != 1 or not abs(found[0] - worked_us) < 0.1 * worked_us:
    wrong.append(f"openmetrics.txt says {found} µs of the variant worked")

claims = [
    (one["grade"], one["ratio"] > 1)
    for one in verdict["claims"]
    if one["measure"] == "server CPU per request" and one["scenario"]["purpose"] == "open"
]
if claims != [("difference", side == "grpc")]:
    wrong.append(f"what is said of server CPU is not that {side} takes more: {claims}")
for one in wrong:
    print(f"FAIL {name}: {one}", file=sys.stderr)
if wrong:
    print(said, file=sys.stderr)
    sys.exit(1)

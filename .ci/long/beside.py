#!/usr/bin/env python3
"""Keeps each core busy for 25 ms of every 100, until it is ended: the program beside a campaign.

    beside.py [BUSY_MS] [OF_MS]
"""
import os
import sys
import time

busy, of = (float(arg) / 1e3 for arg in (sys.argv[1:] + ["25", "100"][len(sys.argv) - 1:]))
cores = sorted(os.sched_getaffinity(0))
for core in cores[1:]:
    if os.fork() == 0:
        break
else:
    core = cores[0]
os.sched_setaffinity(0, {core})
parent = os.getppid()
while core == cores[0] or os.getppid() == parent:
    begun = time.perf_counter()
    while time.perf_counter() - begun < busy:
        pass
    time.sleep(max(0.0, of - (time.perf_counter() - begun)))

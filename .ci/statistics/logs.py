"""Opens the raw data of a run in DIR with HdrHistogram's Python port: every trial's histogram, and
every log, which must hold the valid trials' histograms.

    python logs.py DIR
"""

import json
import pathlib
import sys

from hdrh.histogram import HdrHistogram
from hdrh.log import HistogramLogReader

HOUR_NS = 3_600_000_000_000
# Disturbances that falsify every measure of a trial.
FALSIFYING = {"unmeasured", "bad_replies", "server_restarted", "queue", "not_at_once"}
directory = pathlib.Path(sys.argv[1])


def kind(disturbance):
    return disturbance if isinstance(disturbance, str) else next(iter(disturbance))


def intervals(log):
    whole = HdrHistogram(1, HOUR_NS, 3)
    reader = HistogramLogReader(str(log), whole)
    while interval := reader.get_next_interval_histogram():
        yield interval


def figures(histogram):
    return (histogram.get_total_count(), histogram.get_value_at_percentile(50),
            histogram.get_value_at_percentile(99), histogram.get_max_value())


expected = []
for file in sorted(directory.glob("trials/*.json")):
    trial = json.loads(file.read_text())
    measured = trial["measurement"]
    for encoded in filter(None, [measured["service_time"], measured["response_time"]]):
        histogram = HdrHistogram.decode(encoded)
        good = measured["counted"] - sum(measured["errors"].values())
        assert 0 < histogram.get_total_count() <= good, file
        if not FALSIFYING & {kind(one) for one in trial["disturbances"]}:
            expected.append(figures(histogram))

logs = sorted(directory.glob("hdr/*.hlog"))
found = [figures(interval) for log in logs for interval in intervals(log)]
assert logs and sorted(found) == sorted(expected), "the logs do not hold what the trials do"
print(f"ok   {len(found)} intervals in {len(logs)} logs, as HdrHistogram's Python port reads them")

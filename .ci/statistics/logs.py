"""Opens the raw data of a run in DIR with HdrHistogram's Python port: every block's histogram, and
every log, which must hold the valid blocks' histograms.

    python logs.py DIR
"""

import json
import pathlib
import sys

from hdrh.histogram import HdrHistogram
from hdrh.log import HistogramLogReader

HOUR_NS = 3_600_000_000_000
directory = pathlib.Path(sys.argv[1])


def intervals(log):
    whole = HdrHistogram(1, HOUR_NS, 3)
    reader = HistogramLogReader(str(log), whole)
    while interval := reader.get_next_interval_histogram():
        yield interval


def figures(histogram):
    return (histogram.get_total_count(), histogram.get_value_at_percentile(50),
            histogram.get_value_at_percentile(99), histogram.get_max_value())


expected = []
for file in sorted(directory.glob("blocks/*.json")):
    block = json.loads(file.read_text())
    for encoded in filter(None, [block["latency"]["uncorrected"], block["latency"]["corrected"]]):
        histogram = HdrHistogram.decode(encoded)
        good = block["requests"] - sum(block["errors"].values())
        assert 0 < histogram.get_total_count() <= good, file
        if not block["void"]:
            expected.append(figures(histogram))

logs = sorted(directory.glob("hdr/*.hlog"))
found = [figures(interval) for log in logs for interval in intervals(log)]
assert logs and sorted(found) == sorted(expected), "the logs do not hold what the blocks do"
print(f"ok   {len(found)} intervals in {len(logs)} logs, as HdrHistogram's Python port reads them")

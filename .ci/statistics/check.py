"""Compares what PROGRAM says of random log-ratios with what SciPy says of them.

    python check.py PROGRAM

Prints a line for each comparison and fails on the first that differs by more than it may.
"""

import json
import subprocess
import sys

import numpy as np
from scipy import stats

RANDOM = np.random.default_rng(20261122)
SIZES = [2, 3, 4, 5, 6, 8, 9, 10, 14, 15, 19, 24, 34]
# Down to that of one of thirty claims at the tenth look.
LEVELS = [0.2, 0.05, 0.025, 0.0025, 0.005 / 6, 0.04 / 28 / 2, 0.04 / 28 / 110]
EXACT_UP_TO = 14


def close(what, found, expected, by):
    difference = np.max(np.abs(np.asarray(found) - np.asarray(expected)))
    print(f"{'ok  ' if difference <= by else 'FAIL'} {what}: off by {difference:.2g} of {by:.2g}")
    if not difference <= by:
        sys.exit(f"found {found}, SciPy says {expected}")


def flips(values, exact):
    return stats.permutation_test(
        (values,), np.sum, permutation_type="samples", vectorized=True, rng=RANDOM,
        n_resamples=np.inf if exact else 100_000).pvalue


# Heavy tails, as rounds have them, around no difference and around one.
samples = [RANDOM.choice([0, 0.05]) + 0.05 * RANDOM.standard_t(3, size) for size in SIZES]
questions = {"logs": [sample.tolist() for sample in samples], "levels": LEVELS}
answers = json.loads(subprocess.run(
    sys.argv[1], input=json.dumps(questions), capture_output=True, text=True, check=True,
    timeout=60).stdout)

for logs, answer in zip(samples, answers, strict=True):
    name, count = f"{len(logs)} rounds", len(logs)
    close(f"{name}, trimmed mean", answer["mean"], stats.trim_mean(logs, 0.2), 1e-12)

    # Yuen's test against values that are all zero is Tukey and McLaughlin's of one sample.
    with np.errstate(all="ignore"):
        test = stats.ttest_ind(logs, np.zeros(count), equal_var=False, trim=0.2)
    close(f"{name}, standard error", answer["error"], answer["mean"] / test.statistic, 1e-12)
    close(f"{name}, degrees of freedom", answer["freedom"], test.df, 1e-9)
    for level, interval in zip(LEVELS, answer["intervals"], strict=True):
        expected = test.confidence_interval(1 - level)
        width = expected.high - expected.low
        close(f"{name}, interval at {level:.2g}", interval, expected, 1e-7 * width)

    # The winsorised variance once more, from its definition.
    trimmed = int(0.2 * count)
    winsorised = np.asarray(stats.mstats.winsorize(logs, limits=(trimmed / count + 1e-9,) * 2))
    left = count - 2 * trimmed
    squares = np.var(winsorised) * count
    close(f"{name}, winsorised", answer["error"], np.sqrt(squares / left / (left - 1)), 1e-12)

    # The first look pays for half of the level.
    shown = test.confidence_interval(1 - 0.05 / 2)
    expected = np.exp([stats.trim_mean(logs, 0.2), *shown])
    close(f"{name}, judged", answer["judged"], expected, 1e-7 * expected[2])

    exact = count <= EXACT_UP_TO
    # Beyond, both are drawn: four standard errors of 4,096 draws at most.
    by = 1e-12 if exact else 0.032
    close(f"{name}, sign flips", answer["sign_flip_p"], flips(logs, exact), by)
    bound = np.median(np.abs(logs))
    clipped = np.clip(logs, -bound, bound)
    close(f"{name}, clipped sign flips", answer["clipped_sign_flip_p"], flips(clipped, exact), by)

    close(f"{name}, median", answer["median"], np.median(logs), 1e-15)
    close(f"{name}, quartile", answer["upper_quartile"], np.quantile(logs, 0.75), 1e-12)

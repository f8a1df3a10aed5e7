"""Compares what PROGRAM says of random ratios with what SciPy says of them.

    python check.py PROGRAM

Prints a line for each comparison and fails on the first that differs by more than it may.
"""

import itertools
import json
import subprocess
import sys

import numpy as np
from scipy import stats

RANDOM = np.random.default_rng(20261122)
SIZES = [2, 3, 4, 5, 6, 8, 10, 12, 14, 16, 20]
# In standard errors. Both sides draw 10,000 resamples: each end varies by 2.7% of one, the
# difference of two by 3.8%, and this is three times as much. Seeds are fixed.
BOOTSTRAP_ENDS = 0.12


def holm_by_closure(ps):
    """Holm from the closure principle: the largest Bonferroni p of any subset that holds it."""
    def adjusted(index):
        rest = [i for i in range(len(ps)) if i != index]
        subsets = itertools.chain.from_iterable(
            itertools.combinations(rest, size) for size in range(len(rest) + 1))
        return max(min(1.0, (1 + len(s)) * min([ps[index], *(ps[i] for i in s)])) for s in subsets)
    return [adjusted(index) for index in range(len(ps))]


def close(what, found, expected, by):
    difference = np.max(np.abs(np.asarray(found) - np.asarray(expected)))
    print(f"{'ok  ' if difference <= by else 'FAIL'} {what}: off by {difference:.2g} of {by:.2g}")
    if difference > by:
        sys.exit(f"found {found}, SciPy says {expected}")


ratios = [np.exp(RANDOM.normal(0.05, 0.1, size)) for size in SIZES]
ps = [RANDOM.uniform(0, 0.2, size) for size in (1, 2, 5, 9)]
questions = {"ratios": [r.tolist() for r in ratios], "ps": [p.tolist() for p in ps]}
answers = json.loads(subprocess.run(
    sys.argv[1], input=json.dumps(questions), capture_output=True, text=True, check=True,
    timeout=60).stdout)

for sample, answer in zip(ratios, answers["ratios"], strict=True):
    name, logs = f"{len(sample)} pairs", np.log(sample)
    error = stats.sem(logs)
    close(f"{name}, geometric mean", answer["geometric_mean"], stats.gmean(sample), 1e-12)

    test = stats.ttest_1samp(logs, 0)
    student = test.confidence_interval(0.95)
    close(f"{name}, Student's interval", answer["student"], student, 1e-7)
    close(f"{name}, Student's p", answer["p"], test.pvalue, 1e-9)

    bootstrap = stats.bootstrap(
        (logs,), np.mean, n_resamples=10_000, method="percentile", rng=RANDOM).confidence_interval
    close(f"{name}, bootstrap", answer["bootstrap"], bootstrap, BOOTSTRAP_ENDS * error)

    low = min(answer["bootstrap"][0], student.low)
    high = max(answer["bootstrap"][1], student.high)
    close(f"{name}, interval", answer["interval"], np.exp([low, high]), 1e-7)

    exact = len(sample) <= 16
    flips = stats.permutation_test(
        (logs,), np.mean, permutation_type="samples", vectorized=True, rng=RANDOM,
        n_resamples=np.inf if exact else 100_000)
    # Beyond 16 pairs both are drawn: four standard errors of 65,536 draws at most.
    close(f"{name}, sign flips", answer["sign_flip_p"], flips.pvalue, 1e-12 if exact else 0.01)

for sample, answer in zip(ps, answers["ps"], strict=True):
    close(f"Holm over {len(sample)}", answer, holm_by_closure(list(sample)), 1e-12)

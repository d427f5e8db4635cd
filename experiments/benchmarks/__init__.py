"""Measurements of what is fast, and against what.

`python -m experiments.benchmarks.NAME` runs one, `python -m experiments.benchmarks`
all. Each prints ratios of medians over interleaved repeats, warm, of sides that reach
the same answer. Times themselves are not worth printing: machines differ, and are
noisy. Set OPENBLAS_NUM_THREADS=1 on a machine with few cores.
"""

"""STL of statsmodels, refitted at every point: to be run in the environment of the peers.

    .venv-peers/bin/python -m tests.bench.detect_peer COUNTS.npy

COUNTS holds weeks of quarter hours of one series. What comes back, on standard output, is a JSON
object: `stl`, the milliseconds of a refit, of the best of three.
"""

import json
import sys
import time

import numpy as np
from statsmodels.tsa.seasonal import STL


def main(path: str) -> None:
    counts = np.load(path)
    times = []
    for _ in range(3):
        begun = time.perf_counter()
        STL(counts, period=672).fit()
        times.append(time.perf_counter() - begun)
    print(json.dumps({"stl": min(times) * 1e3}))


if __name__ == "__main__":
    main(sys.argv[1])

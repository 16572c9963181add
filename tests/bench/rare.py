"""How fast rare things are found: left discord and half-space trees beside their peers.

    python -m tests.bench.rare [--json]

All stream, a point at a time, and each point is scored and then learned. Ours scores `SERIES`
series or stores in one tick, which is how central calls it, and the time is that of one of them;
`alone` is a tick of one, most of which is the call from Python. Peers have one object a series.

Like for like: stumpi with `normalize=False` on the same whole counts, with the same stretch and
history, whose distances ours must equal; river's trees, as many and as high and with the same
window, whose scores ours must equal on the very same trees. Ours takes whole counts up to 4,095,
in 32 bits; stumpi takes any number, in 64.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
PEERS = ROOT / ".venv-peers" / "bin" / "python"
JOB: dict[str, Any] = {
    "stretch": 24,
    "histories": [168, 336, 672, 2016],
    "trees": 10,
    "height": 8,
    "window": 250,
    "metrics": 8,
    "series": 100,
}
"""Histories: a week of hours, half hours, quarter hours, five minutes. Trees: river's defaults."""
FASTER = {"discord": 500.0, "trees": 40.0}
"""A peer's time as a multiple of ours."""
EQUAL = {"discord": 1e-6, "trees": 1e-9}
"""How far apart a distance, or a score, may be: stumpi lets its roundings add up, we have none."""


def measure() -> dict[str, Any]:
    """What `tests.bench.rare_peer` finds."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "job.json").write_text(json.dumps(JOB))
        subprocess.run(
            [
                *(PEERS, "-m", "tests.bench.rare_peer"),
                *(folder / "job.json", folder / "out.json"),
            ],
            cwd=ROOT,
            check=True,
        )
        found: dict[str, Any] = json.loads((folder / "out.json").read_text())
        return found


def told(found: dict[str, Any]) -> dict[str, Any]:
    """Print the tables of what `measure` found; what they say, as of `--json`."""
    print(
        f"microseconds a point; stretches of {JOB['stretch']}; {JOB['series']} series in a tick\n"
    )
    print(
        f"{'discord over':<14} {'ours':>8} {'stumpi':>8} {'ratio':>6} {'alone':>8} {'growing':>8}"
    )
    ratios: dict[str, float] = {}
    for history, each in found["discord"].items():
        ratios[history] = each["stumpi"] / each["ours"]
        print(
            f"{f'{history} points':<14} {each['ours']:>8.3f} {each['stumpi']:>8.1f}"
            f" {ratios[history]:>6.0f} {each['alone']:>8.2f} {each['growing']:>8.1f}"
        )
    woods = found["trees"]
    ratio = woods["river"] / woods["ours"]
    print(f"\n{'trees':<14} {'ours':>8} {'river':>8} {'ratio':>6} {'alone':>8}")
    shape = f"{JOB['trees']} × {JOB['height']}"
    print(
        f"{shape:<14} {woods['ours']:>8.3f} {woods['river']:>8.1f} {ratio:>6.0f}"
        f" {woods['alone']:>8.2f}"
    )
    print(f"\n{'PyOD':<14} {'one':>8} {'batch':>8}")
    for name, each in found["pyod"].items():
        print(f"{name:<14} {each['one']:>8.0f} {each['batch']:>8.2f}")
    apart = {
        "discord": max(each["apart"] for each in found["discord"].values()),
        "trees": woods["apart"],
    }
    same = all(apart[name] <= most for name, most in EQUAL.items())
    fast = {
        "discord": all(each >= FASTER["discord"] for each in ratios.values()),
        "trees": ratio >= FASTER["trees"],
    }
    print(
        f"\nsame distances and scores as the peers: {'yes' if same else 'no'}"
        f" (apart at most {apart['discord']:.1e} and {apart['trees']:.1e})"
    )
    for name, least in FASTER.items():
        print(f"{name} ≥ {least:.0f} ×: {'yes' if fast[name] else 'no'}")
    return {
        "ours": {"discord": found["discord"], "trees": woods},
        "peers": found["pyod"],
        "ratios": {"discord": ratios, "trees": ratio},
        "same": same,
        "fast": fast,
        "reached": same and all(fast.values()),
    }


def main() -> int:
    """Run all, print the tables."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.rare")
    parser.add_argument("--json", action="store_true", help="end with a line of JSON")
    options = parser.parse_args()
    if not PEERS.exists():
        print("the peers are not here: `make peers` gets them", file=sys.stderr)
        return 1
    result = told(measure())
    if options.json:
        print(json.dumps(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())

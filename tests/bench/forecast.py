"""The nightly forecast on two public series, beside what is simple and beside plain MSTL.

    python -m tests.bench.forecast [--json]

The next seven days are forecast from all days before, over rolling origins a week apart: hourly
hires of UCI's bicycles (two years, absent hours are absent, public holidays marked) and hourly
orders of UCI's online retail shop (a year; open on six days from 7 to 20, closed on the days
without a single order). Beside it: the same hour of last week, the mean of that hour in the last
four weeks, and statsmodels' MSTL with its defaults on the counts, its last week and last trend
carried on.

What is constant in `central.detect.baseline` was chosen on the first half of the origins; the
second half was looked at afterwards. Both are printed, and `reached` is of the second: at least as
good as the best peer, and bands that hold their share to within 5 points.

Compared are the hours of which all speak. On a holiday that is known beforehand, ours is silent
until three were seen; these hours are counted.
"""

import argparse
import json
import os
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet
from numpy.typing import NDArray
from statsmodels.tsa.seasonal import MSTL

from central.detect import baseline
from central.detect.baseline import HOURS, WEEK

ROOT = Path(__file__).parents[2]
SHARED = Path(os.environ.get("PASSERBY_SHARED", ROOT.parent / "shared"))
BIKES, RETAIL = SHARED / "series/uci_bike/hour.csv.gz", SHARED / "retail/online_retail.parquet"
FIRST_WEEKS = 8
SHARES = (0.8, 0.95)
COVERAGE = 0.05
Reals = NDArray[np.float64]
Booleans = NDArray[np.bool_]


@dataclass(frozen=True)
class Data:
    """values and opened: (days, 24), NaN where absent or closed. holidays: (days,)."""

    name: str
    values: Reals
    opened: Booleans
    holidays: Booleans


@dataclass(frozen=True)
class Score:
    """Mean absolute errors by method; ours: the share inside each band, and its mean width.

    hours: how many were compared. silent: how many ours says nothing of. seconds: of one forecast.
    """

    errors: dict[str, float]
    inside: tuple[float, ...]
    widths: tuple[float, ...]
    hours: int
    silent: int
    seconds: float


def bikes() -> Data:
    """Hires by hour; hours without a row are absent."""
    rows = pyarrow.csv.read_csv(BIKES)
    day = rows["dteday"].to_numpy().astype("datetime64[D]")
    number = (day - day.min()).astype(np.int64)
    values = np.full((int(number.max()) + 1, HOURS), np.nan)
    values[number, rows["hr"].to_numpy()] = rows["cnt"]
    holidays = np.zeros(len(values), np.bool_)
    holidays[number[rows["holiday"].to_numpy() == 1]] = True
    return Data("bicycle hires", values, np.ones(values.shape, np.bool_), holidays)


def retail() -> Data:
    """Orders by hour, without cancellations."""
    rows = pyarrow.parquet.read_table(RETAIL, columns=["invoice_no", "invoice_date"])
    sold = rows.filter(pc.invert(pc.starts_with(rows["invoice_no"], "C")))
    placed = sold.group_by("invoice_no").aggregate([("invoice_date", "min")])
    hour = placed["invoice_date_min"].to_numpy().astype("datetime64[h]")
    day = hour.astype("datetime64[D]")
    number = (day - day.min()).astype(np.int64)
    values = np.zeros((int(number.max()) + 1, HOURS))
    np.add.at(values, (number, (hour - day).astype(np.int64)), 1.0)
    opened = np.zeros(values.shape, np.bool_)
    opened[values.sum(1) > 0, 7:20] = True
    return Data(
        "retail orders", np.where(opened, values, np.nan), opened, np.zeros(len(values), np.bool_)
    )


def last_week(past: Reals) -> Reals:
    """The same hour, as it was last seen in the last four weeks."""
    found = past[-WEEK:].copy()
    for back in range(2, 5):
        before = past[len(past) - back * WEEK : len(past) - (back - 1) * WEEK]
        found = np.where(np.isfinite(found), found, before)
    return found


def four_weeks(past: Reals) -> Reals:
    """The mean of the same hour in the last four weeks."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return np.asarray(np.nanmean(past[-4 * WEEK :].reshape(4, WEEK, HOURS), 0))


def plain_mstl(past: Reals) -> Reals:
    """Statsmodels as it comes: thirteen weeks, gaps as a week before, the trend's last value."""
    weeks = min(13, len(past) // WEEK)
    recent = past[len(past) - weeks * WEEK :].reshape(weeks, WEEK, HOURS)
    known = np.isfinite(recent)
    days, hours = known.any((0, 2)), known.any((0, 1))
    filled = recent[:, days][:, :, hours]
    filled[0] = np.where(np.isfinite(filled[0]), filled[0], np.nanmean(filled))
    for week in range(1, weeks):
        filled[week] = np.where(np.isfinite(filled[week]), filled[week], filled[week - 1])
    shape = filled.shape[1:]
    fit = MSTL(filled.ravel(), periods=(shape[1], shape[0] * shape[1])).fit()
    found = np.full((WEEK, HOURS), np.nan)
    season = np.asarray(fit.seasonal).sum(1)[-shape[0] * shape[1] :]
    found[np.ix_(days, hours)] = season.reshape(shape) + float(np.asarray(fit.trend)[-1])
    return found


PEERS: dict[str, Callable[[Reals], Reals]] = {
    "same hour last week": last_week,
    "mean of four weeks": four_weeks,
    "statsmodels MSTL": plain_mstl,
}


def score(data: Data, stops: list[int]) -> Score:
    """Forecasts of the seven days from each of these days on."""
    misses: dict[str, list[Reals]] = {name: [] for name in ("ours", *PEERS)}
    inside: list[Booleans] = []
    widths: list[Reals] = []
    silent, seconds = 0, 0.0
    for stop in stops:
        past, came = data.values[:stop], data.values[stop : stop + WEEK]
        began = time.perf_counter()
        found = baseline.forecast(
            past, data.opened[: stop + WEEK], data.holidays[: stop + WEEK], SHARES
        )
        seconds += time.perf_counter() - began
        told = {"ours": found.expected, **{name: peer(past) for name, peer in PEERS.items()}}
        there = np.isfinite(came)
        silent += int((there & ~np.isfinite(found.expected)).sum())
        compared = there & np.logical_and.reduce([np.isfinite(each) for each in told.values()])
        for name, each in told.items():
            misses[name].append(np.abs(came - each)[compared])
        held = (found.lower <= came) & (came <= found.upper)
        inside.append(held[:, compared])
        widths.append((found.upper - found.lower)[:, compared])
    held, width = np.concatenate(inside, 1), np.concatenate(widths, 1)
    return Score(
        {name: float(np.concatenate(each).mean()) for name, each in misses.items()},
        tuple(map(float, held.mean(1))),
        tuple(map(float, width.mean(1))),
        held.shape[1],
        silent,
        seconds / len(stops),
    )


def halves(data: Data) -> dict[str, Score]:
    """The half of the origins that constants were chosen on, and the other."""
    stops = list(range(FIRST_WEEKS * WEEK, len(data.values) - WEEK, WEEK))
    middle = len(stops) // 2
    return {"first half": score(data, stops[:middle]), "second half": score(data, stops[middle:])}


def show(name: str, half: str, found: Score) -> None:
    """A table of one half."""
    ours = found.errors["ours"]
    print(f"\n{name}, {half}: {found.hours:,} hours, {found.silent} of which ours is silent")
    for method, error in found.errors.items():
        print(f"  {method:<22} mean absolute error {error:8.3f}   ours is {ours / error:.3f} of it")
    for share, inside, width in zip(SHARES, found.inside, found.widths, strict=True):
        print(f"  band of {share:.0%}: holds {inside:.1%}, mean width {width:.1f}")
    print(f"  {found.seconds:.2f} s a forecast")


def summary(results: dict[str, dict[str, Score]]) -> dict[str, object]:
    """What `--json` says, of the second halves."""
    second = {name: halves["second half"] for name, halves in results.items()}
    ratios = {
        name: each.errors["ours"] / min(each.errors[peer] for peer in PEERS)
        for name, each in second.items()
    }
    held = [
        abs(inside - share) <= COVERAGE
        for each in second.values()
        for share, inside in zip(SHARES, each.inside, strict=True)
    ]
    return {
        "ours": {name: each.errors["ours"] for name, each in second.items()},
        "peers": {
            name: {peer: each.errors[peer] for peer in PEERS} for name, each in second.items()
        },
        "ratio_to_best_peer": ratios,
        "inside": {
            name: dict(zip(map(str, SHARES), each.inside, strict=True))
            for name, each in second.items()
        },
        "reached": all(ratio <= 1 for ratio in ratios.values()) and all(held),
    }


def main() -> None:
    """Print the tables; see the module's words."""
    parser = argparse.ArgumentParser("tests.bench.forecast", description=__doc__.split("\n")[0])
    parser.add_argument("--json", action="store_true", help="end with a line of JSON")
    options = parser.parse_args()
    for path in (BIKES, RETAIL):
        if not path.exists():
            print(f"{path} is not here: set PASSERBY_SHARED", file=sys.stderr)
            sys.exit(2)
    results = {}
    for data in (bikes(), retail()):
        results[data.name] = halves(data)
        for half, found in results[data.name].items():
            show(data.name, half, found)
    said = summary(results)
    print(f"\nreached: {said['reached']}, ratios to the best peer {said['ratio_to_best_peer']}")
    if options.json:
        print(json.dumps(said))


if __name__ == "__main__":
    main()

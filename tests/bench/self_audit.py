"""The self-audit against the truth: damaged input, the share that was counted, the confidence.

    python -m tests.bench.self_audit [--stores 4] [--json]

Each rendered store is seen for eight minutes by the camera at its entrance. The detector is the
truth, whoever is seen by at least 20 %, and is damaged: people unseen for some of the time, in
spells; the whole picture lost for spells; the camera knocked. `share` is how much of the true
crossings was counted (counting too many is as wrong as too few), `confidence` what the audit says
of the same minutes. Nobody else publishes such a number, so the peer is the truth: reached is a
rank correlation of `CORRELATION` at least, with sound input believed at `SOUND` or more.
"""

import argparse
import json
import math
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import cast

import numpy as np

from edge import wire
from edge.camera import Frame
from edge.detector import Detector
from edge.ground import Ground
from edge.pipeline import CameraPipeline
from edge.privacy import Gate
from edge.simulator import camera_config, parse, truth
from tests.bench.store_truth import Recorded

START = datetime(2026, 1, 1, tzinfo=UTC)
MINUTES = 8.0
CORRELATION, SOUND = 0.8, 0.97


def _detections(record: truth.Record) -> dict[str, np.ndarray]:
    """What a detector finds that knows the truth, as `store_truth.detections` has it."""
    box = record.boxes
    seen = (record.visibility >= truth.SEEN) & (box[:, 2] > box[:, 0]) & (box[:, 3] > box[:, 1])
    first = np.searchsorted(record.frames[seen], np.arange(record.scene.frames + 1))
    return {"first": first, "boxes": box[seen], "scores": np.full(seen.sum(), 0.9, np.float32)}


def entrance(*records: truth.Record) -> wire.Audit:
    """The audit of the entrance over a whole scene, which cameras of one device see."""
    scene = records[0].scene
    span = timedelta(minutes=scene.minutes)
    cameras = [camera_config(replace(each.scene, moved=())) for each in records]
    rates = {each.id: scene.fps for each in cameras}
    ground = Ground(cameras, Gate(0.25), rates, seed=0, hour=span)
    pipelines = [
        CameraPipeline(camera, cast(Detector, Recorded(_detections(record))), ground, scene.fps)
        for camera, record in zip(cameras, records, strict=True)
    ]
    blank = np.zeros((*scene.size[::-1], 3), np.uint8)
    for index in range(scene.frames):
        for pipeline in pipelines:
            pipeline.process(Frame(index, START + timedelta(seconds=index / scene.fps), blank))
    for pipeline in pipelines:
        pipeline.close(START + span)
    return next(each for each in ground.audits() if each.id == "entrance")


def without_people(record: truth.Record, share: float, seconds: float) -> truth.Record:
    """Everybody unseen for a share of the time, in spells of their own."""
    random = np.random.default_rng(0)
    spell = max(round(seconds * record.scene.fps), 1)
    people = int(record.ids.max()) + 1
    late = random.integers(0, spell, people)
    missed = random.random((people, record.scene.frames // spell + 2)) < share
    hidden = missed[record.ids, (record.frames + late[record.ids]) // spell]
    return replace(record, visibility=np.where(hidden, 0, record.visibility))


def without_pictures(record: truth.Record, share: float, seconds: float) -> truth.Record:
    """Nobody seen at all for a share of the time, in spells."""
    spell = round(seconds * record.scene.fps)
    missed = np.random.default_rng(0).random(record.scene.frames // spell + 1) < share
    return replace(
        record, visibility=np.where(missed[record.frames // spell], 0, record.visibility)
    )


def knocked(record: truth.Record) -> truth.Record:
    """The same people, seen by the camera after a knock."""
    return truth.record(replace(record.scene, moved=((0.0, math.inf),)))


def crossings(record: truth.Record) -> int:
    """How many cross the entrance's line and can be seen to, or could before a knock."""
    return sum(each.line == "entrance" and each.seen for each in truth.crossings(record))


DAMAGES: dict[str, Callable[[truth.Record], truth.Record]] = {
    "sound": lambda record: record,
    "30 % of the boxes": lambda record: without_people(record, 0.3, 0.1),
    "15 % in spells of 2 s": lambda record: without_people(record, 0.15, 2.0),
    "30 % in spells of 2 s": lambda record: without_people(record, 0.3, 2.0),
    "50 % in spells of 1 s": lambda record: without_people(record, 0.5, 1.0),
    "pictures, 30 % in spells": lambda record: without_pictures(record, 0.3, 1.5),
    "camera knocked": knocked,
}


def ranks_agree(left: list[float], right: list[float]) -> float:
    """Spearman's rank correlation, ties by their mean rank."""

    def ranks(values: list[float]) -> np.ndarray:
        found = np.array(values)
        return np.array([(found < v).sum() + ((found == v).sum() - 1) / 2 for v in values])

    return float(np.corrcoef(ranks(left), ranks(right))[0, 1])


def main() -> int:
    """Run the stores, print the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.self_audit")
    parser.add_argument("--stores", type=int, default=4, metavar="N", help="seeds 1 to N (4)")
    parser.add_argument("--json", action="store_true", help="end with a line of JSON")
    options = parser.parse_args()
    print(f"{'seed':>4} {'damage':<26} {'true':>5} {'counted':>7} {'share':>6} {'confidence':>10}")
    shares, believed, sound = [], [], []
    for seed in range(1, options.stores + 1):
        address = f"sim://supermarket?seed={seed}&minutes={MINUTES:g}&camera=entrance"
        record = truth.record(parse(address))
        true = crossings(record)
        for name, damage in DAMAGES.items():
            found = entrance(damage(record))
            share = min(found.count, true) / max(found.count, true)
            why = min(found.checks, key=found.checks.__getitem__)
            print(
                f"{seed:>4} {name:<26} {true:>5} {found.count:>7} {share:>6.2f}"
                f" {found.confidence:>10.2f}  {why if found.confidence < 1 else ''}",
                flush=True,
            )
            shares.append(share)
            believed.append(found.confidence)
            if name == "sound":
                sound.append(found.confidence)
    figures = {
        "rank_correlation": round(ranks_agree(shares, believed), 3),
        "mean_difference": round(float(np.abs(np.subtract(shares, believed)).mean()), 3),
        "sound_least": min(sound),
    }
    reached = figures["rank_correlation"] >= CORRELATION and figures["sound_least"] >= SOUND
    print(f"\n{figures}; reached: {'yes' if reached else 'no'}")
    if options.json:
        print(json.dumps({"ours": figures, "peers": {}, "reached": reached}))
    return 0 if reached else 1


if __name__ == "__main__":
    raise SystemExit(main())

"""Trains the detector of the rendered store: `python -m models.train_demo`.

A small convolutional network learns people's boxes on pictures that are rendered meanwhile, from
stores, crowds and cameras drawn by lot. It is written as an ONNX file in YOLOX's layout, compared
with torch, and scored through `edge.detector` in stores that training never sees.

Needs torch and onnx beside what the edge needs: the environment that `make test` sets up in
`.venv-models`.
"""

import argparse
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import torch
from torch import nn
from torch.nn import functional
from torch.optim.swa_utils import AveragedModel

from edge.detector import PAD, STRIDES, yolox_grid
from edge.simulator import Crowd, Pose, Store, View, plan
from edge.simulator.people import dressed
from models.score_demo import say, score

Floats = npt.NDArray[np.float32]
Image = npt.NDArray[np.uint8]

WIDTH, HEIGHT = 384, 224
PADDED = 8
"""Rows of grey below a picture of 640x360."""
CHANNELS = (16, 32, 64, 96, 80)
"""At strides 2, 4, 8, 16 and 32."""
NECK = 40
LIMITS = (0.0, 64.0, 128.0, np.inf)
"""A stride learns the boxes whose longer side, in pixels of the input, is within its limits."""
HEAD_END = 0.25
"""Cells round this part of a box's height, from the top, answer for it: heads and shoulders are
what shelves and other people hide least from a camera under the ceiling."""

CROWDS = {"supermarket": (20, 80), "boutique": (8, 40)}
"""How many people are in a store, before some are left out of a picture."""
FIRST_SEED = 1000
"""Stores of lower seeds are for tests and benchmarks, never for training."""
SHOTS, VIEWS = 30, 3
"""Pictures are taken from so many views at so many moments of a store."""
KEPT = 2400
"""Pictures that batches are drawn from; those of a new store replace the oldest."""
STEPS_A_STORE = 45
AHEAD = 3
SURE = 0.2
"""People of lower visibility are neither learned nor held against the network."""

BATCH = 8
STEPS_A_MINUTE = 240
"""About what one core trains while another renders."""
RATE, DECAY = 3e-3, 1e-2
WINDOW = 0.02
"""The written weights are a running mean over about this part of the steps."""

FACTS = {
    "names": "{0: 'person'}",
    "license": "Apache-2.0",
    "description": "People in Passerby's rendered stores: rendered scenes only",
}
MOVED = 0.01
"""What ONNX Runtime's answer may differ by from torch's, in strides and probabilities."""


@dataclass(frozen=True)
class Picture:
    """Pixels (height, width, 3) BGR; boxes (n, 4) xyxy in pixels and their visibility (n,)."""

    pixels: Image
    boxes: Floats
    visibility: Floats


@dataclass
class Shown:
    """People who are drawn at a time in seconds."""

    people: npt.NDArray[np.void]
    time: float


def render(seed: int) -> list[Picture]:
    """Pictures of one store, fitted into the network's input; the same seed gives the same ones."""
    rng = np.random.default_rng(seed)
    name = str(rng.choice(["supermarket", "supermarket", "boutique"]))
    store = plan(name, seed)
    crowd = Crowd(store, int(rng.integers(*CROWDS[name])), seed)
    own = [store.cameras[index][1] for index in rng.permutation(len(store.cameras))[: VIEWS - 1]]
    views = [
        View(store, pose, lens=bool(rng.random() < 0.8), noise=bool(rng.random() < 0.8))
        for pose in [*own, any_pose(store, rng)]
    ]
    pictures = []
    for _ in range(SHOTS):
        crowd.step(float(rng.uniform(0.3, 2.5)))
        for view in views:
            shown = Shown(changed(crowd.people, rng), crowd.time)
            boxes, visibility = view.boxes(shown)
            pictures.append(fitted(view.draw(shown), boxes, visibility))
    return pictures


def any_pose(store: Store, rng: np.random.Generator) -> Pose:
    """A camera anywhere under the ceiling, looking 15 to 70 degrees down into the store."""
    walls = np.array([store.width, store.depth])
    while True:
        position = (*rng.uniform(0.3, walls - 0.3).tolist(), float(rng.uniform(2.4, 5.0)))
        target = (*rng.uniform(0.0, walls).tolist(), float(rng.uniform(0.0, 1.2)))
        away = np.subtract(target, position)
        if 15 <= np.degrees(np.arctan2(-away[2], np.hypot(*away[:2]))) <= 70:
            return Pose(position, target, float(rng.uniform(60, 95)))


def changed(people: npt.NDArray[np.void], rng: np.random.Generator) -> npt.NDArray[np.void]:
    """Some or all of the people, or nobody, partly in other clothes."""
    part = float(rng.choice([1.0, rng.random(), 0.0], p=(0.7, 0.27, 0.03)))
    people = people[rng.random(len(people)) < part].copy()
    new = (rng.random(len(people)) < 0.5) & ~people["staff"]
    clothes = dressed(rng, len(people))
    for name in ("top", "bottom", "hair", "skin", "shoes", "extra", "long_hair", "short_sleeves"):
        people[name][new] = clothes[name][new]
    return people


def fitted(image: Image, boxes: Floats, visibility: npt.NDArray[np.float64]) -> Picture:
    """An image letterboxed to the top left, as `edge.detector` does it, and who is in it."""
    height, width = image.shape[:2]
    ratio = min(HEIGHT / height, WIDTH / width)
    inner = (int(width * ratio), int(height * ratio))
    pixels = np.full((HEIGHT, WIDTH, 3), PAD, np.uint8)
    pixels[: inner[1], : inner[0]] = cv2.resize(image, inner)
    within = (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
    return Picture(pixels, boxes[within] * np.float32(ratio), visibility[within].astype("f4"))


CORNERS, CELL = yolox_grid(WIDTH, HEIGHT)


def assigned(picture: Picture) -> tuple[Floats, Floats]:
    """Which cell is to answer with which box: boxes (cells, 4) and wanted objectness (cells,).

    As in FCOS (Tian et al. 2019) a box belongs to one stride by its size, and to the cells near
    one point of it: here the four whose middles are nearest to a point below the head. A cell
    that two people claim is given to the one who is seen better. Objectness is 1, 0, or NaN where
    whoever claims the cell is hardly seen.
    """
    boxes, wanted = np.zeros((len(CELL), 4), np.float32), np.zeros(len(CELL), np.float32)
    if len(picture.boxes) == 0:
        return boxes, wanted
    sides = picture.boxes[:, 2:] - picture.boxes[:, :2]
    points = picture.boxes[:, :2] + sides * np.array([0.5, HEAD_END], np.float32)
    level = np.searchsorted(LIMITS, sides.max(axis=1), side="right") - 1
    near = (np.abs((CORNERS + 0.5) * CELL - points[:, None]) < CELL).all(axis=2)
    near &= np.array(STRIDES)[level][:, None] == CELL[:, 0]
    claim = np.where(near, picture.visibility[:, None] + 1e-6, 0.0)
    owner, best = claim.argmax(axis=0), claim.max(axis=0)
    boxes[best > 0] = picture.boxes[owner[best > 0]]
    wanted[best > 0] = np.where(best[best > 0] >= SURE, 1.0, np.nan)
    return boxes, wanted


class Network(nn.Module):  # type: ignore[misc]
    """Pictures (b, 3, h, w) BGR 0..255 to YOLOX's rows (b, cells, 6).

    Plain 3x3 convolutions down to stride 32, a top-down path (Lin et al. 2017) back to 8, and at
    each of three strides one layer for boxes and one for scores (as in YOLOX).
    """

    def __init__(self) -> None:
        super().__init__()
        first, second, *rest = CHANNELS
        self.stem = nn.Sequential(convolution(3, first, 2), convolution(first, second, 2))
        self.down = nn.ModuleList(
            nn.Sequential(convolution(before, after, 2), convolution(after, after))
            for before, after in zip(CHANNELS[1:], rest, strict=False)
        )
        self.across = nn.ModuleList(convolution(channels, NECK, kernel=1) for channels in rest)
        self.both = nn.ModuleList(convolution(NECK, NECK) for _ in rest)
        self.boxes, self.scores = (
            nn.ModuleList(
                nn.Sequential(convolution(NECK, NECK), nn.Conv2d(NECK, outputs, 1)) for _ in rest
            )
            for outputs in (4, 2)
        )
        for last in self.scores:  # at first, one cell in a hundred is taken for a person
            nn.init.constant_(last[-1].bias[0], -4.6)

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        levels, found, above = [self.stem(pictures / 255)], [], None
        for down in self.down:
            levels.append(down(levels[-1]))
        for index in (2, 1, 0):
            here = self.across[index](levels[index + 1])
            if above is not None:
                here = here + functional.interpolate(above, scale_factor=2.0)
            above, both = here, self.both[index](here)
            rows = torch.cat([self.boxes[index](both), self.scores[index](both).sigmoid()], dim=1)
            found.append(rows.flatten(2))
        return torch.cat(found[::-1], dim=2).transpose(1, 2)


def convolution(before: int, after: int, stride: int = 1, kernel: int = 3) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(before, after, kernel, stride, kernel // 2, bias=False),
        nn.BatchNorm2d(after),
        nn.ReLU(),
    )


def loss(rows: torch.Tensor, boxes: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """Of rows (b, cells, 6), against boxes (b, cells, 4) and objectness (b, cells).

    As YOLOX (Ge et al. 2021): cross-entropy for objectness everywhere, and where there is somebody
    for the class too, with a box's IoU as its target; for boxes, generalised IoU (Rezatofighi et
    al. 2019) and the L1 distance in strides and log strides.
    """
    corners, strides = torch.from_numpy(CORNERS), torch.from_numpy(CELL)
    known, taken = ~wanted.isnan(), wanted == 1
    count = max(int(taken.sum()), 1)
    objectness = functional.binary_cross_entropy(
        rows[..., 4][known], wanted[known], reduction="sum"
    )
    corners, strides = (each.expand(len(rows), -1, -1)[taken] for each in (corners, strides))
    found, truth = rows[taken], boxes[taken]
    sides = (truth[:, 2:] - truth[:, :2]).clamp(min=1.0)
    middles = (truth[:, 2:] + truth[:, :2]) / 2
    centre, size = (found[:, :2] + corners) * strides, found[:, 2:4].clamp(max=5).exp() * strides
    overlap, generalised = ious(torch.cat([centre - size / 2, centre + size / 2], dim=1), truth)
    quality = functional.binary_cross_entropy(found[:, 5], overlap.detach(), reduction="sum")
    exact = torch.cat([middles / strides - corners, (sides / strides).log()], dim=1)
    distance = functional.l1_loss(found[:, :4], exact, reduction="sum")
    return (objectness + quality + 8 * (1 - generalised).sum() + 2 * distance) / count


def ious(boxes: torch.Tensor, others: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """IoU and generalised IoU (n,) of boxes (n, 4) with others (n, 4), pair by pair."""
    common = (
        (torch.minimum(boxes[:, 2:], others[:, 2:]) - torch.maximum(boxes[:, :2], others[:, :2]))
        .clamp(min=0)
        .prod(1)
    )
    hull = (
        torch.maximum(boxes[:, 2:], others[:, 2:]) - torch.minimum(boxes[:, :2], others[:, :2])
    ).prod(1)
    union = sum((each[:, 2:] - each[:, :2]).prod(1) for each in (boxes, others)) - common + 1e-6
    return common / union, common / union - (hull - union) / (hull + 1e-6)


def batches(steps: int, seed: int) -> Iterator[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
    """Pictures (b, 3, h, w), boxes (b, cells, 4) and objectness (b, cells) for every step.

    One process renders store after store meanwhile. How many have been taken in depends on the
    step alone, never on how fast it is.
    """
    rng = np.random.default_rng(seed)
    seeds = iter(range(FIRST_SEED + 100_000 * seed, FIRST_SEED + 100_000 * (seed + 1)))
    with ProcessPoolExecutor(1, get_context("spawn"), cv2.setNumThreads, (1,)) as pool:
        coming = deque(pool.submit(render, next(seeds)) for _ in range(AHEAD))
        kept: list[Picture] = []
        for step in range(steps):
            if step % STEPS_A_STORE == 0:
                kept = (kept + coming.popleft().result())[-KEPT:]
                coming.append(pool.submit(render, next(seeds)))
            chosen = [varied(kept[index], rng) for index in rng.integers(len(kept), size=BATCH)]
            pictures = torch.from_numpy(np.stack([each.pixels for each in chosen]))
            boxes, wanted = map(np.stack, zip(*map(assigned, chosen), strict=True))
            yield (
                pictures.permute(0, 3, 1, 2).float(),
                torch.from_numpy(boxes),
                torch.from_numpy(wanted),
            )
        pool.shutdown(cancel_futures=True)


def varied(picture: Picture, rng: np.random.Generator) -> Picture:
    """The picture mirrored or not, in another light, and of more or less contrast and colour."""
    pixels, boxes = picture.pixels.copy(), picture.boxes
    colour, contrast, light = rng.uniform((0.75, 0.85, -18), (1.25, 1.15, 18))
    mixed = colour * np.eye(3) + (1 - colour) / 3
    mixed *= contrast * rng.uniform(0.95, 1.05, (3, 1))
    shifts = np.full((3, 1), light + (1 - contrast) * PAD)
    taken = pixels[: HEIGHT - PADDED]
    cv2.transform(taken, np.hstack([mixed, shifts]), dst=taken)
    if rng.random() < 0.5:
        pixels = pixels[:, ::-1]
        boxes = np.stack([WIDTH - boxes[:, 2], boxes[:, 1], WIDTH - boxes[:, 0], boxes[:, 3]], 1)
    return Picture(pixels, boxes, picture.visibility)


def trained(minutes: float, seed: int) -> nn.Module:
    """A network after about so many minutes; its weights are a running mean of the trained ones."""
    torch.manual_seed(seed)
    torch.set_num_threads(1)
    steps = max(round(minutes * STEPS_A_MINUTE), 10)
    network = Network().to(memory_format=torch.channels_last)
    mean = AveragedModel(
        network,
        avg_fn=lambda old, new, count: old + (new - old) / min(count + 1, WINDOW * steps),
        use_buffers=True,
    )
    optimiser = torch.optim.AdamW(network.parameters(), lr=RATE, weight_decay=DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, RATE, steps, pct_start=0.06, anneal_strategy="cos"
    )
    start, total = time.monotonic(), 0.0
    for step, (pictures, boxes, wanted) in enumerate(batches(steps, seed), start=1):
        now = loss(network(pictures), boxes, wanted)
        optimiser.zero_grad()
        now.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 10.0)
        optimiser.step()
        schedule.step()
        mean.update_parameters(network)
        total += now.item()
        if step % 100 == 0:
            passed = (time.monotonic() - start) / 60
            say(f"step {step} of {steps}, {passed:.1f} minutes, loss {total / 100:.3f}")
            total = 0.0
    return mean.module.eval()


def write(network: nn.Module, out: Path) -> float:
    """Writes the ONNX file, whole or not at all; how far ONNX Runtime is from torch at most."""
    pictures = torch.rand(1, 3, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(0)) * 255
    part = out.with_name(f".{out.name}.part")
    torch.onnx.export(
        network,
        (pictures,),
        part,
        opset_version=17,
        dynamo=False,
        input_names=["images"],
        output_names=["output"],
    )
    graph = onnx.load(part)
    onnx.helper.set_model_props(graph, FACTS)
    onnx.checker.check_model(graph)
    onnx.save(graph, part)
    session = onnxruntime.InferenceSession(part, providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {"images": pictures.numpy()})
    with torch.inference_mode():
        apart = float(np.abs(found - network(pictures).numpy()).max())
    if not apart <= MOVED:
        part.unlink()
        raise SystemExit(f"ONNX Runtime differs from torch by {apart:.2g}, and {MOVED} is the most")
    part.replace(out)
    return apart


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m models.train_demo", description=__doc__)
    parser.add_argument("--minutes", type=float, default=36.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("models/demo.onnx"))
    options = parser.parse_args(arguments)
    cv2.setNumThreads(1)
    apart = write(trained(options.minutes, options.seed), options.out)
    say(f"{options.out}: {options.out.stat().st_size} bytes, {apart:.1g} from torch at most")
    score(options.out)


if __name__ == "__main__":
    main()

"""Trains the detector of the rendered store: `python -m models.train_demo`.

A small convolutional network learns people's boxes on pictures that are rendered meanwhile, from
stores, crowds and cameras drawn by lot. It is written as an ONNX file in YOLOX's layout, compared
with torch, and scored through `edge.detector` in stores that training never sees. The file is
written anew every few minutes, so that a run that is stopped leaves what it had come to.

Needs torch and onnx beside what the edge needs: the environment that `make test` sets up in
`.venv-models`.
"""

import argparse
import math
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import count
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

WIDTH, HEIGHT = 448, 256
PADDED = 4
"""Rows of grey below a picture of 640x360."""
CHANNELS = (16, 32, 64, 96, 80)
"""At strides 2, 4, 8, 16 and 32."""
NECK = 40
LIMITS = (0.0, 80.0, 176.0, np.inf)
"""A stride learns the boxes whose longer side, in pixels of the input, is within its limits."""
HEAD_END = 0.25
"""Cells round this part of a box's height, from the top, may answer for it: heads and shoulders
are what shelves and other people hide least from a camera under the ceiling."""
FIT = 0.7
"""Which of its cells is to answer for a person: the best by score^(1 - FIT) x IoU^FIT."""
EVEN = 0.6
"""Scores are raised to this power in use. Cells that are told to leave a person to the best among
them trust themselves too little; now 0.35, from where the edge counts boxes, loses few people."""

CROWDS = {"supermarket": (20, 80), "boutique": (8, 40)}
"""How many people are in a store, before some are left out of a picture."""
FIRST_SEED = 1000
"""Stores of lower seeds are for tests and benchmarks, never for training."""
SHOTS, VIEWS = 36, 4
"""Pictures are taken from so many views at so many moments of a store."""
KEPT = 12_000
"""Pictures that batches are drawn from; those of a new store replace the oldest."""
STEPS_A_STORE = 60
AHEAD = 3
SURE = 0.2
"""People of lower visibility are neither learned nor held against the network."""

BATCH = 16
STEPS = 12_000
RATE, DECAY, WARM_UP = 3e-3, 2e-2, 0.05
MEAN_OF = 300
"""The written weights are a running mean over about so many steps."""
WRITTEN = 5.0
"""Minutes from one written file to the next."""

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
GRIDS = np.array([(WIDTH // stride, HEIGHT // stride) for stride in STRIDES])
FIRST = np.cumsum([0, *GRIDS.prod(axis=1)[:-1]])
"""Of each stride, how many cells are side by side and below each other, and the first one's row."""
NEAR = np.array([(0, 0), (1, 0), (0, 1), (1, 1)])
"""The cells whose middles are nearest to a point, from the one to the left and above."""


def assigned(picture: Picture) -> tuple[Floats, npt.NDArray[np.int64]]:
    """Which cell may answer with which box: boxes (cells, 4) and whose they are (cells,).

    As in FCOS (Tian et al. 2019) a box belongs to one stride by its size, and to the cells near
    one point of it: here the four whose middles are nearest to a point below the head. A cell
    that two people claim is given to the one who is seen better. Whose: a row of the picture's
    boxes, -1 for nobody's, -2 where whoever claims the cell is hardly seen.
    """
    boxes, whose = np.zeros((len(CELL), 4), np.float32), np.full(len(CELL), -1)
    sides = picture.boxes[:, 2:] - picture.boxes[:, :2]
    points = picture.boxes[:, :2] + sides * np.array([0.5, HEAD_END], np.float32)
    level = np.searchsorted(LIMITS, sides.max(axis=1, initial=0.0), side="right") - 1
    grid = GRIDS[level, None]
    near = np.floor(points / np.array(STRIDES)[level, None] - 0.5).astype(int)[:, None] + NEAR
    inside = ((near >= 0) & (near < grid)).all(axis=2)
    cells = FIRST[level, None] + near[..., 1] * grid[..., 0] + near[..., 0]
    # The last one who claims a cell has it.
    for row in np.argsort(picture.visibility):
        mine = cells[row, inside[row]]
        boxes[mine] = picture.boxes[row]
        whose[mine] = row if picture.visibility[row] >= SURE else -2
    return boxes, whose


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
            scores = self.scores[index](both).float().sigmoid()
            if not self.training:
                scores = scores**EVEN
            rows = torch.cat([self.boxes[index](both).float(), scores], dim=1)
            found.append(rows.flatten(2))
        return torch.cat(found[::-1], dim=2).transpose(1, 2)


def convolution(before: int, after: int, stride: int = 1, kernel: int = 3) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(before, after, kernel, stride, kernel // 2, bias=False),
        nn.BatchNorm2d(after),
        nn.ReLU(),
    )


def loss(rows: torch.Tensor, boxes: torch.Tensor, whose: torch.Tensor) -> torch.Tensor:
    """Of rows (b, cells, 6), against boxes (b, cells, 4) and whose they are (b, cells).

    All of a person's cells learn the box, by generalised IoU (Rezatofighi et al. 2019) and the L1
    distance in strides and log strides, and by the class how well theirs fits (its IoU), as in
    YOLOX (Ge et al. 2021). Objectness is wanted of the best of them alone (Wang et al. 2021, "End
    to end object detection with fully convolutional network"), so that nobody is found twice.
    """
    corners, strides = torch.from_numpy(CORNERS), torch.from_numpy(CELL)
    taken = whose >= 0
    corners, strides = (each.expand(len(rows), -1, -1)[taken] for each in (corners, strides))
    found, truth = rows[taken], boxes[taken]
    sides = (truth[:, 2:] - truth[:, :2]).clamp(min=1.0)
    middles = (truth[:, 2:] + truth[:, :2]) / 2
    centre, size = (found[:, :2] + corners) * strides, found[:, 2:4].clamp(max=5).exp() * strides
    overlap, generalised = ious(torch.cat([centre - size / 2, centre + size / 2], dim=1), truth)
    quality = functional.binary_cross_entropy(found[:, 5], overlap.detach(), reduction="sum")
    exact = torch.cat([middles / strides - corners, (sides / strides).log()], dim=1)
    distance = functional.l1_loss(found[:, :4], exact, reduction="sum")

    most = int(whose.max()) + 1
    person = (whose + most * torch.arange(len(whose))[:, None])[taken]
    fit = (found[:, 4] ** (1 - FIT) * overlap.clamp(min=1e-3) ** FIT).detach()
    best = torch.zeros(most * len(whose)).scatter_reduce(0, person, fit, "amax")
    wanted = torch.zeros(whose.shape)
    wanted[taken] = (fit == best[person]).float()
    known = whose > -2
    objectness = functional.binary_cross_entropy(
        rows[..., 4][known], wanted[known], reduction="sum"
    )
    cells, people = max(len(found), 1), max(int(best.count_nonzero()), 1)
    return objectness / people + (quality + 8 * (1 - generalised).sum() + 2 * distance) / cells


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


def batches(seed: int) -> Iterator[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
    """Pictures (b, 3, h, w), boxes (b, cells, 4) and whose (b, cells) for step after step.

    One process renders store after store meanwhile. How many have been taken in depends on the
    step alone, never on how fast it is.
    """
    rng = np.random.default_rng(seed)
    seeds = iter(range(FIRST_SEED + 100_000 * seed, FIRST_SEED + 100_000 * (seed + 1)))
    with ProcessPoolExecutor(1, get_context("spawn"), cv2.setNumThreads, (1,)) as pool:
        coming = deque(pool.submit(render, next(seeds)) for _ in range(AHEAD))
        kept: list[Picture] = []
        try:
            for step in count():
                if step % STEPS_A_STORE == 0:
                    kept = (kept + coming.popleft().result())[-KEPT:]
                    coming.append(pool.submit(render, next(seeds)))
                chosen = [varied(kept[one], rng) for one in rng.integers(len(kept), size=BATCH)]
                pictures = torch.from_numpy(np.stack([each.pixels for each in chosen]))
                boxes, whose = map(np.stack, zip(*map(assigned, chosen), strict=True))
                yield pictures.permute(0, 3, 1, 2), torch.from_numpy(boxes), torch.from_numpy(whose)
        finally:
            pool.shutdown(cancel_futures=True)


def varied(picture: Picture, rng: np.random.Generator) -> Picture:
    """The picture mirrored or not, in another light, and half the time nearer, farther or aside."""
    pixels, boxes, visibility = picture.pixels.copy(), picture.boxes, picture.visibility
    taken = pixels[: HEIGHT - PADDED]
    colour, contrast, light = rng.uniform((0.75, 0.85, -18), (1.25, 1.15, 18))
    mixed = colour * np.eye(3) + (1 - colour) / 3
    mixed *= contrast * rng.uniform(0.95, 1.05, (3, 1))
    shifts = np.full((3, 1), light + (1 - contrast) * PAD)
    cv2.transform(taken, np.hstack([mixed, shifts]), dst=taken)
    if rng.random() < 0.5:
        pixels[:] = pixels[:, ::-1].copy()
        boxes = np.stack([WIDTH - boxes[:, 2], boxes[:, 1], WIDTH - boxes[:, 0], boxes[:, 3]], 1)
    if rng.random() < 0.5:
        size = np.array([WIDTH, HEIGHT - PADDED])
        zoom = rng.uniform(0.8, 1.25)
        aside = rng.uniform(-0.1, 0.1, 2) * size + rng.random(2) * size * (1 - zoom)
        matrix = np.array([[zoom, 0, aside[0]], [0, zoom, aside[1]]])
        taken[:] = cv2.warpAffine(taken, matrix, (WIDTH, len(taken)), borderValue=(PAD,) * 3)
        moved = (zoom * boxes + np.tile(aside, 2)).astype(np.float32)
        boxes = moved.clip(0, np.tile(size, 2)).astype(np.float32)
        areas = [(each[:, 2:] - each[:, :2]).prod(axis=1) for each in (boxes, moved)]
        visibility = visibility * (areas[0] / areas[1])
        within = (boxes[:, 2:] - boxes[:, :2] > 1).all(axis=1)
        boxes, visibility = boxes[within], visibility[within]
    return Picture(pixels, boxes, visibility)


def trained(minutes: float, seed: int, out: Path) -> nn.Module:
    """A network after `STEPS`, or sooner where they would take longer than the minutes.

    Its weights are a running mean of the trained ones.
    """
    torch.manual_seed(seed)
    # The other core renders; threads that share a busy machine wait for each other.
    torch.set_num_threads(1)
    network = Network().to(memory_format=torch.channels_last)
    mean = AveragedModel(
        network,
        avg_fn=lambda old, new, count: old + (new - old) / min(count + 1, MEAN_OF),
        use_buffers=True,
    ).eval()
    optimiser = torch.optim.AdamW(network.parameters(), lr=RATE, weight_decay=DECAY)
    start, written, total = time.monotonic(), 0.0, 0.0
    for step, (pictures, boxes, whose) in enumerate(batches(seed), start=1):
        passed = (time.monotonic() - start) / 60
        progress = max(step / STEPS, passed / minutes)
        if progress >= 1:
            break
        for group in optimiser.param_groups:
            group["lr"] = rate(progress)
        # In half the time: the layers reckon in bfloat16, the loss in float32.
        with torch.autocast("cpu", torch.bfloat16):
            rows = network(pictures.float())
        now = loss(rows, boxes, whose)
        optimiser.zero_grad()
        now.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 10.0)
        optimiser.step()
        mean.update_parameters(network)
        total += now.item()
        if step % 100 == 0:
            say(f"step {step}, {passed:.1f} minutes, {progress:.1%}, loss {total / 100:.3f}")
            total = 0.0
        if passed - written > WRITTEN:
            write(mean.module, out)
            written = passed
    return mean.module


def rate(progress: float) -> float:
    """The learning rate after this part, 0 to 1, of the training: a short rise, then a cosine."""
    rest = max(progress - WARM_UP, 0) / (1 - WARM_UP)
    return RATE * min(progress / WARM_UP, 1.0) * (1 + math.cos(math.pi * rest)) / 2


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
    parser.add_argument("--minutes", type=float, default=60.0, help="at most (60)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("models/demo.onnx"))
    options = parser.parse_args(arguments)
    cv2.setNumThreads(1)
    apart = write(trained(options.minutes, options.seed, options.out), options.out)
    say(f"{options.out}: {options.out.stat().st_size} bytes, {apart:.1g} from torch at most")
    score(options.out)


if __name__ == "__main__":
    main()

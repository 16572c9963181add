"""Ways round the shelves: from anywhere in a store towards each place that people go to."""

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt

from edge.simulator.store import STREET, Rectangle, Store

Floats = npt.NDArray[np.float64]

CELL = 0.25
FINE = 0.05
BODY = 0.22
"""Nobody's middle comes nearer to a shelf or wall than this, in metres."""
MARGIN = 2.5
"""The street goes on beyond the store's sides by this."""
AHEAD = (3, 6, 9, 12)
"""So many cells along a way one looks for a place that can be walked to in a straight line."""


@dataclass(frozen=True)
class Paths:
    """Where to walk.

    `aims` (destinations, rows, columns, 2): from the cell of `CELL` metres that one is in, walk
    straight to this point. `free` (rows, columns): which cells of `FINE` metres one may be in.
    Both grids begin at `origin`.
    """

    origin: Floats
    aims: npt.NDArray[np.float32]
    free: npt.NDArray[np.bool_]

    def aim(self, destinations: npt.NDArray[np.int64], points: Floats) -> Floats:
        """(n, 2) points to walk to in a straight line, on the way from `points` (n, 2)."""
        cells = ((points - self.origin) * (1 / CELL)).astype(np.int64)
        return np.asarray(self.aims[destinations, cells[:, 1], cells[:, 0]], np.float64)

    def clear(self, points: Floats) -> npt.NDArray[np.bool_]:
        """(n,) whether one may stand at `points` (n, 2)."""
        cells = ((points - self.origin) * (1 / FINE)).astype(np.int64)
        return np.asarray(self.free[cells[:, 1], cells[:, 0]])


def blocked(store: Store) -> list[Rectangle]:
    """The floor that shelves, walls, tills and glass stand on."""
    return [
        (box.low[0], box.low[1], box.high[0], box.high[1])
        for box in store.boxes
        if box.low[2] < 1.5
    ]


def destinations(store: Store) -> list[tuple[float, float]]:
    """Where people go: the displays, the entries of the tills' lanes, the cashiers' places and the
    two ends of the street, in this order."""
    middles = [
        ((area[0] + area[2]) / 2, (area[1] + area[3]) / 2)
        for area in (display.area for display in store.displays)
    ]
    y = store.depth + STREET / 2
    return [
        *middles,
        *(till.entry for till in store.tills),
        *(till.cashier for till in store.tills),
        (-MARGIN + 0.4, y),
        (store.width + MARGIN - 0.4, y),
    ]


@lru_cache(maxsize=8)
def paths(store: Store) -> Paths:
    """The cheapest ways over a store's floor on a grid; kept for the stores last asked for.

    The floor near shelves costs more, so that ways keep to the middle of an aisle, and the lanes
    of the tills cost most, so that nobody takes them for a short cut.
    """
    origin = np.array([-MARGIN, -0.5])
    size = np.array([store.width + 2 * MARGIN, store.depth + STREET + 0.5 + 0.3])
    columns, rows = np.ceil(size / CELL).astype(int)
    scale = round(CELL / FINE)
    grid = np.full((rows * scale, columns * scale), 255, np.uint8)
    # Closed all round, so that nobody leaves the grid.
    grid[[0, -1]], grid[:, [0, -1]] = 0, 0
    for left, top, right, bottom in blocked(store):
        first = np.floor((np.array([left, top]) - origin) / FINE).astype(int).clip(0)
        last = np.ceil((np.array([right, bottom]) - origin) / FINE).astype(int).clip(0)
        grid[first[1] : last[1], first[0] : last[0]] = 0
    end = int((store.depth + STREET - origin[1]) / FINE)
    grid[end:] = 0
    away = cv2.distanceTransform(grid, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    # Squares of whole steps: OpenCV's last digit depends on how many threads it has, and a way that
    # turns on it would not follow from the seed.
    clearance = np.sqrt(np.rint(away.astype(np.float64) ** 2)) * FINE
    # A cell counts by its middle, and so does what stands: half a diagonal each.
    free = clearance > BODY + 1.5 * FINE
    middle = scale // 2
    coarse = clearance[middle::scale, middle::scale]
    cost = 1.0 + 4.0 * np.clip(0.65 - coarse, 0, None)
    ys, xs = np.mgrid[:rows, :columns] * CELL + CELL / 2 + origin[::-1, None, None]
    for till in store.tills:
        for area in (till.queue, till.service, till.staff):
            lane = (xs > area[0] - 0.1) & (xs < area[2] + 0.1)
            cost[lane & (ys > area[1] + 0.2) & (ys < area[3])] *= 5.0
    open_ = free[middle::scale, middle::scale]
    where = destinations(store)
    following = _descend(cost, open_, origin, where)
    aims = _straighten(following, free, origin, where, (rows, columns))
    return Paths(origin, aims, free)


MOVES = [(dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1) if dy or dx]


def _descend(
    cost: Floats, open_: npt.NDArray[np.bool_], origin: Floats, where: list[tuple[float, float]]
) -> npt.NDArray[np.int64]:
    """(destinations, cells) the next cell of each cell on its cheapest way, by Bellman and Ford."""
    rows, columns = cost.shape
    far = np.full((len(where), rows + 2, columns + 2), np.inf, np.float32)
    for index, (x, y) in enumerate(where):
        column, row = ((np.array([x, y]) - origin) / CELL).astype(int) + 1
        far[index, row, column] = 0.0
    inner = far[:, 1:-1, 1:-1]
    price = np.where(open_, cost, np.inf).astype(np.float32)
    while True:
        before = inner.copy()
        for dy, dx in MOVES:
            step = np.float32(np.hypot(dy, dx))
            there = far[:, 1 + dy : rows + 1 + dy, 1 + dx : columns + 1 + dx]
            np.minimum(inner, there + step * price, out=inner)
        if np.array_equal(before, inner):
            break
    # One who was jostled into a closed cell goes to its best neighbour.
    best = np.full(inner.shape, np.inf, np.float32)
    following = np.broadcast_to(np.arange(rows * columns).reshape(rows, columns), best.shape).copy()
    cells = following.copy()
    for dy, dx in MOVES:
        there = far[:, 1 + dy : rows + 1 + dy, 1 + dx : columns + 1 + dx]
        there = there + np.float32(np.hypot(dy, dx)) * np.minimum(price, np.float32(9.0))
        better = there < best
        best[better] = there[better]
        following[better] = (cells + dy * columns + dx)[better]
    following[inner == 0] = cells[inner == 0]
    return following.reshape(len(where), -1)


def _straighten(
    following: npt.NDArray[np.int64],
    free: npt.NDArray[np.bool_],
    origin: Floats,
    where: list[tuple[float, float]],
    shape: tuple[int, int],
) -> npt.NDArray[np.float32]:
    """The farthest cell ahead on each way that can be seen over free floor."""
    count, cells = following.shape
    rows, columns = shape
    scale, width = round(CELL / FINE), free.shape[1]
    row, column = np.divmod(np.arange(cells, dtype=np.int32), columns)
    row, column = row * scale + scale // 2, column * scale + scale // 2
    aim = ahead = following
    seen = np.ones((count, cells), np.bool_)
    open_ = free.ravel()
    for step in range(2, AHEAD[-1] + 1):
        ahead = np.take_along_axis(following, ahead, axis=1)
        if step not in AHEAD:
            continue
        down, across = row[ahead] - row, column[ahead] - column
        # About a cell from one look to the next.
        for look in range(1, step + 1):
            seen &= open_[(row + down * look // step) * width + column + across * look // step]
        aim = np.where(seen, ahead, aim)
    middles = np.stack([column, row], axis=1).astype(np.float32) * np.float32(FINE)
    aims = middles[aim] + origin.astype(np.float32)
    for index, place in enumerate(where):
        at = np.array(place) - origin
        column, row = (at / CELL).astype(int)
        aims[index][aim[index] == row * columns + column] = place
    return aims.reshape(count, rows, columns, 2)

"""How people move in a tenth of a second: towards where they go, past each other, round shelves.

A social force (Helbing and Molnar 1995) with a pull to the wanted velocity and a push from those
who are near; shelves and walls are not forces but hold exactly.
"""

import numpy as np
import numpy.typing as npt

from edge.simulator.paths import Paths
from edge.simulator.people import CYCLE, PERSON, Floats

TICK = 0.1
PASSING, WALKING, LOOKING, HEADING, QUEUEING, SERVED, LEAVING, POSTED = range(8)
"""What somebody does: passes by on the street, walks to a display, looks at it, heads for a till,
waits there, is served, leaves the store, stands at a till as its cashier."""

ROW = np.dtype(
    [
        *PERSON.descr,
        ("group", "i8"),
        ("state", "i8"),
        ("till", "i8"),
        ("target", "i8"),
        ("exit", "i8"),
        ("velocity", "f8", 2),
        ("before", "f8", 2),
        ("turned", "f8"),
        ("spot", "f8", 2),
        ("facing", "f8"),
        ("speed", "f8"),
        ("until", "f8"),
        ("budget", "f8"),
        ("since", "f8"),
        ("patience", "f8"),
        ("tries", "i8"),
        ("buys", "?"),
    ]
)
"""A person with a mind: `target` of `edge.simulator.paths.destinations`, the `spot` to stand on and
where to look from it (`facing`), what was before this tick (`before`, `turned`), times in seconds:
`until` when, `since` when, shopping up to `budget`."""


def _table(*states: int) -> npt.NDArray[np.bool_]:
    table = np.zeros(8, np.bool_)
    table[list(states)] = True
    return table


_DIRECT = _table(PASSING, LOOKING, QUEUEING, SERVED)
_BRISK = _table(PASSING, LEAVING, HEADING)
_FIRM = _table(LOOKING, QUEUEING, SERVED, POSTED)
_FACES = _table(LOOKING, WALKING, QUEUEING, SERVED, POSTED)
REACH = 0.85
"""Metres within which people make room for each other."""
NEAR = 1.4
"""Within this of one's spot, one goes straight to it."""
PUSHES = 90.0
"""Who has been on the way out for so many seconds no longer makes room."""


def move(rows: npt.NDArray[np.void], paths: Paths, now: float) -> Floats:
    """Move everybody by a tick; (n,) metres that each was from their spot."""
    state, heading = rows["state"], rows["heading"]
    position = rows["position"].copy()
    rows["before"], rows["turned"] = position, heading
    spot = rows["spot"]
    gap = spot - position
    distance = np.hypot(gap[:, 0], gap[:, 1])
    direct = _DIRECT[state] | (distance < NEAR)
    way = np.where(direct[:, None], gap, paths.aim(rows["target"], position) - position)
    length = np.hypot(way[:, 0], way[:, 1])
    pace = rows["speed"] * np.where(_BRISK[state], 1.0, np.minimum(distance * (1 / 0.6), 1.0))
    wanted = way * (pace / np.maximum(length, 1e-6))[:, None]
    firm = np.where(_FIRM[state] & (distance < 0.5), 0.12, 1.0)
    firm[(state == LEAVING) & (now - rows["since"] > PUSHES)] = 0.2
    wanted += _room(position) * firm[:, None]
    velocity = rows["velocity"]
    velocity = velocity + (wanted - velocity) * (TICK / 0.35)
    fast = np.hypot(velocity[:, 0], velocity[:, 1])
    slower = np.minimum(1.0, 1.6 / np.maximum(fast, 1e-6))
    slower[(fast < 0.05) & (distance < 0.1)] = 0.0
    moved = _slide(paths, position, position + velocity * (slower * TICK)[:, None])
    velocity = (moved - position) * (1 / TICK)
    rows["position"], rows["velocity"] = moved, velocity
    fast = np.hypot(velocity[:, 0], velocity[:, 1])
    rows["pace"] += (fast - rows["pace"]) * 0.4
    rows["phase"] += rows["pace"] * (TICK * 2 * np.pi / CYCLE)
    standing = distance < 0.35
    ahead = np.where(fast > 0.15, np.arctan2(velocity[:, 1], velocity[:, 0]), heading)
    toward = np.where(standing & _FACES[state], rows["facing"], ahead)
    turn = (toward - heading + np.pi) % (2 * np.pi) - np.pi
    rows["heading"] += np.minimum(np.maximum(turn, -0.4), 0.4) * 0.6
    beat = np.sin(now * 0.55 + rows["id"] * 2.399)
    reaching = standing & ((state == LOOKING) & (beat > 0.35) | (state == POSTED))
    hand = np.where(reaching, np.minimum(np.maximum(beat * 1.3, 0.4), 1.0), 0.0)
    rows["reach"] += (hand - rows["reach"]) * 0.15
    return np.asarray(distance)


def _room(position: Floats) -> Floats:
    """(n, 2) what nearness to others adds to the wanted velocity."""
    x, y = np.ascontiguousarray(position.T)
    dx, dy = x[:, None] - x, y[:, None] - y
    near = np.sqrt(dx * dx + dy * dy)
    np.fill_diagonal(near, REACH)
    first, second = np.nonzero(near < REACH)
    away = np.zeros_like(position)
    if not len(first):
        return away
    near = np.maximum(near[first, second], 0.1)
    push = np.minimum(REACH - near, 0.5) * (1.7 / near)
    away[:, 0] = np.bincount(first, dx[first, second] * push, len(x))
    away[:, 1] = np.bincount(first, dy[first, second] * push, len(x))
    # A step to the right as well, so that two who meet head-on pass each other.
    away += 0.45 * np.stack([-away[:, 1], away[:, 0]], axis=1)
    size = np.hypot(away[:, 0], away[:, 1])
    return np.asarray(away * (np.minimum(size, 0.7) / np.maximum(size, 1e-6))[:, None])


def _slide(paths: Paths, here: Floats, there: Floats) -> Floats:
    """Where people get to: along a shelf rather than into it."""
    clear = paths.clear(there)
    if clear.all():
        return there
    held = np.flatnonzero(~clear)
    start, end = here[held], there[held]
    result = start.copy()
    for one in (
        np.stack([start[:, 0], end[:, 1]], axis=1),
        np.stack([end[:, 0], start[:, 1]], axis=1),
    ):
        fits = paths.clear(one)
        result[fits] = one[fits]
    there[held] = result
    return there

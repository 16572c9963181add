"""The people of a store: who comes, what they look at, where they queue, when they leave."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edge.simulator import motion
from edge.simulator.motion import (
    HEADING,
    LEAVING,
    LOOKING,
    PASSING,
    POSTED,
    QUEUEING,
    ROW,
    SERVED,
    TICK,
    WALKING,
)
from edge.simulator.paths import MARGIN, paths
from edge.simulator.people import CYCLE, PERSON, Floats, dressed
from edge.simulator.store import STREET, Store

WARM_UP = 600
"""Ticks before the crowd is first shown."""
BUYERS = 0.5
"""The share of shoppers, alone or in a group, who go to a till."""
SERVICE = (20.0, 0.35)
"""Median seconds of a purchase at the till, and the spread of its logarithm (a log-normal)."""
PACKING = (4.0, 0.3)
"""The same for those who accompany the buyer."""
DWELL = (9.0, 0.7)
RESTOCK = (35.0, 0.4)
PATIENCE = (150.0, 0.35)
BASKET = (18.0, 0.7)
"""The same for the value of a sale."""
GROUPS = (0.72, 0.2, 0.08)
"""The shares of shoppers who come as one, two and three."""
BUSY = 0.6
"""The share of their time that tills are in use, at most, without a rush."""
RUSH = 3.0
PASSERS_BY = 0.12
"""People a second who pass the store."""
AGAIN = 25.0
"""Seconds of more shopping for those who find the queues full, up to `TRIES` times."""
TRIES = 3

Rows = npt.NDArray[np.void]
Interval = tuple[float, float]
TillInterval = tuple[int, float, float]


@dataclass(frozen=True)
class Turn:
    """One person's turn at a till, in seconds from the start.

    Joined: stepped into the queue. Served: stood at the till, and the service began; None for one
    who gave up waiting. Left: was done, or gave up. `value` is what the till recorded, None where
    it recorded nothing.
    """

    till: int
    person: int
    joined: float
    served: float | None
    left: float
    value: float | None

    @property
    def wait(self) -> float:
        """Seconds in the queue."""
        return (self.left if self.served is None else self.served) - self.joined

    @property
    def service(self) -> float | None:
        """Seconds at the till; None for one who gave up."""
        return None if self.served is None else self.left - self.served


class Crowd:
    """The people in and before a store, by a seed: the same arguments give the same people.

    Args:
        store: where they are.
        people: how many are in the store on average, staff not counted.
        seed: whom they are and what they do.
        rush: intervals in seconds with three times the arrivals.
        empty: intervals in which a till (its number, from 1) has no cashier.
        stopped: intervals in which a till records no sale.

    Attributes: `time` in seconds; `turns` at the tills that have ended since the start.
    """

    def __init__(
        self,
        store: Store,
        people: int = 40,
        seed: int = 0,
        *,
        rush: Sequence[Interval] = (),
        empty: Sequence[TillInterval] = (),
        stopped: Sequence[TillInterval] = (),
    ) -> None:
        self.store = store
        self.turns: list[Turn] = []
        self._paths = paths(store)
        self._rng = np.random.default_rng([seed, store.seed, people])
        self._looks = np.random.default_rng([seed, store.seed, people, 1])
        self._rush, self._empty, self._stopped = rush, empty, stopped
        self._queues: list[list[int]] = [[] for _ in store.tills]
        self._rows = np.zeros(0, ROW)
        self._next_id = 1
        # By Little's law: people = arrivals a second x seconds of a stay.
        size = sum(size * share for size, share in enumerate(GROUPS, start=1))
        fastest = BUSY * len(store.tills) * size / (BUYERS * _mean(SERVICE))
        rate = min(people / store.stay, fastest)
        self._shopping = people / rate - (store.stay - store.shopping)
        self._rate = rate / size
        self._tick = -WARM_UP
        self._hire()
        self._fill(people)
        self._due = self._now + self._rng.exponential(1 / self._rate)
        self._due_passing = self._now
        for _ in range(WARM_UP):
            self._step()
        self.turns.clear()
        self.time = 0.0

    @property
    def people(self) -> Rows:
        """Everybody now, a row each, by id; see `edge.simulator.people.PERSON`.

        The next step may change the rows: copy what is to be kept.
        """
        ahead = self._tick - self.time / TICK
        if ahead < 1e-6:
            return self._rows
        rows = self._rows.copy()
        rows["position"] -= ahead * (rows["position"] - rows["before"])
        rows["heading"] -= ahead * (rows["heading"] - rows["turned"])
        rows["phase"] -= ahead * rows["pace"] * (TICK * 2 * np.pi / CYCLE)
        return rows

    @property
    def waiting(self) -> list[int]:
        """How many are in each till's queue, with the one who is served."""
        return [len(queue) for queue in self._queues]

    def step(self, seconds: float = TICK) -> None:
        """Go on by some seconds. The crowd moves in ticks of its own, and is shown in between."""
        self.time = round(self.time + seconds, 6)
        while self._now < self.time - 1e-6:
            self._step()

    @property
    def _now(self) -> float:
        return self._tick / 10

    def _draw(self, kind: tuple[float, float]) -> float:
        return kind[0] * math.exp(kind[1] * self._rng.standard_normal())

    def _step(self) -> None:
        self._tick += 1
        self._arrive()
        distance = motion.move(self._rows, self._paths, self._now)
        self._look(distance)
        self._join()
        for number, queue in enumerate(self._queues):
            self._post(number)
            if queue:
                self._serve(number, queue)
        rows = self._rows
        gone = (rows["state"] == PASSING) | (rows["state"] == LEAVING)
        gone &= np.abs(rows["spot"][:, 0] - rows["position"][:, 0]) < 0.3
        gone &= rows["position"][:, 1] > self.store.depth + 0.3
        if gone.any():
            self._rows = rows[~gone]

    def _new(self, count: int, *, staff: bool = False) -> Rows:
        """A group of people, the first of whom leads."""
        rows = np.zeros(count, ROW)
        looks = dressed(self._looks, count, staff)
        for name in PERSON.names or ():
            rows[name] = looks[name]
        rows["id"] = np.arange(self._next_id, self._next_id + count)
        rows["group"] = rows["id"] if staff else self._next_id
        self._next_id += count
        rows["speed"] = np.clip(self._rng.normal(1.05, 0.17, count), 0.65, 1.4).min()
        rows["heading"] = self._rng.uniform(-math.pi, math.pi, count)
        rows["till"] = -1
        return rows

    def _enter(self, rows: Rows) -> None:
        rows["before"], rows["turned"] = rows["position"], rows["heading"]
        self._rows = np.concatenate([self._rows, rows])

    def _hire(self) -> None:
        cashiers = self._new(len(self.store.tills), staff=True)
        cashiers["state"], cashiers["till"] = LOOKING, np.arange(len(cashiers))
        cashiers["position"] = [till.cashier for till in self.store.tills]
        self._enter(cashiers)
        for number in range(len(cashiers)):
            self._post(number)
        others = self._new(self.store.staff, staff=True)
        for row in others:
            self._go_look(row, self._any_display())
            row["until"] = self._now + self._rng.uniform(0, 40)
        self._stand(others)

    def _fill(self, people: int) -> None:
        """The first shoppers, in the midst of their stays."""
        while people > 0:
            rows = self._shoppers()[:people]
            people -= len(rows)
            display = self._any_display()
            for row in rows:
                self._go_look(row, display)
            rows["until"] = self._now + self._rng.uniform(0, 2 * DWELL[0])
            rows["budget"] -= (rows["budget"] - self._now) * self._rng.random()
            self._stand(rows)

    def _stand(self, rows: Rows) -> None:
        rows["position"], rows["heading"] = rows["spot"], rows["facing"]
        rows["state"] = LOOKING
        self._enter(rows)

    def _shoppers(self) -> Rows:
        rows = self._new(1 + int(self._rng.choice(len(GROUPS), p=GROUPS)))
        rows["budget"] = self._now + self._shopping * self._rng.gamma(4.0, 0.25)
        rows["buys"] = self._rng.random() < BUYERS
        rows["patience"] = self._draw(PATIENCE)
        rows["exit"] = self._rng.integers(2)
        return rows

    def _arrive(self) -> None:
        rush = any(start <= self._now < stop for start, stop in self._rush)
        while self._due <= self._now:
            rows = self._shoppers()
            rows["position"] = self._street_end(int(self._rng.integers(2)))
            rows["position"][:, 1] += 0.1 * np.arange(len(rows))
            display = self._any_display()
            for row in rows:
                self._go_look(row, display)
            self._enter(rows)
            self._due += self._rng.exponential(1 / (self._rate * (RUSH if rush else 1.0)))
        while self._due_passing <= self._now:
            rows = self._new(1)
            side = int(self._rng.integers(2))
            rows["state"], rows["position"] = PASSING, self._street_end(side)
            rows["spot"] = self._street_end(1 - side)[0], rows["position"][0, 1]
            self._enter(rows)
            self._due_passing += self._rng.exponential(1 / PASSERS_BY)

    def _street_end(self, side: int) -> Floats:
        x = self.store.width + MARGIN - 0.4 if side else -MARGIN + 0.4
        return np.array([x, self.store.depth + self._rng.uniform(0.9, STREET - 0.5)])

    def _any_display(self) -> int:
        return int(self._rng.integers(len(self.store.displays)))

    def _go_look(self, row: np.void, number: int) -> None:
        display = self.store.displays[number]
        left, top, right, bottom = display.area
        # Not at the very edge of the zone.
        row["spot"] = (
            self._rng.uniform(left + 0.3, right - 0.25),
            self._rng.uniform(top + 0.3, bottom - 0.25),
        )
        row["facing"] = display.facing + self._rng.normal(0, 0.2)
        row["target"], row["state"] = number, WALKING
        row["until"] = self._now + 60.0

    def _go_on(self, index: npt.NDArray[np.int64]) -> None:
        """A group decides where to go: to another display, to a till, or out."""
        leader = self._rows[index[0]]
        if leader["staff"] or self._now < leader["budget"]:
            display = self._next_display(leader)
            for one in index:
                self._go_look(self._rows[one], display)
        elif leader["buys"] and leader["tries"] < TRIES:
            self._head_for_till(index)
        else:
            self._leave(index)

    def _next_display(self, row: np.void) -> int:
        """Mostly one of the four that are nearest."""
        if row["staff"] or self._rng.random() < 0.3:
            return self._any_display()
        areas = np.array([display.area for display in self.store.displays])
        away = (areas[:, :2] + areas[:, 2:]) / 2 - row["position"]
        order = np.argsort(np.hypot(away[:, 0], away[:, 1]))
        return int(order[1 + int(self._rng.integers(min(4, len(order) - 1)))])

    def _head_for_till(self, index: npt.NDArray[np.int64]) -> None:
        coming = self._rows["till"][self._rows["state"] == HEADING].tolist()
        lengths = [len(queue) + coming.count(till) for till, queue in enumerate(self._queues)]
        best = min(range(len(lengths)), key=lambda till: lengths[till])
        if lengths[best] + len(index) > len(self.store.tills[best].places):
            self._come_again(index)
            return
        rows = self._rows[index]
        rows["state"], rows["till"] = HEADING, best
        rows["target"] = len(self.store.displays) + best
        rows["spot"] = self.store.tills[best].places[-1]
        self._rows[index] = rows

    def _come_again(self, index: npt.NDArray[np.int64]) -> None:
        for one in index:
            row = self._rows[one]
            row["tries"] += 1
            row["budget"] = self._now + AGAIN
        self._go_on(index)

    def _leave(self, index: npt.NDArray[np.int64]) -> None:
        ends = len(self.store.displays) + 2 * len(self.store.tills)
        for one in index:
            row = self._rows[one]
            row["state"], row["since"], row["till"] = LEAVING, self._now, -1
            row["target"] = ends + row["exit"]
            row["spot"] = self._street_end(int(row["exit"]))

    def _look(self, distance: Floats) -> None:
        """Those who have come to a display look at it, and then their group goes on."""
        rows, now = self._rows, self._now
        state = rows["state"]
        for index in np.flatnonzero((state == WALKING) & (distance < 0.15)).tolist():
            row = rows[index]
            row["state"] = LOOKING
            # Companions stay as long as the one who leads.
            leads = row["group"] == row["id"]
            dwell = self._draw(RESTOCK if row["staff"] else DWELL) if leads else 90.0
            row["until"] = now + dwell
        shops = (state == WALKING) | (state == LOOKING)
        for index in np.flatnonzero(shops & (rows["until"] <= now)).tolist():
            row = rows[index]
            if row["state"] in (WALKING, LOOKING) and row["until"] <= now:
                self._go_on(np.flatnonzero(shops & (rows["group"] == row["group"])))

    def _join(self) -> None:
        """Those who step into the lane of the till that they head for are in its queue."""
        rows = self._rows
        for index in np.flatnonzero(rows["state"] == HEADING).tolist():
            row = rows[index]
            till, queue = self.store.tills[row["till"]], self._queues[row["till"]]
            (x, y), (left, top, right, _) = row["position"], till.queue
            if left <= x <= right and top <= y <= till.service[3]:
                if len(queue) == len(till.places):
                    self._come_again(np.array([index]))
                    continue
                queue.append(int(row["id"]))
                row["state"], row["since"] = QUEUEING, self._now

    def _serve(self, number: int, queue: list[int]) -> None:
        """First come, first served; who waits too long gives up."""
        till, rows, now = self.store.tills[number], self._rows, self._now
        index = np.searchsorted(rows["id"], queue)
        places = np.array(till.places[: len(queue)])
        ahead = np.vstack([[till.cashier], places[:-1]]) - places
        rows["spot"][index] = places
        rows["facing"][index] = np.arctan2(ahead[:, 1], ahead[:, 0])
        attended = bool(rows["state"][number] == POSTED) and (
            math.dist(rows["position"][number], till.cashier) < 0.6
        )
        first = rows[index[0]]
        leads = first["group"] == first["id"]
        if first["state"] == SERVED:
            if first["until"] <= now:
                value = round(self._draw(BASKET), 2)
                recorded = leads and not self._fault(self._stopped, number)
                self._part(number, index[0], float(first["budget"]), value if recorded else None)
        elif attended and math.dist(first["position"], till.places[0]) < 0.25:
            first["state"], first["budget"] = SERVED, now
            first["until"] = now + self._draw(SERVICE if leads else PACKING)
        elif not attended and now - first["since"] > first["patience"]:
            self._part(number, index[0], None, None)
        for one in index[1:]:
            if now - rows[one]["since"] > rows[one]["patience"]:
                self._part(number, one, None, None)
                break

    def _part(self, number: int, index: int, served: float | None, value: float | None) -> None:
        row = self._rows[index]
        self._queues[number].remove(int(row["id"]))
        self.turns.append(
            Turn(number + 1, int(row["id"]), float(row["since"]), served, self._now, value)
        )
        self._leave(np.array([index]))

    def _fault(self, intervals: Sequence[TillInterval], number: int) -> bool:
        return any(
            till == number + 1 and start <= self._now < stop for till, start, stop in intervals
        )

    def _post(self, number: int) -> None:
        """Cashiers go among the shelves while their till is to be empty, and come back to it."""
        row, queue = self._rows[number], self._queues[number]
        if not self._fault(self._empty, number):
            if row["state"] != POSTED:
                till = self.store.tills[number]
                row["state"], row["spot"] = POSTED, till.cashier
                row["target"] = len(self.store.displays) + len(self.store.tills) + number
                x, y = np.subtract(till.places[0], till.cashier)
                row["facing"] = math.atan2(y, x)
        elif row["state"] == POSTED:
            served = bool(queue) and (
                self._rows["state"][np.searchsorted(self._rows["id"], queue[0])] == SERVED
            )
            if not served:
                self._go_on(np.array([number]))


def _mean(kind: tuple[float, float]) -> float:
    """The mean of a log-normal."""
    return kind[0] * math.exp(kind[1] ** 2 / 2)

"""The gate: nothing leaves the device that the contract does not name, nor finer than it allows.

It is an allow-list. An event of another type, even of a subclass with one field more, is refused;
what is let through is made anew from its plain values.
"""

import math
from datetime import UTC, datetime, timedelta

import msgspec

from edge import wire

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MINUTE = 60.0


class PrivacyError(Exception):
    """Something was to leave the device that is not in the contract."""


class Gate:
    """Lets the contract's events through, coarsened.

    Positions and distances are rounded to `position_step` (the floor's unit), moments floored and
    durations rounded to `time_step` seconds, numbers of people to three decimals.

    A path starts on the minute, while its t still counts from its true start: that start's
    seconds are lost on purpose, so that a path cannot be laid beside a till receipt. Its points
    are no finer for it, since t comes in steps too.
    """

    def __init__(self, position_step: float, time_step: float = 1.0) -> None:
        self.position_step, self.time_step = position_step, time_step

    def admit(self, event: wire.Event) -> wire.Event:
        """The event as it may leave.

        Raises:
            PrivacyError: a type, a field or a value that the contract does not have.
        """
        kind = type(event)
        if kind not in wire.EVENTS:
            raise PrivacyError(f"{kind.__module__}.{kind.__qualname__} is no event of the contract")
        try:
            plain = msgspec.to_builtins(event)
            coarse = self._coarsen(msgspec.convert(plain, kind, strict=True))
            return msgspec.convert(msgspec.to_builtins(coarse), kind, strict=True)
        except (msgspec.MsgspecError, TypeError, ValueError, OverflowError) as error:
            raise PrivacyError(f"{kind.__name__}: {error}") from error

    def floor(self, time: datetime) -> datetime:
        """A moment in steps of `time_step`, never later than it was."""
        return _floor(time, self.time_step)

    def _coarsen(self, event: wire.Event) -> wire.Event:
        match event:
            case wire.Crossing():
                return msgspec.structs.replace(event, time=self.floor(event.time))
            case wire.Visit():
                return msgspec.structs.replace(
                    event,
                    entered=self.floor(event.entered),
                    exited=self.floor(event.exited),
                    dwell=_round(event.dwell, self.time_step),
                )
            case wire.Path():
                return msgspec.structs.replace(
                    event,
                    start=_floor(event.start, max(_MINUTE, self.time_step)),
                    duration=_round(event.duration, self.time_step),
                    distance=_round(event.distance, self.position_step),
                    points=tuple(
                        (
                            _round(t, self.time_step),
                            _round(x, self.position_step),
                            _round(y, self.position_step),
                        )
                        for t, x, y in event.points
                    ),
                )
            case wire.Occupancy():
                return self._period(event, mean=round(_finite(event.mean), 3))
            case wire.Queue():
                return self._period(event, length_mean=round(_finite(event.length_mean), 3))
            case wire.Coverage():
                return self._period(event)

    def _period(
        self, event: wire.Occupancy | wire.Queue | wire.Coverage, **changes: float
    ) -> wire.Event:
        start, stop = self.floor(event.start), self.floor(event.stop)
        return msgspec.structs.replace(event, start=start, stop=stop, **changes)


def _floor(time: datetime, step: float) -> datetime:
    steps = (time - _EPOCH) // timedelta(seconds=step)
    return _EPOCH + steps * timedelta(seconds=step)


def _round(value: float, step: float) -> float:
    # The second rounding takes off the product's noise: 3 * 0.1 is not 0.3.
    return round(round(_finite(value) / step) * step, 6) + 0.0


def _finite(value: float) -> float:
    if not math.isfinite(value):
        raise ValueError(f"{value} is no number that can be sent")
    return value

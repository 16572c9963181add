"""The motion gate: a scene that is still and empty need not be looked at ten times a second.

A frame is looked at by the detector while anything moves, while anybody is there, for `HOLD` after
either, and once in `LOOK` whatever happens. So what the gate may miss is somebody whom the detector
would find, who has not moved since it last looked at the same picture and found nobody. A frame
that is not looked at has nobody in it.

What is kept of a camera is one grey picture of 160 by 90, in memory.
"""

from datetime import datetime, timedelta

import cv2
import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.uint8]

HOLD = timedelta(seconds=3)
LOOK = timedelta(seconds=1)
SIZE = (160, 90)
STEP = 8
"""Grey levels by which a cell that changed is brighter or darker, beyond the noise of a camera."""
CELLS = 3
"""So many cells must change: a hand of somebody near, or the whole of somebody far away."""


class Stillness:
    """The gate of one camera; one thread at a time, but `open` may be read by any.

    Attributes: `open` is whether the next frame will be looked at, as far as that is known.
    """

    def __init__(self) -> None:
        self.open = True
        self._picture: Image | None = None
        self._looked: datetime | None = None
        self._until: datetime | None = None

    def must_look(self, time: datetime, image: Image) -> bool:
        """Whether the detector must look at a picture (height, width, 3), BGR; in their order."""
        picture = _small(image)
        if self._picture is None or _differ(picture, self._picture):
            self._until = time + HOLD
        self.open = self._until is not None and time <= self._until
        # A clock that is set back makes no pause.
        due = self._looked is None or not self._looked <= time < self._looked + LOOK
        if self.open or due:
            self._picture, self._looked = picture, time
        return self.open or due

    def saw(self, time: datetime) -> None:
        """Somebody is there."""
        self.open, self._until = True, time + HOLD


def _small(image: Image) -> Image:
    """A grey picture of `SIZE`, whose cells are means: a camera's noise is mostly gone."""
    small = cv2.resize(image, SIZE, interpolation=cv2.INTER_AREA)
    return cv2.blur(cv2.cvtColor(small, cv2.COLOR_BGR2GRAY), (3, 3))  # type: ignore[return-value]


def _differ(picture: Image, other: Image) -> bool:
    return int(np.count_nonzero(cv2.absdiff(picture, other) > STEP)) >= CELLS

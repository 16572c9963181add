"""What a state is after it was saved and read again."""

import io
from typing import Any

import numpy as np


def saved(state: Any) -> Any:
    """A named tuple of arrays, numbers and such tuples, by way of an .npz file."""
    parts = {
        name: saved(part) if isinstance(part, tuple) else part
        for name, part in state._asdict().items()
    }
    file = io.BytesIO()
    np.savez(file, **{name: part for name, part in parts.items() if not isinstance(part, tuple)})
    file.seek(0)
    with np.load(file) as kept:
        read = {name: kept[name][()] for name in kept.files}
    return type(state)(**{**parts, **read})

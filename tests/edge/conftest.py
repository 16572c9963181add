"""What several tests of the edge need."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of models and videos; tests that need it are skipped where it is not."""
    folder = Path(os.environ.get("PASSERBY_SHARED", ROOT.parent / "shared"))
    if not folder.is_dir():
        pytest.skip(f"no models and videos at {folder}; set PASSERBY_SHARED")
    return folder

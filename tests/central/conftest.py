"""What several tests of central need."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from central.store import Store

# A busy machine is no failure.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")

ROOT = Path(__file__).parents[2]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A new pair of files."""
    opened = Store(tmp_path / "data")
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of data sets; tests that need it are skipped where it is not."""
    folder = Path(os.environ.get("PASSERBY_SHARED", ROOT.parent / "shared"))
    if not folder.is_dir():
        pytest.skip(f"no data sets at {folder}; set PASSERBY_SHARED")
    return folder

"""What several tests of the toolbox need."""

from pathlib import Path

import pytest

from models import zoo


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of models and pictures; tests that need it are skipped where it is not."""
    folder = zoo.shared()
    if not folder.is_dir():
        pytest.skip(f"no models and pictures at {folder}; set PASSERBY_SHARED")
    return folder

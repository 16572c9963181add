"""What several end-to-end tests need."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.end_to_end.processes import Stack


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    stack = Stack(tmp_path)
    stack.start()
    yield stack
    stack.close()

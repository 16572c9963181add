"""The demo does what its last line promises, with footage and with nothing but this repository."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.end_to_end.processes import ROOT

SHARED = Path(os.environ.get("PASSERBY_SHARED", ROOT.parent / "shared"))
with_footage = pytest.mark.skipif(
    not SHARED.is_dir(), reason=f"no footage at {SHARED}; set PASSERBY_SHARED"
)


@pytest.mark.parametrize(
    "shared", [pytest.param(SHARED, marks=with_footage), Path("/nonexistent")], ids=["with", "bare"]
)
def test_the_demo_shows_what_it_promises(shared: Path) -> None:
    environment = {**os.environ, "FOR": "1", "PASSERBY_SHARED": str(shared)}
    done = subprocess.run(
        [sys.executable, "-m", "tests.end_to_end.demo"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=900,
    )
    *said, last = done.stdout.splitlines()
    result = json.loads(last)
    words = "\n".join([*said, done.stderr])
    assert done.returncode == 0, words
    assert result["gaps"] == result["duplicates"] == 0, words
    assert result["incidents"] == 2, words
    assert "York: camera door has been blind" in words
    assert "Leeds: tills stopped." in words
    assert result["frames"] > 0, words
    assert result["paths"] > 0, words
    shown = "Supermarket, overview" if not shared.is_dir() else "Crockery aisle"
    assert f"Live shop: {shown}" in words or f", {shown}" in words

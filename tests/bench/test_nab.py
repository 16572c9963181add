"""The general score on the real files, as the benchmark runs it."""

import numpy as np
import pytest

from tests.bench import nab, nab_score

FOLDER = nab.SHARED / "series" / "nab"


@pytest.mark.skipif(not FOLDER.is_dir(), reason=f"{FOLDER} is not here: set PASSERBY_SHARED")
def test_one_configuration_reaches_its_line_on_all_files() -> None:
    series = nab.load(FOLDER)
    files = [each.file for each in series]
    assert len(series) == 58
    assert sum(each.values.size for each in series) == 365_558
    assert sum(file.windows for file in files) == 116
    assert all(
        np.flatnonzero(file.window >= 0).min(initial=10**6) >= file.probation for file in files
    )
    assert nab_score.best(files, nab.scores(series))[0] >= nab.LEAST

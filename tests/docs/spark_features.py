"""Spark reads the features too. By name alone (`make soak`): it needs pyspark and Java."""

import pytest

from tests.docs.test_use_the_features import blocks, folder, here, run

__all__ = ["folder", "here"]


@pytest.mark.filterwarnings("ignore")
def test_spark_sums_the_entries_of_each_day() -> None:
    pandas, spark = run(blocks("python")[0]), run(blocks("python")[2])
    try:
        found = {str(row["date"]): row["entries"] for row in spark["busiest"].collect()}
    finally:
        spark["spark"].stop()
    assert found == {str(date): total for (_, date), total in pandas["entries"].items()}

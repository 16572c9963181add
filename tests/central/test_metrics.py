"""The catalogue rests on what is measured, and its page is current."""

import ibis
import pytest

from central.dictionary import COLUMNS
from central.features import TIMES
from central.measures import DEFINITIONS, EVENTS
from central.metrics import AREAS, CATALOGUE, Metric
from docs.metrics import PAGE, page

MEASURES = " ".join(str(ibis.to_sql(definition())) for definition in DEFINITIONS.values())


def test_metrics_are_told_apart() -> None:
    listed = [metric for area in AREAS.values() for metric in area]
    for told in ("name", "title"):
        assert len({getattr(metric, told) for metric in listed}) == len(listed)
    assert set(CATALOGUE) == {metric.name for metric in listed}


@pytest.mark.parametrize("metric", CATALOGUE.values(), ids=CATALOGUE)
def test_a_metric_rests_on_measures(metric: Metric) -> None:
    for measure in (metric.measure, *metric.over, *metric.since):
        assert f"'{measure}'" in MEASURES
    assert metric.sentence.endswith(".")
    for name in EVENTS.get(metric.measure, ()):
        assert f"`{name}`" in metric.sentence


def test_what_describes_people_is_in_the_rows_that_are_released_by_the_hour() -> None:
    named = {column.name: column.about for column in COLUMNS}
    assert {named[metric.name] for metric in CATALOGUE.values() if metric.released} == set(TIMES)
    times = {name for name, about in named.items() if about in TIMES}
    assert not {name for name in times & set(CATALOGUE) if not CATALOGUE[name].released}


def test_every_event_counts_in_a_metric() -> None:
    assert set(EVENTS) <= {metric.measure for metric in CATALOGUE.values()}


def test_the_page_is_current() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run `make metrics`"

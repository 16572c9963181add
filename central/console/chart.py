"""The chart: footfall against orders with the expected bands, as ECharts options."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from central import series
from central.config import Site
from central.metrics import CATALOGUE
from central.store import Store

SHOWN = timedelta(hours=24)
LINES = {"footfall": "#2a78d6", "orders": "#d9730d"}
GREY = "rgba(128, 128, 128, 0.3)"


def options(store: Store, site: Site) -> dict[str, Any]:
    """ECharts options: the site's lines with their expected bands, of the last day."""
    stop = datetime.now(UTC)
    shown = {
        name: series.read(store, site, CATALOGUE[name], stop - SHOWN, stop, "15min")
        for name in LINES
        if name != "footfall" or site.kind == "store"
    }
    drawn: list[dict[str, Any]] = []
    for name, points in shown.items():
        drawn += _band(name, points)
    for name, points in shown.items():
        line = {"name": CATALOGUE[name].title, "type": "line", "color": LINES[name]}
        data = [None if point.status == "open" else _round(point.value) for point in points]
        drawn.append(line | {"data": data, "symbol": "circle", "symbolSize": 4})
    main = next(iter(shown.values()))
    drawn[-1]["markArea"] = {
        "silent": True,
        "itemStyle": {"color": GREY},
        "label": {"position": "insideTopRight", "color": "inherit"},
        "data": [
            [{"name": "not seen", "xAxis": first}, {"xAxis": min(last, len(main) - 1)}]
            for first, last in _absent(main)
        ],
    }
    times = [point.start.astimezone(site.zone).strftime("%a %d %b %H:%M") for point in main]
    return {
        "animation": False,
        "aria": {"enabled": True},
        "tooltip": {"trigger": "axis", "confine": True},
        "legend": {"data": [CATALOGUE[name].title for name in shown], "left": 0, "top": 0},
        "grid": {"left": 16, "right": 16, "top": 32, "bottom": 4, "containLabel": True},
        "xAxis": {
            "type": "category",
            "data": times,
            "boundaryGap": False,
            "axisTick": {"show": False},
            "axisLabel": {
                "hideOverlap": True,
                ":formatter": "value => value.slice(-5)",
                ":interval": "(_, value) => Number(value.slice(-5).replace(':', '')) % 300 === 0",
            },
        },
        "yAxis": {
            "type": "value",
            "min": 0,
            "minInterval": 1,
            "splitLine": {"lineStyle": {"color": GREY}},
        },
        "series": drawn,
    }


def _band(name: str, points: Sequence[series.Point]) -> list[dict[str, Any]]:
    hidden = {"type": "line", "stack": name, "symbol": "none", "silent": True}
    hidden |= {"lineStyle": {"opacity": 0}, "tooltip": {"show": False}}
    lower = [_round(point.lower) for point in points]
    spread = [
        None if point.lower is None or point.upper is None else _round(point.upper - point.lower)
        for point in points
    ]
    area = {"color": LINES[name], "opacity": 0.18}
    return [hidden | {"data": lower}, hidden | {"data": spread, "areaStyle": area}]


def _absent(points: Sequence[series.Point]) -> list[tuple[int, int]]:
    """Runs of absent points as (first, one past the last)."""
    runs: list[tuple[int, int]] = []
    for place, point in enumerate(points):
        if point.status == "absent":
            first = runs.pop()[0] if runs and runs[-1][1] == place else place
            runs.append((first, place + 1))
    return runs


def _round(value: float | None) -> float | None:
    return None if value is None else round(value, 1)

"""The first page: shops by state, live occupancy, footfall against orders, incidents."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from fastapi import FastAPI
from nicegui import run, ui

from central import series
from central.config import Site
from central.incidents import listed
from central.metrics import CATALOGUE
from central.service import Service

REFRESH_SECONDS = 2.0
SHOWN = timedelta(hours=24)
STATES = {
    "sensor": ("blind", "visibility_off", "text-orange-8"),
    "conversion": ("tills", "point_of_sale", "text-red-8"),
    "orders": ("orders", "shopping_cart_off", "text-red-8"),
    "footfall": ("footfall", "directions_walk", "text-red-8"),
}
WELL = ("fine", "check_circle", "text-green-8")
NEW = ("no data yet", "hourglass_empty", "text-grey-7")


@dataclass(frozen=True)
class Shop:
    """A shop as the list shows it."""

    site: Site
    words: str
    icon: str
    colour: str
    inside: int | None
    today: str


def shops(service: Service) -> list[Shop]:
    """Every shop with its state: an open incident's, else whether anything has come in."""
    causes: dict[str, str] = {}
    for site, cause, _ in sorted(service.incidents.open):
        causes.setdefault(site, cause)
    alive = {site for site, _ in service.intake.health}
    alive |= {key.site for key in service.config.write_keys}
    inside: dict[str, int] = {}
    for (name, _, _), gauge in service.intake.gauges.items():
        inside[name] = inside.get(name, 0) + gauge.count
    found = []
    for name in sorted(service.sites(), key=lambda name: (name not in causes, name)):
        cause = causes.get(name)
        words, icon, colour = STATES[cause] if cause else WELL if name in alive else NEW
        site = service.config.site(name)
        found.append(Shop(site, words, icon, colour, inside.get(name), _today(service, site)))
    return found


def _today(service: Service, site: Site) -> str:
    now = datetime.now(UTC)
    parts = []
    for metric in ("footfall", "orders"):
        points = series.read(
            service.store, site, CATALOGUE[metric], now - timedelta(hours=1), now, "15min"
        )
        known = [point.value for point in points if point.value is not None]
        parts.append(f"{sum(known):.0f}" if known else "–")
    return " / ".join(parts)


def chart(service: Service, site: Site) -> dict[str, Any]:
    """ECharts options: footfall with its expected band, and orders, of the last day."""
    stop = datetime.now(UTC)
    footfall, orders = (
        series.read(service.store, site, CATALOGUE[metric], stop - SHOWN, stop, "15min")
        for metric in ("footfall", "orders")
    )
    main = orders if site.kind == "web" else footfall
    times = [point.start.astimezone(site.zone).strftime("%H:%M") for point in footfall]
    lower = [_round(point.lower) for point in main]
    spread = [
        None if point.lower is None or point.upper is None else _round(point.upper - point.lower)
        for point in main
    ]
    hidden = {"symbol": "none", "lineStyle": {"opacity": 0}, "silent": True}
    band = {"type": "line", "stack": "band", **hidden, "tooltip": {"show": False}}
    lines = [
        {"name": "band from", **band, "data": lower},
        {
            "name": "expected",
            **band,
            "data": spread,
            "areaStyle": {"color": "#5b8def", "opacity": 0.18},
        },
    ]
    shown = [("Orders", orders, "#b4530a")]
    if site.kind == "store":
        shown.insert(0, ("Footfall", footfall, "#1d4ed8"))
    for name, points, colour in shown:
        data = [None if point.status == "open" else _round(point.value) for point in points]
        lines.append(
            {"name": name, "type": "line", "data": data, "showSymbol": False}
            | {"lineStyle": {"width": 2, "color": colour}, "itemStyle": {"color": colour}}
        )
    return {
        "animation": False,
        "aria": {"enabled": True},
        "tooltip": {"trigger": "axis"},
        "legend": {"data": [name for name, _, _ in shown] + ["expected"], "top": 0},
        "grid": {"left": 40, "right": 12, "top": 32, "bottom": 24},
        "xAxis": {"type": "category", "data": times, "boundaryGap": False},
        "yAxis": {"type": "value", "min": 0},
        "series": lines,
    }


def _round(value: float | None) -> float | None:
    return None if value is None else round(value, 1)


def mount(app: FastAPI, service: Service) -> None:
    """Serve the page at / of the application."""

    @ui.page("/", title="Passerby")
    async def index() -> None:
        await Page(service).show()

    ui.run_with(app, title="Passerby", dark=None, language="en-GB", show_welcome_message=False)


class Page:
    """One visitor's page; what is shown is compared first, so that nothing flickers."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._chosen = next((s.id for s in service.config.sites if s.kind == "store"), "")
        self._shown: tuple[Any, ...] = ()

    async def show(self) -> None:
        """Build the page and keep it current."""
        ui.add_css("body { font-variant-numeric: tabular-nums }")
        with ui.header().classes("items-baseline q-py-xs"):
            ui.label("Passerby").classes("text-h6").props("role=heading aria-level=1")
            self._summary = ui.label().classes("text-body2")
        with ui.row().classes("w-full no-wrap items-start gap-4 max-md:flex-wrap"):
            with ui.card().classes("w-96 max-md:w-full"):
                _heading("Shops")
                ui.label("now inside · footfall / orders of the last hour").classes("text-caption")
                self._list = ui.column().classes("w-full gap-0")
            with ui.column().classes("grow gap-4 min-w-0"):
                with ui.card().classes("w-full"):
                    self._title = _heading("")
                    self._chart = ui.echart({}).classes("w-full h-72")
                with ui.card().classes("w-full"):
                    _heading("Incidents")
                    self._incidents = ui.column().classes("w-full gap-2")
        await self._refresh()
        ui.timer(REFRESH_SECONDS, self._refresh, immediate=False)

    async def _refresh(self) -> None:
        service = self._service
        site = service.config.site(self._chosen)
        read = await run.io_bound(
            lambda: (shops(service), chart(service, site), listed(service.store, 50))
        )
        if read is None:  # central is stopping
            return
        found, options, incidents = read
        broker = "" if service.subscriber.connected else " · no broker"
        self._summary.text = (
            f"{len(found)} shops · {sum(i['resolved'] is None for i in incidents)} open incidents"
            f" · {sum(service.intake.tally.events.values()):,} events since the start{broker}"
        )
        if options != self._chart.options:
            self._title.text = f"{site.title}: footfall against orders, last 24 hours"
            self._chart.options.clear()
            self._chart.options.update(options)
            self._chart.update()
        state = (found, incidents, self._chosen)
        if state == self._shown:
            return
        self._shown = state
        self._list.clear()
        with self._list:
            for shop in found:
                self._row(shop)
        self._incidents.clear()
        with self._incidents:
            for incident in incidents:
                self._incident(incident)
            if not incidents:
                ui.label("None. What is off will stand here, with what to look at first.")

    def _row(self, shop: Shop) -> None:
        async def choose() -> None:
            self._chosen = shop.site.id
            await self._refresh()

        chosen = "bg-blue-1 text-black" if shop.site.id == self._chosen else ""
        button = ui.button(on_click=choose).props("flat no-caps align=left dense")
        with button.classes(f"w-full {chosen}"), ui.row().classes("w-full items-center no-wrap"):
            ui.icon(shop.icon).classes(f"{shop.colour} text-xl")
            ui.label(shop.site.title).classes("grow text-left")
            ui.label(shop.words).classes("text-caption")
            ui.label("–" if shop.inside is None else str(shop.inside)).classes("w-8 text-right")
            ui.label(shop.today).classes("w-20 text-right")

    def _incident(self, incident: dict[str, Any]) -> None:
        site = self._service.config.site(incident["site"])
        _, icon, colour = STATES[incident["cause"]]
        opened = incident["opened"].astimezone(site.zone).strftime("%d %b %H:%M")
        state = "resolved" if incident["resolved"] else incident["severity"]
        with ui.row().classes("w-full items-start no-wrap"):
            ui.icon("check_circle" if incident["resolved"] else icon).classes(f"{colour} text-xl")
            with ui.column().classes("gap-0"):
                ui.label(incident["sentence"])
                ui.label(f"{state} · {incident['cause']} · {opened}").classes("text-caption")


def _heading(text: str) -> ui.label:
    return (
        ui.label(text)
        .classes("text-subtitle1 text-weight-medium")
        .props("role=heading aria-level=2")
    )

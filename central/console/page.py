"""The first page: shops by state, live occupancy, footfall against orders, incidents."""

from collections.abc import Awaitable, Callable, Iterable
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from fastapi import FastAPI
from nicegui import run, ui
from nicegui.elements.mixins.text_element import TextElement

from central.config import Site
from central.console import chart
from central.console.shops import REFRESH_SECONDS, STATES, Board, Shop
from central.service import Service

STYLE = Path(__file__).with_name("style.css")
MARK = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16"><circle cx="8" cy="8" r="7"'
    ' fill="#1d2b45"/><circle cx="8" cy="8" r="3" fill="#fff"/></svg>'
)
NO_SHOPS = (
    "No shop is known yet. Start `passerby-edge run` on a device that publishes to the same broker"
    " and it appears here by itself; name it, and shops without a device, under `sites:` in"
    " central's settings."
)
NO_VALUES = "Nothing yet. A quarter hour appears once it is over and all of it has arrived."
READING = (
    "Per 15 minutes, the last 24 hours, {zone} time. Shaded in a line's colour: what is expected of"
    " it. A gap is not zero: nobody saw."
)
COLUMNS = ("Shop", "State", "Inside", "Came in", "Orders")
Choose = Callable[[str], Awaitable[None]]
Seen = tuple[list[Shop], Site | None, dict[str, Any], list[dict[str, Any]]]
E = TypeVar("E", bound=ui.element)


def mount(app: FastAPI, service: Service) -> None:
    """Serve the page at / of the application."""
    board = Board(service)

    @ui.page("/", title="Passerby", response_timeout=20)
    async def index() -> None:
        await Page(service, board).show()

    ui.run_with(
        app,
        title="Passerby",
        favicon=MARK,
        dark=None,
        language="en-GB",
        show_welcome_message=False,
    )


class Row(ui.element):
    """A line of the shop list."""

    def __init__(self, site: Site, choose: Choose) -> None:
        super().__init__("tr")
        self.on("click", lambda: choose(site.id), [])
        with self:
            with ui.element("td"):
                self._name = _text("button", site.title).props("type=button")
            self._state, *self._numbers = (_text("td") for _ in range(4))

    def show(self, shop: Shop, chosen: bool) -> None:
        """Change what has changed."""
        self.classes(replace="chosen" if chosen else "")
        self._name.props(f"aria-pressed={str(chosen).lower()}")
        self._state.classes(replace=f"state {shop.state}").text = STATES[shop.state]
        values = (shop.inside, shop.footfall, shop.orders)
        for cell, value in zip(self._numbers, values, strict=True):
            cell.text = value or "–"


class Item(ui.element):
    """A line of the incident list: the sentence, then when."""

    def __init__(self, site: Site, choose: Choose) -> None:
        super().__init__("li")
        self._zone = site.zone
        with self:
            self._sentence = _text("button").props("type=button")
            self._sentence.on("click", lambda: choose(site.id), [])
            self._when = _text("p").classes("soft")

    def show(self, incident: dict[str, Any]) -> None:
        """Change what has changed."""
        resolved = incident["resolved"]
        self.classes(replace="resolved" if resolved else incident["cause"])
        self._sentence.text = incident["sentence"]
        state = f"resolved {self._local(resolved)}" if resolved else "open"
        began = self._local(incident["began"])
        told = "" if incident["pushed"] else " · only listed"
        self._when.text = f"{incident['severity']} · since {began} · {state}{told}"

    def _local(self, moment: datetime) -> str:
        return moment.astimezone(self._zone).strftime("%d %b %H:%M")


class Page:
    """One visitor's page. Elements are kept and changed, so nothing flickers or loses focus.

    Until the visitor chooses a shop, the chart is of the first one in the list.
    """

    def __init__(self, service: Service, board: Board) -> None:
        self._service, self._board = service, board
        self._chosen = ""
        self._rows: dict[str, Row] = {}
        self._items: dict[str, Item] = {}

    async def show(self) -> None:
        """Build the page and keep it current."""
        ui.add_css(STYLE)
        ui.colors(primary="#1d2b45")
        with ui.header(fixed=False).classes("items-baseline gap-x-4 gap-y-0 py-2"):
            _text("h1", "Passerby")
            self._summary = _text("p")
        with ui.element("div").classes("board"):
            with ui.card().classes("incidents"):
                _text("h2", "Incidents")
                self._calm = _text("p", "None. What is off will stand here, in plain words.")
                self._list = ui.element("ul").props("aria-live=polite")
            with ui.card().classes("shops"):
                _text("h2", "Shops")
                _text("p", "Inside: now. Came in, and orders: the last hour.").classes("soft")
                self._no_shops = _text("p", NO_SHOPS)
                with ui.element("table").classes("list") as self._table:
                    with ui.element("thead"), ui.element("tr"):
                        for words in COLUMNS:
                            _text("th", words).props("scope=col")
                    self._body = ui.element("tbody")
            with ui.card().classes("figure") as self._figure:
                self._title = _text("h2")
                self._caption = _text("p").classes("soft")
                self._chart = ui.echart({}, renderer="svg")
        await self._refresh()
        ui.timer(REFRESH_SECONDS, self._refresh, immediate=False)

    async def _choose(self, site: str) -> None:
        self._chosen = site
        await self._refresh()
        # On a phone the chart lies below the list.
        ui.run_javascript(f"getHtmlElement({self._figure.id}).scrollIntoView({{block: 'nearest'}})")

    async def _refresh(self) -> None:
        chosen = self._chosen
        read = await run.io_bound(self._read, chosen)
        if read is None or chosen != self._chosen:  # central is stopping, or another was chosen
            return
        found, site, options, incidents = read
        self._summary.text = self._sum(len(found), incidents)
        self._no_shops.set_visibility(not found)
        self._table.set_visibility(bool(found))
        self._figure.set_visibility(bool(found))
        self._calm.set_visibility(not incidents)
        if site:
            self._draw(site, options)
        rows = {shop.site.id: shop for shop in found}
        _arrange(self._body, self._rows, rows, lambda name: Row(rows[name].site, self._choose))
        for name, row in self._rows.items():
            row.show(rows[name], rows[name].site == site)
        items = {incident["id"]: incident for incident in incidents}
        _arrange(
            self._list,
            self._items,
            items,
            lambda name: Item(self._shop(items[name]), self._choose),
        )
        for name, item in self._items.items():
            item.show(items[name])

    def _shop(self, incident: dict[str, Any]) -> Site:
        """The shop to show for an incident; of a region's, the first that it names."""
        name, known = incident["site"], self._service.sites()
        if name not in known:
            name = next(iter(incident["children"]), name)
        return self._service.config.site(name)

    def _draw(self, site: Site, options: dict[str, Any]) -> None:
        against = "footfall against orders" if site.kind == "store" else "orders"
        self._title.text = f"{site.title}: {against}"
        counted = any(value is not None for line in options["series"] for value in line["data"])
        self._caption.text = READING.format(zone=site.time_zone) if counted else NO_VALUES
        if options != self._chart.options:
            self._chart.options.clear()
            self._chart.options.update(options)

    def _read(self, chosen: str) -> Seen:
        found, incidents = self._board.read()
        if not found:
            return found, None, {}, incidents
        site = self._service.config.site(chosen or found[0].site.id)
        return found, site, chart.options(self._service.store, site), incidents

    def _sum(self, shops: int, incidents: list[dict[str, Any]]) -> str:
        current = sum(incident["resolved"] is None for incident in incidents)
        events = sum(self._service.intake.tally.events.values())
        words = f"{shops} shops · {current} open incidents · {events:,} events since the start"
        return words if self._service.subscriber.connected else f"{words} · no broker"


def _text(tag: str, words: str = "") -> TextElement:
    """An element of a text; markup in it stays text."""
    return TextElement(tag=tag, text=words)


def _arrange(
    parent: ui.element, kept: dict[str, E], wanted: Iterable[str], build: Callable[[str], E]
) -> None:
    """Make the children those that are wanted, in that order; who stays is not built again."""
    names = list(wanted)
    for name in kept.keys() - set(names):
        kept.pop(name).delete()
    for place, name in enumerate(names):
        if name not in kept:
            with parent:
                kept[name] = build(name)
        if parent.default_slot.children[place] is not kept[name]:
            kept[name].move(parent, place)

"""The page as people use it: Chromium, before a real central that hears a real broker."""

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from paho.mqtt import publish
from playwright.sync_api import Browser, Page, expect, sync_playwright

from central.intake.commit import Message
from deploy.demo import generator
from deploy.demo.broker import mosquitto
from edge import wire
from tests.central.device import health, message
from tests.end_to_end.processes import Stack

CHROMIUM = shutil.which("chromium")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
NOW = generator.last_quarter(datetime.now(UTC))
EARLIER = NOW - timedelta(hours=2)
SHOPS = ("leeds", "bath")
SLY = "<script>alert(1)</script> & a name as long as a Welsh railway station's"
SITES = [
    {"id": "leeds", "name": "Leeds", "time_zone": "Europe/London"},
    {"id": "bath", "name": SLY},
    {"id": "new", "name": "Opens soon"},
]
PATIENCE = 60_000

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium: apt-get install chromium"),
    pytest.mark.skipif(mosquitto() is None, reason="no mosquitto: apt-get install mosquitto"),
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Two shops with six weeks behind them, whose devices have told all until two hours ago."""
    folder = tmp_path_factory.mktemp("page")
    stack = Stack(folder, {"sites": SITES, "settle_seconds": 0})
    table = generator.history(NOW, seed=7)
    kept = pc.is_in(table["site"], pc.cast(list(SHOPS), "string"))
    pq.write_table(table.filter(kept), folder / "history.parquet")
    arguments = ("windows", str(folder / "history.parquet"), "--config", str(stack.settings))
    importing = stack.run("import", "-m", "central", "import", *arguments)
    assert importing.process is not None
    assert importing.process.wait() == 0, importing.words()
    stack.start()
    for site in SHOPS:
        say(stack, health({}, {"door": EARLIER}, site=site))
    yield stack
    stack.close()


def say(stack: Stack, said: Message) -> None:
    publish.single(said.topic, said.payload, qos=1, retain=True, port=stack.mqtt_port)


def inside(site: str, count: int) -> Message:
    return message("occupancy/display", wire.Gauge(wire.VERSION, NOW, count), site=site)


class Visitor:
    """Somebody with the page open; what their browser complained of, and where it went."""

    def __init__(self, browser: Browser, stack: Stack, width: int = 1280) -> None:
        self.page: Page = browser.new_page(viewport={"width": width, "height": 800})
        self.page.set_default_timeout(PATIENCE)
        self.problems: list[str] = []
        self.addresses: list[str] = []
        self.page.on("console", lambda said: self._hear(said.type, said.text))
        self.page.on("pageerror", lambda error: self.problems.append(str(error)))
        self.page.on("request", lambda request: self.addresses.append(request.url))
        self.page.on("websocket", lambda socket: self.addresses.append(socket.url))
        self.home = f"127.0.0.1:{stack.http_port}/"
        self.page.goto(f"http://{self.home}")

    def _hear(self, kind: str, words: str) -> None:
        if kind in ("error", "warning"):
            self.problems.append(words)

    def leave(self) -> None:
        """Close the page. Nothing was complained of, and nobody else was asked for anything."""
        self.page.close()
        assert self.problems == []
        assert len(self.addresses) > 2
        elsewhere = [url for url in self.addresses if not url.startswith("data:")]
        assert [url for url in elsewhere if url.split("://")[1].find(self.home) != 0] == []


def shop(page: Page, name: str) -> list[str]:
    """What the list says of a shop."""
    return page.locator("tbody tr").filter(has_text=name).locator("td").all_inner_texts()


def test_a_visit(browser: Browser, stack: Stack) -> None:
    visitor = Visitor(browser, stack)
    page = visitor.page
    expect(page.locator("html")).to_have_attribute("lang", "en-GB")
    expect(page.get_by_role("heading", level=1)).to_have_text("Passerby")
    expect(page.locator("tbody tr")).to_have_count(3)
    assert shop(page, "Opens soon")[1:] == ["no data yet", "–", "–", "–"]
    expect(page.locator("tbody")).to_contain_text(SLY)

    page.get_by_role("button", name=SLY).click()
    title = page.locator(".figure h2")
    expect(title).to_have_text(f"{SLY}: footfall against orders", timeout=PATIENCE)
    expect(page.locator(".figure p")).to_contain_text("UTC time", timeout=PATIENCE)
    page.get_by_role("button", name="Leeds", exact=True).focus()
    page.keyboard.press("Enter")
    expect(title).to_have_text("Leeds: footfall against orders", timeout=PATIENCE)
    expect(page.locator(".figure p")).to_contain_text("Europe/London time")
    expect(page.locator(".figure svg path").first).to_be_attached()
    visitor.leave()


def test_news_come_by_themselves_and_take_no_focus(browser: Browser, stack: Stack) -> None:
    visitor = Visitor(browser, stack)
    page = visitor.page
    page.evaluate("window.loadedOnce = true")
    bath = page.get_by_role("button", name=SLY)
    bath.focus()
    say(stack, inside("bath", 17))
    row = page.locator("tbody tr").filter(has_text=SLY)
    expect(row.locator("td").nth(2)).to_have_text("17", timeout=PATIENCE)
    expect(bath).to_be_focused()

    # The tills sold nothing for two hours.
    say(stack, health({}, {"door": NOW}, site="leeds"))
    incident = page.locator(".incidents li").filter(has_text="Leeds: ")
    expect(incident).to_contain_text("tills stopped", timeout=PATIENCE)
    expect(incident).to_contain_text("critical")
    first = page.locator("tbody tr").first
    expect(first).to_contain_text("Leeds", timeout=PATIENCE)
    assert shop(page, "Leeds")[1] == "orders"
    expect(bath).to_be_focused()
    assert page.evaluate("window.loadedOnce")

    bath.click()
    incident.get_by_role("button").click()
    expect(page.locator(".figure h2")).to_contain_text("Leeds", timeout=PATIENCE)
    visitor.leave()


@pytest.mark.parametrize("width", [320, 390, 900])
def test_nothing_is_wider_than_the_window(browser: Browser, stack: Stack, width: int) -> None:
    visitor = Visitor(browser, stack, width)
    expect(visitor.page.locator(".figure svg path").first).to_be_attached()
    assert visitor.page.evaluate("document.documentElement.scrollWidth") == width
    visitor.leave()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_words_stand_out_in_both_schemes(browser: Browser, stack: Stack, scheme: str) -> None:
    visitor = Visitor(browser, stack)
    visitor.page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    visitor.page.wait_for_function(
        "dark => document.body.classList.contains('body--dark') === dark", arg=scheme == "dark"
    )
    found = visitor.page.evaluate(CONTRASTS)
    assert len(found) > 20
    assert {words: ratio for words, ratio in found if ratio < 4.5} == {}
    visitor.leave()


CONTRASTS = """() => {
  const light = (colour) => {
    const parts = colour.match(/[\\d.]+/g).map(Number).slice(0, 3).map((part) => {
      const share = part / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2];
  };
  const behind = (element) => {
    const colour = getComputedStyle(element).backgroundColor;
    return /, 0\\)$|transparent/.test(colour) ? behind(element.parentElement) : colour;
  };
  const texts = [...document.querySelectorAll('h1, h2, p, th, td, td button, li button, svg text')];
  return texts.filter((element) => element.textContent.trim()).map((element) => {
    const style = getComputedStyle(element);
    const ink = light(element.matches('text') ? style.fill : style.color);
    const paper = light(behind(element));
    return [element.textContent, (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05)];
  });
}"""


def test_an_empty_central_says_what_to_do_next(browser: Browser, tmp_path: Path) -> None:
    stack = Stack(tmp_path, {"sites": []})
    try:
        stack.start()
        visitor = Visitor(browser, stack)
        expect(visitor.page.locator(".shops")).to_contain_text("Start `passerby-edge run`")
        expect(visitor.page.locator("table")).to_be_hidden()
        expect(visitor.page.locator(".figure")).to_be_hidden()
        expect(visitor.page.locator(".incidents")).to_contain_text("None.")
        say(stack, health({}, {"door": NOW}, site="york"))
        expect(visitor.page.locator("tbody tr")).to_contain_text("york", timeout=PATIENCE)
        visitor.leave()
    finally:
        stack.close()

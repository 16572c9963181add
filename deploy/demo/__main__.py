"""The demo: a broker, central, one live shop and eleven generated ones, with one command.

`make demo` runs it. The live shop is rendered where there is no footage. Settings come from the
environment: FOR (seconds, else until Ctrl-C), VIDEO, MODEL, PASSERBY_SHARED; BIND is the address to
listen on, 127.0.0.1 unless a container needs another.
"""

import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import duckdb
import httpx
import pyarrow.parquet as pq
import yaml

from deploy.demo import broker, feed, generator
from edge import simulator
from edge.config import EdgeError
from edge.publisher import Broker

HERE = Path(__file__).parent
SEED = 7
LIVE, WEB = "live", "web"
CONSOLE_PORT, LIVE_PORT = 8080, 8081
MODELS = ("deimv2_atto_320.onnx", "yolox_nano_416.onnx")
CAMERAS = ("supermarket", "store-aisle", "pets")
RENDERED = "sim://supermarket?seed=7&people=30&minutes=1440"
RENDERED_MODEL = HERE.parents[1] / "models" / "demo.onnx"
PYTHON = sys.executable
REQUIRED = ("visits", "events_stored", "orders", "points", "incidents", "notified")


def say(words: str) -> None:
    """A line for the person who started the demo."""
    print(words, flush=True)


class Receiver:
    """A webhook receiver that counts what it gets."""

    def __init__(self) -> None:
        self.received: list[dict[str, Any]] = []
        received = self.received

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                received.append(json.loads(body))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Say nothing of each request."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/notices"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()


def live_cameras(shared: Path) -> list[dict[str, Any]]:
    """The live shop's cameras as settings: what VIDEO says, else footage, else a rendered shop."""
    video = os.environ.get("VIDEO", "")
    if Path(video).suffix == ".yaml":
        return [yaml.safe_load(Path(video).read_text(encoding="utf-8"))]
    if video.startswith(simulator.SCHEME):
        return [rendered_camera(video)]
    if video:
        return [own_camera(video)]
    found = []
    for name in CAMERAS:
        settings = yaml.safe_load((HERE / f"{name}.yaml").read_text(encoding="utf-8"))
        source = shared / "video" / Path(settings["source"]).name
        if source.is_file():
            found.append({**settings, "source": str(source)})
    return found or [rendered_camera(RENDERED)]


def rendered_camera(source: str) -> dict[str, Any]:
    """A camera of a rendered shop, as somebody who installs it would describe it."""
    return simulator.camera_config(simulator.parse(source)).model_dump(mode="json")


def own_camera(video: str) -> dict[str, Any]:
    """A camera of the user's own: the whole picture is a zone, a line lies across its middle."""
    source = video if "://" in video or video.isdecimal() else str(Path(video).resolve())
    return {
        "id": "own",
        "name": "Your camera",
        "source": source,
        "loop": not ("://" in video or video.isdecimal()),
        "zones": [
            {
                "id": "view",
                "name": "In view",
                "role": "area",
                "polygon": [[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]],
            }
        ],
        "lines": [
            {
                "id": "middle",
                "name": "Middle of the picture",
                "role": "entrance",
                "points": [[0.5, 1.0], [0.5, 0.0]],
            }
        ],
    }


def live_model(shared: Path, cameras: list[dict[str, Any]]) -> tuple[str, str]:
    """The detector's path; empty, and why, where there is none."""
    wanted = os.environ.get("MODEL", "")
    if wanted:
        places = [Path(wanted)]
    elif all(camera["source"].startswith(simulator.SCHEME) for camera in cameras):
        places = [RENDERED_MODEL]
    else:
        places = [shared / "models" / name for name in MODELS]
    for place in places:
        if place.is_file():
            return str(place.resolve()), ""
    return "", f"no model at {' or '.join(str(place) for place in places)}"


def write_web_orders(source: Path, target: Path, now: datetime) -> list[generator.Order]:
    """Move the web shop's orders by one constant offset that puts a busy noon at `now`.

    What is past goes into `target`; returned are the orders that are still to come.
    """
    lines = f"read_parquet('{source}')"
    database = duckdb.connect()
    noon = database.execute(
        f"select date_trunc('hour', invoice_date) as noon from {lines}"
        " where hour(invoice_date) = 12 and not invoice_no like 'C%'"
        f" and invoice_date between (select min(invoice_date) + interval 60 day from {lines})"
        f" and (select max(invoice_date) - interval 14 day from {lines})"
        " group by 1 order by count(distinct invoice_no) desc limit 1"
    ).fetchone()
    if noon is None:
        raise RuntimeError(f"{source} holds no noon")
    offset = (now.replace(tzinfo=None) - noon[0]).total_seconds()
    database.execute(
        "create view moved as select * replace"
        f" (invoice_date + to_seconds({offset}) as invoice_date) from {lines}"
    )
    moment = f"timestamp '{now:%Y-%m-%d %H:%M:%S}'"
    database.execute(
        f"copy (from moved where invoice_date <= {moment}) to '{target}' (format parquet)"
    )
    ahead = database.execute(
        "select invoice_no, min(invoice_date), sum(quantity * unit_price), sum(quantity)"
        f" from moved where invoice_date > {moment} and not invoice_no like 'C%'"
        f" and invoice_date < {moment} + interval 12 hour group by 1"
    ).fetchall()
    return [
        generator.Order(name, time.replace(tzinfo=UTC), round(value, 2), max(int(units), 1))
        for name, time, value, units in ahead
        if value > 0
    ]


def central_settings(folder: Path, mqtt_port: int, http_port: int, webhook: str) -> dict[str, Any]:
    """Central's settings for the demo, and a write key for each till."""
    keys = {shop.site: secrets.token_hex(8) for shop in generator.SHOPS}
    keys[WEB] = secrets.token_hex(8)
    sites = [{"id": LIVE, "name": "Live shop"}]
    sites += [{"id": shop.site, "name": shop.name} for shop in generator.SHOPS]
    sites.append({"id": WEB, "name": "Web shop", "kind": "web"})
    return {
        "data": str(folder / "data"),
        "broker": {"port": mqtt_port},
        "http": {"port": http_port},
        "sites": sites,
        "write_keys": [
            {"key": key, "site": site, "channel": "web" if site == WEB else "pos"}
            for site, key in keys.items()
        ],
        "webhooks": [{"url": webhook}],
    }


def run_import(settings: Path, *arguments: str) -> None:
    """Run `passerby-central import`; its own words go to the screen."""
    command = [PYTHON, "-m", "central", "import", *arguments, "--config", str(settings)]
    subprocess.run(command, check=True)


def wait_for(url: str, process: subprocess.Popen[bytes], seconds: float = 180.0) -> None:
    """Wait until an address answers. Raises RuntimeError where the process ends before."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"ended with exit code {process.returncode}")
        try:
            if httpx.get(url, trust_env=False).is_success:
                return
        except httpx.HTTPError:
            time.sleep(0.2)
    raise RuntimeError(f"{url} did not answer within {seconds:g} s")


def end(process: subprocess.Popen[bytes], seconds: float = 20.0) -> None:
    """Ask a process to stop, and make sure that it does."""
    process.terminate()
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def until_stopped(seconds: float | None, stop: threading.Event, health: Callable[[], Any]) -> None:
    """Wait, with a line of progress every ten seconds."""
    deadline = time.monotonic() + seconds if seconds else float("inf")
    while (left := deadline - time.monotonic()) > 0 and not stop.wait(min(left, 10.0)):
        now = health()
        say(
            f"  {now['events_stored']:,} events stored, {now['orders']:,} orders,"
            f" {now['incidents']} incidents, {now['notified']} notices, tick {now['tick_seconds']}"
        )


def summary(health: dict[str, Any]) -> dict[str, int]:
    """The demo's last line."""
    events = health["events"]
    cameras = [
        camera
        for device in health["devices"]
        if device["site"] == LIVE
        for camera in device["cameras"].values()
    ]
    return {
        "frames": sum(camera["frames"] for camera in cameras),
        "crossings": events.get("crossing", 0),
        "visits": events.get("visit", 0),
        "paths": events.get("path", 0),
        "batches": health["batches"],
        **{
            name: health[name]
            for name in (
                "events_stored",
                "gaps",
                "duplicates",
                "orders",
                "points",
                "incidents",
                "notified",
            )
        },
    }


def start_live_shop(
    folder: Path, shared: Path, mqtt_port: int, console: str, bind: str
) -> tuple[subprocess.Popen[bytes] | None, str]:
    """Start the live shop's agent; its page, or an empty address where it cannot run."""
    try:
        cameras = live_cameras(shared)
    except EdgeError as error:
        say(f"No live shop: {error}")
        return None, ""
    model, no_model = live_model(shared, cameras)
    if no_model:
        say(
            f"No live shop: {no_model}. Eleven generated shops run alone; name a detector with"
            " `make demo VIDEO=0 MODEL=detector.onnx` (0 is the webcam)."
        )
        return None, ""
    settings = {
        "site": LIVE,
        "device": "live-1",
        "name": "Live shop",
        "model": model,
        "broker": {"host": "127.0.0.1", "port": mqtt_port},
        "state": str(folder / "live"),
        "health_every_seconds": 5,
        "cameras": cameras,
    }
    path = folder / "agent.yaml"
    path.write_text(yaml.safe_dump(settings), encoding="utf-8")
    port = broker.free_port(LIVE_PORT)
    command = [PYTHON, "-m", "deploy.demo.live_shop", "--config", str(path)]
    command += ["--bind", bind, "--port", str(port), "--console", console]
    with (folder / "agent.log").open("ab") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
    url = f"http://127.0.0.1:{port}"
    try:
        wait_for(f"{url}/dots", process)
    except RuntimeError as error:
        words = (folder / "agent.log").read_text(errors="replace").strip().splitlines()
        say(f"The live shop {error}: {words[-1] if words else 'without a word'}")
        return None, ""
    say(f"Live shop: {', '.join(camera['name'] for camera in cameras)}; {Path(model).name}")
    return process, url


def main() -> int:
    """Run the demo; 0 if everything that it promises was seen to happen."""
    seconds = float(os.environ["FOR"]) if os.environ.get("FOR") else None
    shared = Path(os.environ.get("PASSERBY_SHARED", "../shared"))
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    folder = Path(tempfile.mkdtemp(prefix="passerby-demo-"))
    with ExitStack() as cleanup:
        cleanup.callback(shutil.rmtree, folder, ignore_errors=True)
        return run(folder, shared, seconds, stop, cleanup)


def run(
    folder: Path, shared: Path, seconds: float | None, stop: threading.Event, cleanup: ExitStack
) -> int:
    """Start everything, wait, stop everything, and say what happened."""
    now = datetime.now(UTC)
    bind = os.environ.get("BIND") or "127.0.0.1"
    mqtt_port, http_port = broker.free_port(), broker.free_port(CONSOLE_PORT)
    process, name = broker.start(folder, mqtt_port)
    cleanup.callback(end, process)
    say(f"Broker: {name} on 127.0.0.1:{mqtt_port}")
    receiver = Receiver()
    cleanup.callback(receiver.stop)

    settings = central_settings(folder, mqtt_port, http_port, receiver.url)
    settings["http"]["host"] = bind
    path = folder / "central.yaml"
    path.write_text(yaml.safe_dump(settings), encoding="utf-8")
    say("Eleven generated shops: six weeks of windows")
    pq.write_table(generator.history(now, SEED), folder / "history.parquet")
    run_import(path, "windows", str(folder / "history.parquet"))
    ahead: list[generator.Order] = []
    online = shared / "retail" / "online_retail.parquet"
    if online.is_file():
        say("Web shop: a year of orders, moved so that a busy noon is now")
        ahead = write_web_orders(online, folder / "web.parquet", now)
        run_import(path, "orders", str(folder / "web.parquet"), "--site", WEB)
    else:
        say(f"No web shop: {online} is not there; the tills' orders are.")

    console = f"http://127.0.0.1:{http_port}"
    with (folder / "central.log").open("ab") as log:
        central = subprocess.Popen(
            [PYTHON, "-m", "central", "serve", "--config", str(path)],
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    cleanup.callback(end, central)
    say("Central starts; its first start compiles the detectors, which can take half a minute")
    wait_for(f"{console}/v1/health", central)
    live, page = start_live_shop(folder, shared, mqtt_port, console, bind)
    if live:
        cleanup.callback(end, live)
    keys = {key["site"]: key["key"] for key in settings["write_keys"]}
    shops = feed.Feed(folder, Broker(port=mqtt_port), console, keys, now, SEED)
    shops.add_orders(WEB, ahead)
    shops.start()
    say("")
    say(f"Open {page or console}")
    say("Two faults are on their way: York's camera stops, and so do the tills at Leeds.")
    say(f"Stops after {seconds:g} s." if seconds else "Ctrl-C stops it.")

    def health() -> dict[str, Any]:
        answer: dict[str, Any] = httpx.get(
            f"{console}/v1/health", trust_env=False, timeout=60
        ).json()
        return answer

    until_stopped(seconds, stop, health)
    say("Stopping")
    if live:
        end(live)
    drained = shops.stop()
    time.sleep(2.5)  # one more tick, for what came last
    result = summary(health())
    for notice in receiver.received:
        say(f"  {notice['data']['sentence']}")
    missing = [name for name in REQUIRED if not result[name]]
    if result["gaps"] or not drained or shops.problems:
        missing.append("a gapless end")
    if missing:
        tail = (folder / "central.log").read_text(errors="replace").splitlines()[-15:]
        say("\n".join(["Not seen: " + ", ".join(missing), *tail]))
    say(json.dumps(result))
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())

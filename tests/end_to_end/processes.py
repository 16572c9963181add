"""Real processes for the tests: a broker, central and a device, each of which can be killed."""

import json
import multiprocessing
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import duckdb
import httpx
import yaml

from deploy.demo.broker import free_port, mosquitto

ROOT = Path(__file__).parents[2]
SITE, DEVICE = "leeds", "door-1"


def wait_until(check: Callable[[], Any], seconds: float, what: Callable[[], str] | str) -> Any:
    """Poll until `check` gives something true. Raises AssertionError after `seconds`."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = check()
        if found:
            return found
        time.sleep(0.05)
    words = what if isinstance(what, str) else what()
    raise AssertionError(f"not within {seconds:g} s: {words}")


class Process:
    """A program with its log; killed at the latest when its test ends."""

    def __init__(self, folder: Path, name: str, command: list[str]) -> None:
        self.name, self.command = name, command
        self.log = folder / f"{name}.log"
        self._file: IO[bytes] = self.log.open("ab")
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.process = subprocess.Popen(
            self.command, stdout=self._file, stderr=self._file, cwd=ROOT, env=os.environ
        )

    @property
    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def kill(self) -> None:
        """SIGKILL: no chance to tidy up."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def stop(self, seconds: float = 120.0) -> int:
        """SIGTERM, and the exit code."""
        assert self.process is not None, f"{self.name} is not running"
        self.process.terminate()
        code = self.process.wait(seconds)
        self.process = None
        return code

    def words(self) -> str:
        """The log so far."""
        return self.log.read_text(errors="replace")

    def close(self) -> None:
        self.kill()
        self._file.close()


class Forked:
    """A function in a process that has imported all it needs already; killed like a `Process`."""

    def __init__(self, target: Callable[..., None], *arguments: object) -> None:
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload([target.__module__])
        self._target, self._arguments = target, arguments

    def start(self) -> None:
        self._process = self._context.Process(target=self._target, args=self._arguments)
        self._process.start()

    @property
    def alive(self) -> bool:
        return self._process.is_alive()

    def kill(self) -> None:
        self._process.kill()
        self._process.join()

    def stop(self, seconds: float = 120.0) -> int:
        """SIGTERM, and the exit code."""
        self._process.terminate()
        self._process.join(seconds)
        assert self._process.exitcode is not None
        return self._process.exitcode


class Stack:
    """A broker without persistence and a central, on free ports of 127.0.0.1."""

    def __init__(self, folder: Path, settings: dict[str, Any] | None = None) -> None:
        self.folder = folder
        self.mqtt_port, self.http_port = free_port(), free_port()
        self.data = folder / "data"
        conf = folder / "mosquitto.conf"
        conf.write_text(f"listener {self.mqtt_port} 127.0.0.1\nallow_anonymous true\n")
        self.broker = Process(folder, "broker", [mosquitto() or "mosquitto", "-c", str(conf)])
        self.settings = folder / "central.yaml"
        self.settings.write_text(
            yaml.safe_dump(
                {
                    "data": str(self.data),
                    "broker": {"port": self.mqtt_port},
                    "http": {"port": self.http_port},
                    "sites": [{"id": SITE, "name": "Leeds"}],
                    **(settings or {}),
                }
            )
        )
        serve = [sys.executable, "-m", "central", "serve", "--config", str(self.settings)]
        self.central = Process(folder, "central", serve)
        self._others: list[Process] = []

    def start(self) -> None:
        self.broker.start()
        self.start_central()

    def start_central(self) -> None:
        self.central.start()
        wait_until(self.health, 300, f"central answers\n{self.central.words()}")

    def run(self, name: str, *command: str) -> Process:
        """Another program of this interpreter, started."""
        process = Process(self.folder, name, [sys.executable, *command])
        self._others.append(process)
        process.start()
        return process

    def get(self, path: str, **params: str) -> Any:
        url = f"http://127.0.0.1:{self.http_port}{path}"
        return httpx.get(url, params=params, trust_env=False, timeout=60).raise_for_status().json()

    def health(self) -> dict[str, Any] | None:
        try:
            found: dict[str, Any] = self.get("/v1/health")
        except httpx.HTTPError:
            return None
        return found

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Rows of floor.duckdb; central must have stopped."""
        with duckdb.connect(str(self.data / "floor.duckdb"), read_only=True) as database:
            return database.execute(sql).fetchall()

    def command(self, *arguments: str, code: int = 0) -> str:
        """What a command of `passerby-central` says; it must end with that exit code."""
        done = subprocess.run(
            [sys.executable, "-m", "central", *arguments, "--config", str(self.settings)],
            capture_output=True,
            text=True,
            cwd=ROOT,
            check=False,
        )
        assert done.returncode == code, done.stderr
        return done.stdout + done.stderr

    def close(self) -> None:
        for process in (*self._others, self.central, self.broker):
            process.close()


class Feeder:
    """The device of `feeder.py`: seeded events through the real outbox and publisher."""

    def __init__(self, stack: Stack, batches: int, *options: str) -> None:
        self._stack = stack
        self._state = stack.folder / "state"
        arguments = [str(ROOT / "tests/end_to_end/feeder.py"), str(stack.mqtt_port)]
        arguments += [str(self._state), str(batches), *options]
        self.process = stack.run("feeder", *arguments)

    def progress(self) -> dict[str, int]:
        """The feeder's newest line: batches waiting, events numbered so far."""
        lines = [line for line in self.process.words().splitlines() if line.endswith("}")]
        found: dict[str, int] = json.loads(lines[-1]) if lines else {"waiting": 0, "numbered": 0}
        return found

    def restart(self) -> None:
        self.process.start()

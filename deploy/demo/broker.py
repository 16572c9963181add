"""A broker of the demo's own: Mosquitto where it is installed, else the embedded amqtt."""

import asyncio
import logging
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path


def free_port(wanted: int = 0) -> int:
    """A TCP port that nothing listens on: the wanted one if it is free, else any."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", wanted))
        except OSError:
            probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def mosquitto() -> str | None:
    """Mosquitto's path, if it is installed."""
    return shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")


def start(folder: Path, port: int) -> tuple[subprocess.Popen[bytes], str]:
    """Start a broker that keeps nothing on disk; its process and name.

    Raises RuntimeError where it ends, or does not listen within a minute.
    """
    program = mosquitto()
    if program:
        settings = folder / "mosquitto.conf"
        settings.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\n")
        command, name = [program, "-c", str(settings)], "Mosquitto"
    else:
        command, name = [sys.executable, "-m", "deploy.demo.broker", str(port)], "amqtt (embedded)"
    with (folder / "broker.log").open("ab") as log:
        # A Ctrl-C is for the demo, which stops its parts in their order.
        process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
    deadline = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), 0.5).close()
        except OSError:
            time.sleep(0.1)
        else:
            return process, name
    process.kill()
    raise RuntimeError(f"{name} did not start; see {folder / 'broker.log'}")


async def _embedded(port: int) -> None:
    from amqtt.broker import Broker

    settings = {
        "listeners": {"default": {"type": "tcp", "bind": f"127.0.0.1:{port}"}},
        "plugins": {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}},
    }
    broker = Broker(settings)
    await broker.start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING)
    asyncio.run(_embedded(int(sys.argv[1])))

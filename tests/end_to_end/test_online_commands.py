"""Commands about online events in processes of their own: beside `serve`, and killed."""

import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import httpx

from central import scrub
from tests.end_to_end.processes import ROOT, Stack, wait_until

KEY, ADA = "web-shop-key", "marguerite@example.org"


def central(settings: Path, *arguments: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "central", *arguments, "--config", str(settings)]
    return subprocess.Popen(
        command, cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def test_a_person_is_forgotten_while_serve_runs(tmp_path: Path) -> None:
    keys = [{"key": KEY, "site": "web", "channel": "web"}]
    stack = Stack(tmp_path, {"sites": [{"id": "web", "kind": "web"}], "write_keys": keys})
    stack.start()
    try:
        url = f"http://127.0.0.1:{stack.http_port}/v1/track"
        for user in (ADA, "robert@example.org"):
            call = {"event": "Order Completed", "userId": user}
            body = {**call, "properties": {"order_id": user[:1], "total": 5, "postcode": "LS1"}}
            answer = httpx.post(url, json=body, auth=(KEY, ""), trust_env=False)
            assert answer.json() == {"success": True}
        command = central(stack.settings, "forget", ADA)
        said, progress = command.communicate(timeout=300)
        assert command.returncode == 0, progress
        assert "1 ids forgotten; rows removed: 1 of online" in said
        assert "overwriting what is free in central.duckdb" in progress
        assert (stack.data / "central.sock").exists()
        assert [each["count"] for each in stack.get("/v1/events")] == [1]
        for name in ("central.duckdb", "floor.duckdb"):
            assert scrub.traces(stack.data / name, [ADA.encode(), b"margueri"]) == 0
    finally:
        stack.close()


def test_an_import_that_is_killed_goes_on(tmp_path: Path) -> None:
    settings, data = tmp_path / "central.yaml", tmp_path / "data"
    settings.write_text(f"data: {data}\n")
    lines = tmp_path / "events.ndjson"
    moment = datetime.now(UTC).isoformat()
    with lines.open("w") as file:
        for number in range(20_000):
            call: dict[str, Any] = {"type": "track", "event": "Odd", "messageId": f"m{number}"}
            file.write(json.dumps({**call, "timestamp": moment}) + "\n")
    arguments = ("import", "online", str(lines), "--site", "web")
    killed = central(settings, *arguments)
    assert killed.stderr is not None
    first = wait_until(killed.stderr.readline, 120, "the import says how far it is")
    killed.kill()
    killed.communicate()
    assert first == "1,000 lines\n"
    command = central(settings, *arguments)
    said, progress = command.communicate(timeout=300)
    assert command.returncode == 0, progress
    assert said.startswith("20,000 lines read, "), said
    assert "0 known before" in said
    assert not progress.startswith("1,000 lines")
    with duckdb.connect(str(data / "central.duckdb"), read_only=True) as database:
        query = "select count(*), count(distinct message_id) from online"
        assert database.execute(query).fetchall() == [(20_000, 20_000)]

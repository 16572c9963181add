"""The pages about connecting: their commands do what they say."""

import json
import re
from pathlib import Path

import httpx
import pytest
import yaml

from central.__main__ import main
from central.config import Config
from central.intake.imports import OnlineMapping
from central.intake.online import OnlineIntake
from central.store import Store
from tests.central.intake.online_app import Client

DOCS = Path(__file__).parents[2] / "docs"
CURL = re.compile(r"curl -u \"\$(\w+):\" \$CENTRAL(\S+) -d '(.*?)'$", re.MULTILINE | re.DOTALL)


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", (DOCS / page).read_text(), re.M | re.S)


def settings(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "central.yaml"
    path.write_text(f"data: {tmp_path / 'data'}\n" + text)
    return path


def test_a_till_is_connected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    settings(tmp_path, "sites: [{id: leeds, time_zone: Europe/London}, {id: york}]\n")
    Path("till.yaml").write_text(blocks("connect-a-till.md", "yaml")[0])
    Path("till.csv").write_text(blocks("connect-a-till.md", "csv")[0])
    (command,) = blocks("connect-a-till.md", "sh")
    (said,) = blocks("connect-a-till.md", "text")
    main(command.split()[1:])
    assert capsys.readouterr().out == said


def test_a_web_shop_is_connected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    config, shopify, mapping = blocks("connect-a-web-shop.md", "yaml")
    keys = {f"{name}_KEY": f"{name}-key-1" for name in ("WEB", "APP", "SEARCH", "EMAIL", "SOCIAL")}
    keys |= {"SUPPORT_KEY": "SUPPORT-key-1", "SHOPIFY_SECRET": "the-shop's-secret"}
    for name, value in keys.items():
        monkeypatch.setenv(name, value)
    path = settings(tmp_path, config + shopify)
    values = yaml.safe_load(re.sub(r"\$\{(\w+)\}", lambda found: keys[found[1]], path.read_text()))
    store = Store(tmp_path / "data")
    client = Client(OnlineIntake(store, Config.model_validate(values)))
    examples, *_ = [block for block in blocks("connect-a-web-shop.md", "sh") if "curl" in block]
    calls = CURL.findall(examples)
    assert len(calls) == examples.count("curl") == 7
    for key, address, body in calls:
        answer: httpx.Response = client.post(address, json.loads(body), keys[key])
        assert answer.json() == {"success": True}
    found = store.central().execute(
        "select count(*), count(distinct channel), count(*) filter (person = 'ada') from online"
    )
    assert found.fetchall() == [(8, 6, 7)]
    query = "select value, store, fulfilment, region, postcode from orders"
    assert store.central().execute(query).fetchall() == [
        (24.5, "leeds", "collect", "Yorkshire", "LS1 4AP")
    ]
    assert store.central().execute("from quarantine").fetchall() == []
    store.close()
    rules = OnlineMapping.model_validate(yaml.safe_load(mapping))
    assert rules.names["home"] == "Home"
    Path("clicks.yaml").write_text(mapping)
    Path("clicks.csv").write_text(
        "event,timestamp,user_id,session_id,platform\nhome,2026-03-01 12:00:00,bob,s,desktop\n"
    )
    Path("events.ndjson.gz").write_bytes(b"")
    imports = next(block for block in blocks("connect-a-web-shop.md", "sh") if "clicks" in block)
    main(imports.splitlines()[1].split()[1:])
    assert "1 lines read: 1 events" in capsys.readouterr().out
    forget = blocks("connect-a-web-shop.md", "sh")[-1]
    main(forget.replace("ada@example.org", "ada").split()[1:])
    assert "1 of link" in capsys.readouterr().out

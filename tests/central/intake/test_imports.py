"""Imports that go on where they stopped, and till receipts."""

import csv
import gzip
import json
from collections.abc import Generator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import pytest
import yaml

from central import local
from central.commands import Scope
from central.config import Config, ConfigError, Site
from central.intake import files, imports, parts, till
from central.intake.events import Intake
from central.intake.online import OnlineIntake
from central.intake.parts import ImportFileError
from central.store import LockedError, Store
from tests.central.intake.online_app import quarantine, rows

Done = TypeVar("Done")
CONFIG = Config(
    sites=(
        Site(id="leeds", time_zone="Europe/London"),
        Site(id="york", time_zone="Europe/London", currency="EUR"),
        Site(id="web", kind="web", currency="EUR"),
    )
)


def drain(importing: Generator[str, None, Done], stop_after: int | None = None) -> Done | None:
    """Run an import to its end, or leave it as a kill does: between two parts."""
    for _ in range(stop_after if stop_after is not None else 10**9):
        try:
            next(importing)
        except StopIteration as end:
            done: Done = end.value
            return done
    importing.close()
    return None


def events(store: Store) -> list[Any]:
    columns = 'message_id, kind, name, "time", user_id, properties'
    return rows(store, f"select {columns} from online order by all")


def lines(count: int) -> list[dict[str, Any]]:
    moment = datetime(2026, 3, 2, tzinfo=UTC).isoformat()
    return [
        {"type": "track", "event": "Odd", "messageId": f"m{number}", "timestamp": moment}
        for number in range(count)
    ]


@pytest.fixture
def ndjson(tmp_path: Path) -> Path:
    path = tmp_path / "events.ndjson.gz"
    sold = {"order_id": "1", "total": 5}
    calls = [
        *lines(25),
        {**lines(1)[0], "event": "Order Completed", "properties": sold, "messageId": "o"},
        {"type": "track", "event": "Dateless", "messageId": "d"},
        {**lines(1)[0], "type": "tracks"},
        {  # as it was exported: when it was received says how wrong its clock was
            **lines(1)[0],
            "messageId": "late",
            "timestamp": "2026-03-01T00:00:10Z",
            "sentAt": "2026-03-01T00:01:10Z",
            "receivedAt": "2026-03-05T00:01:00Z",
        },
    ]
    body = "\n".join(json.dumps(call) for call in calls) + '\n\n{"broken\n'
    path.write_bytes(gzip.compress(body.encode()))
    return path


def online(store: Store, path: Path, **more: Any) -> Generator[str, None, imports.Imported]:
    return imports.online_import(store, CONFIG, path, site="web", channel="web", **more)


def test_calls_are_imported_once(store: Store, ndjson: Path) -> None:
    done = drain(online(store, ndjson))
    assert done
    assert str(done) == (
        "30 lines read: 27 events and 1 orders, 0 known before, 0 of people who were forgotten,"
        " 3 in quarantine"
    )
    assert [place for place, _ in quarantine(store)] == [
        f"import events.ndjson.gz:{number}" for number in (27, 28, 30)
    ]
    late = rows(store, "select \"time\" from online where message_id = 'late'")
    assert late == [(datetime(2026, 3, 5),)]
    assert rows(store, "select sum(value) from partial where measure = 'revenue:EUR'") == [(5.0,)]
    found = events(store), quarantine(store)
    again = drain(online(store, ndjson))
    assert again
    assert (again.taken.events, again.taken.duplicates) == (0, 27)
    assert (events(store), quarantine(store)) == found


@pytest.mark.parametrize("stopped", range(4))
def test_a_stopped_import_goes_on(
    store: Store, ndjson: Path, monkeypatch: pytest.MonkeyPatch, stopped: int
) -> None:
    monkeypatch.setattr(imports, "LINES_A_PART", 10)
    drain(online(store, ndjson), stopped)
    done = drain(online(store, ndjson))
    assert done
    assert (done.lines, done.begun) == (30, 10 * stopped)
    assert done.taken.duplicates == 0
    assert len(events(store)) == 27
    assert len(quarantine(store)) == 3
    assert rows(store, "from importing") == []


def test_columns_become_calls(store: Store, shared: Path, tmp_path: Path) -> None:
    mapping = tmp_path / "clicks.yaml"
    rules = {
        "event": "event",
        "time": "timestamp",
        "user_id": "user_id",
        "pages": ["home", "promo_page"],
        "names": {"home": "Home", "product_view": "Product Viewed"},
        "properties": ["session_id", "platform"],
    }
    mapping.write_text(yaml.safe_dump(rules))
    path = shared / "retail" / "clickstream.csv.gz"
    done = drain(online(store, path, mapping=mapping))
    assert done
    assert done.lines == 31_106
    with gzip.open(path, "rt") as file:
        truth = {
            tuple(row[name] for name in ("user_id", "session_id", "event", "timestamp", "platform"))
            for row in csv.DictReader(file)
        }
    assert done.taken.events == len(truth)
    assert done.taken.events + done.taken.duplicates == 31_106
    viewed = sum(event == "product_view" for _, _, event, _, _ in truth)
    query = "select count(*) from online where name = 'Product Viewed' and kind = 'track'"
    assert rows(store, query) == [(viewed,)]
    query = "select kind, name from online where name = 'Home' limit 1"
    assert rows(store, query) == [("page", "Home")]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a,b\n1,2\n", "absent: event, time, twice: none"),
        ("event,time,event\n1,2,3\n", "twice: event"),
    ],
)
def test_columns_that_are_not_there_once_are_named(
    store: Store, tmp_path: Path, text: str, words: str
) -> None:
    mapping, path = tmp_path / "m.yaml", tmp_path / "a.csv"
    mapping.write_text("{event: event, time: time}")
    path.write_text(text)
    with pytest.raises(ImportFileError, match=words):
        drain(online(store, path, mapping=mapping))


def test_a_stopped_import_of_orders_goes_on(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "ORDERS_A_PART", 4)
    path = tmp_path / "shop.csv"
    body = "\n".join(f"{number},2026-03-02 10:00:00,5,c{number}" for number in range(10))
    path.write_text("id,time,value,customer_id\n" + body)

    def importing() -> Generator[str, None, files.Imported]:
        return files.order_import(store, path, site="web", channel="web", currency="EUR")

    said = importing()
    assert next(said) == "4 of 10 orders"
    said.close()
    assert rows(store, "select count(*) from orders") == [(4,)]
    done = drain(importing())
    assert done
    assert rows(store, "select count(*), sum(value), count(distinct person) from orders") == [
        (10, 50.0, 10)
    ]


TILL = """\
Filiale;Kasse;Bon;Tag;Zeit;Artikel;Menge;Preis;Kassierer;Karte
001;1;17;02.03.2026;02.03.2026 14:05;Tea;2;3,50;Meier;K1
001;1;17;02.03.2026;02.03.2026 14:05;Cup;1;4,00;Meier;K1
001;1;18;02.03.2026;02.03.2026 23:59;Cup;-1;4,00;Schulz;
001;1;18;03.03.2026;03.03.2026 09:00;Tea;1;3,50;Schulz;
002;1;17;02.03.2026;02.07.2026 14:05;Tea;1;3,50;Meier;
001;2;19;02.03.2026;02.03.2026 14:09;Tea;1;3,50;Huber;K7
001;2;19;02.03.2026;02.03.2026 14:09;Cup;1;dear;Huber;K7
001;2;20;02.03.2026;02.03.1999 14:09;Cup;1;1,00;Huber;
001;;21;02.03.2026;02.03.2026 14:09;Cup;1;1,00;Huber;
009;1;1;02.03.2026;02.03.2026 14:09;Cup;1;1,00;Huber;
"""
RULES: dict[str, Any] = {
    "stores": {"001": "leeds", "002": "york"},
    "separator": ";",
    "decimal": ",",
    "day_format": "%d.%m.%Y",
    "time_format": "%d.%m.%Y %H:%M",
    "columns": {
        "store": "Filiale",
        "till": "Kasse",
        "sequence": "Bon",
        "business_day": "Tag",
        "time": "Zeit",
        "quantity": "Menge",
        "price": "Preis",
        "customer": "Karte",
    },
}


def receipts(
    store: Store, folder: Path, text: str = TILL, **changes: Any
) -> Generator[str, None, till.Imported]:
    path, mapping = folder / "till.csv", folder / "till.yaml"
    path.write_text(text)
    mapping.write_text(yaml.safe_dump({**RULES, **changes}))
    return till.till_import(store, CONFIG, path, mapping)


FOUND = [
    ("leeds", "2026-03-02/1/17", datetime(2026, 3, 2, 14, 5), 11.0, 3.0, "GBP", "sale", "K1"),
    ("leeds", "2026-03-02/1/18", datetime(2026, 3, 2, 23, 59), -4.0, -1.0, "GBP", "return", None),
    ("leeds", "2026-03-03/1/18", datetime(2026, 3, 3, 9), 3.5, 1.0, "GBP", "sale", None),
    ("york", "2026-03-02/1/17", datetime(2026, 7, 2, 13, 5), 3.5, 1.0, "EUR", "sale", None),
]


def test_lines_become_receipts(store: Store, tmp_path: Path) -> None:
    for known in (0, 4):
        done = drain(receipts(store, tmp_path))
        assert done == till.Imported(lines=10, receipts=3, returns=1, known=known, refused=5)
        columns = 'site, order_id, "time", value, units, currency, kind, customer'
        assert rows(store, f"select {columns} from orders order by 1, 2") == FOUND
    assert quarantine(store) == [
        ("import till.csv:7", "another line of its receipt: the amount is no number"),
        ("import till.csv:8", "the amount is no number"),
        ("import till.csv:9", "time is before 2000 or to come"),
        ("import till.csv:10", "till or sequence is empty"),
        ("import till.csv:11", "store: the mapping knows no such store"),
    ]


def test_nobody_at_the_till_is_stored(store: Store, tmp_path: Path) -> None:
    drain(receipts(store, tmp_path))
    store.close()
    for path in (tmp_path / "data").iterdir():
        if path.is_file():
            assert not any(name in path.read_bytes() for name in (b"Meier", b"Schulz", b"Huber"))


def test_a_stopped_import_of_receipts_goes_on(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "ORDERS_A_PART", 2)
    drain(receipts(store, tmp_path), 1)
    assert rows(store, "select count(*) from orders") == [(2,)]
    drain(receipts(store, tmp_path))
    assert rows(store, "select count(*), sum(value) from orders") == [(4, 14.0)]


def test_times_with_an_offset_and_lines_with_a_value(store: Store, tmp_path: Path) -> None:
    columns = {"till": "t", "sequence": "n", "business_day": "d", "time": "at", "value": "v"}
    text = "t,n,d,at,v\n1,1,2026-07-01,2026-07-01T23:30:00+02:00,5\n"
    text += "1,2,2026-07-01,2026-07-01 23:30,6\n"
    rules = {"columns": columns, "site": "leeds", "stores": {}, "separator": ",", "decimal": "."}
    drain(receipts(store, tmp_path, text, **rules, day_format=None, time_format=None))
    query = 'select order_id, "time", value from orders order by 1'
    assert rows(store, query) == [
        ("2026-07-01/1/1", datetime(2026, 7, 1, 21, 30), 5.0),
        ("2026-07-01/1/2", datetime(2026, 7, 1, 22, 30), 6.0),
    ]


@pytest.mark.parametrize(
    ("changes", "text", "words"),
    [
        ({"operator": "Kassierer"}, TILL, "till.yaml: operator: Extra inputs"),
        ({"columns": {**RULES["columns"], "operator": "x"}}, TILL, "columns.operator: Extra"),
        ({"site": "leeds"}, TILL, "give `site`, or `stores` and `columns.store`"),
        ({"columns": {**RULES["columns"], "price": None}}, TILL, "name the column `value`"),
        ({"separator": ",,"}, TILL, "separator: "),
        ({}, TILL.replace("Bon;", "Nr;"), "Bon are not; the file has Filiale, Kasse, Nr"),
        ({}, TILL.replace("Artikel", "Bon"), "must be there once, and Bon are not"),
    ],
)
def test_a_mapping_that_does_not_fit_says_so(
    store: Store, tmp_path: Path, changes: dict[str, Any], text: str, words: str
) -> None:
    with pytest.raises((ConfigError, ImportFileError)) as caught:
        drain(receipts(store, tmp_path, text, **changes))
    assert words in str(caught.value)


def test_the_command_line_shows_how_far_it_is(
    tmp_path: Path, ndjson: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = CONFIG.model_copy(update={"data": tmp_path / "files"})
    arguments = {"file": str(ndjson), "site": "web", "channel": "web", "mapping": None}
    said: list[str] = []
    words = local.run(config, "import-online", arguments, said.append)
    assert said == ["30 lines"]
    assert words.startswith("30 lines read: 27 events")
    store = Store(config.data)
    server = local.LocalServer(Scope(store, config, Intake(store), OnlineIntake(store, config)))
    server.start()

    def locked(folder: Path) -> Store:
        raise LockedError(f"{folder}: in use")

    monkeypatch.setattr(local, "Store", locked)
    try:
        assert "27 known before" in local.run(config, "import-online", arguments, said.append)
        assert said == ["30 lines"] * 2
        with pytest.raises(local.LocalError, match="no such file"):
            local.run(config, "import-online", {**arguments, "file": "/none"})
    finally:
        server.stop()
        store.close()

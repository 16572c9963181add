"""Features outside the database: files by date, replaced as a whole, and three forms over HTTP."""

import asyncio
import io
import json
from collections import Counter
from datetime import date, time, timedelta
from pathlib import Path

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fastapi import FastAPI

from central import api, export, local
from central.config import Config, Hours, Site
from central.dictionary import COLUMNS
from central.service import Service
from central.store import Store
from tests.central import shop
from tests.central.shop import MONDAY, SITE
from tests.central.test_features import visitors

LIMA = Site(id=SITE, time_zone="America/Lima", hours=Hours(open=time(9), close=time(21)))
WEEK = MONDAY, MONDAY + timedelta(days=7)


def config(folder: Path) -> Config:
    return Config(data=folder, sites=(LIMA,))


def fill(store: Store, count: int = 12) -> None:
    """Two busy hours of Lima's Monday evening, of which the second is Tuesday by UTC."""
    evening: Counter[shop.Cell] = visitors(0, 23, count) + visitors(1, 0, count)
    shop.put(store, shop.seen(2, MONDAY + timedelta(hours=5)) + evening)
    shop.close(store, MONDAY + timedelta(days=2))


def read(folder: Path) -> dict[str, list[int | None]]:
    """By file, the visits in it."""
    return {
        path.parent.name: pq.read_table(path, partitioning=None)["visits"].to_pylist()
        for path in sorted(folder.glob("in_store/*/*"))
    }


def test_a_file_holds_the_cells_that_end_on_its_local_day(store: Store, tmp_path: Path) -> None:
    fill(store)
    settings, moment = config(tmp_path), MONDAY + timedelta(days=2)
    fresh = export.release(store, settings, moment)
    assert fresh == {date(2026, 3, 2)}
    assert export.write(store, settings, tmp_path) == 4
    told = [visits for visits in read(tmp_path)["date=2026-03-02"] if visits]
    assert told == [12, 12]
    assert list(read(tmp_path)) == ["date=2026-03-02"]


def test_files_are_replaced_and_nothing_is_left_behind(store: Store, tmp_path: Path) -> None:
    settings, moment = config(tmp_path), MONDAY + timedelta(days=2)
    for count, told in ((12, [12, 12]), (30, [12, 30, 12, 30])):
        fill(store, count)
        fresh = export.release(store, settings, moment)
        export.write(store, settings, tmp_path, fresh)
        assert [visits for visits in read(tmp_path)["date=2026-03-02"] if visits] == told
    assert export.write(store, settings, tmp_path, export.release(store, settings, moment)) == 0


def test_a_folder_that_cannot_be_written_is_told_of(store: Store, tmp_path: Path) -> None:
    fill(store)
    export.release(store, config(tmp_path), MONDAY + timedelta(days=2))
    (tmp_path / "in_store").write_text("a file")
    with pytest.raises(export.ExportError, match="choose a folder you may write"):
        export.write(store, config(tmp_path), tmp_path)


def get(app: FastAPI, params: dict[str, str]) -> httpx.Response:
    """Ask the application in this process."""

    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return await client.get("/v1/features/in_store", params=params)

    return asyncio.run(ask())


@pytest.mark.parametrize("form", ["parquet", "arrow", "json"])
def test_three_forms_say_the_same(store: Store, tmp_path: Path, form: export.Format) -> None:
    fill(store)
    export.release(store, config(tmp_path), MONDAY + timedelta(days=2))
    rows = export.table(store, *WEEK)
    body, _ = export.encode(rows, form)
    assert rows.num_rows == 4
    if form == "json":
        found = json.loads(body)
        assert [row["visits"] for row in found] == rows["visits"].to_pylist()
        assert found[0]["start"].endswith("Z")
    elif form == "parquet":
        assert pq.read_table(io.BytesIO(body)).equals(rows)
    else:
        assert pa.ipc.open_stream(body).read_all().equals(rows)


def test_the_api_tells_features_of_a_span(tmp_path: Path) -> None:
    settings = config(tmp_path / "data")
    service = Service(Store(settings.data), settings)
    fill(service.store)
    export.release(service.store, settings, MONDAY + timedelta(days=2))
    app = api.create(service)
    span = {"start": "2026-03-02T00:00:00Z", "stop": "2026-03-03T00:00:00Z"}
    try:
        answer = get(app, span)
        assert answer.status_code == 200
        assert {row["start"] for row in answer.json()} == {"2026-03-02T23:00:00Z"}
        assert set(answer.json()[0]) == {column.name for column in COLUMNS}
        files = get(app, span | {"format": "parquet"})
        assert pq.read_table(io.BytesIO(files.content)).num_rows == len(answer.json())
        for params, status in (
            (span | {"site": "nowhere"}, 404),
            (span | {"format": "xml"}, 422),
            ({"start": span["stop"], "stop": span["start"]}, 400),
        ):
            assert get(app, params).status_code == status
    finally:
        service.store.close()


def test_serve_releases_each_closed_day_once_and_writes_it(tmp_path: Path) -> None:
    settings = config(tmp_path / "data")
    service = Service(Store(settings.data), settings)
    try:
        fill(service.store)
        for _ in range(3):
            service._release([SITE], MONDAY + timedelta(days=2))
        path = settings.data / "features/in_store/date=2026-03-02/in_store.parquet"
        assert pq.read_table(path, partitioning=None).num_rows == 4
        before = path.stat().st_mtime_ns
        service._release([SITE], MONDAY + timedelta(days=2))
        assert path.stat().st_mtime_ns == before
    finally:
        service.store.close()


def test_the_command_releases_and_writes(tmp_path: Path) -> None:
    settings = config(tmp_path / "data")
    store = Store(settings.data)
    fill(store)
    store.close()
    said = local.run(settings, "export-features", {"folder": ""})
    assert said.startswith("4 rows in ")
    assert said.endswith("1 dates have got new ones")
    assert (settings.data / "features/in_store/date=2026-03-02/in_store.parquet").is_file()

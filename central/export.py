"""The released features outside the database: a folder of Parquet files by date, and tables.

`in_store/date=2026-03-02/in_store.parquet` holds the rows of the cells that end on that local day.
A file is replaced as a whole, so that whoever reads the folder meanwhile sees the old or the new.
"""

import io
from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from msgspec.json import encode as to_json

from central import features
from central.config import CentralError, Config
from central.dictionary import COLUMNS, PUBLIC
from central.store import Store, utc

ORDER = "order by event_timestamp, site, about, zone, start, snapshot"
_UTC = {column.name: pa.timestamp("us", "UTC") for column in COLUMNS if column.type == "timestamp"}
Format = Literal["parquet", "arrow", "json"]


class ExportError(CentralError):
    """The folder cannot be written."""

    exit_code = 2


def table(store: Store, start: datetime, stop: datetime, site: str = "") -> pa.Table:
    """The rows of all cells that end in (start, stop], of one site or of all. Times are UTC."""
    found: pa.Table = (
        store.central()
        .sql(
            f"select {PUBLIC} from released where event_timestamp > ? and event_timestamp <= ?"
            f" and ? in ('', site) {ORDER}",
            params=[utc(start), utc(stop), site],
        )
        .to_arrow_table()
    )
    # A timestamp without a zone is read as local time by some, Spark among them.
    return pa.table(
        {
            name: pc.assume_timezone(found[name], "UTC") if name in _UTC else found[name]
            for name in found.column_names
        }
    )


def encode(rows: pa.Table, form: Format) -> tuple[bytes, str]:
    """A table as bytes, and their media type."""
    if form == "json":
        return to_json(rows.to_pylist()), "application/json"
    buffer = io.BytesIO()
    if form == "parquet":
        pq.write_table(rows, buffer)
        return buffer.getvalue(), "application/vnd.apache.parquet"
    with pa.ipc.new_stream(buffer, rows.schema) as stream:
        stream.write_table(rows)
    return buffer.getvalue(), "application/vnd.apache.arrow.stream"


def release(store: Store, config: Config, now: datetime) -> set[date]:
    """Release what may be told now of all sites; the dates that have got new rows."""
    sites = store.central().execute("select site from progress order by 1").fetchall()
    return {day for (site,) in sites for day in features.release(store, config.site(site), now)}


def write(store: Store, config: Config, folder: Path, dates: Iterable[date] | None = None) -> int:
    """Write the files of some dates, or of all. Returns the number of rows in them.

    Raises ExportError.
    """
    wanted = None if dates is None else set(dates)
    first, last = (min(wanted), max(wanted)) if wanted else (date(1970, 1, 2), date(9999, 1, 1))
    # A local day begins and ends within a day of that of UTC.
    begin, end = (datetime.combine(day, time(0), UTC) for day in (first, last))
    rows = table(store, begin - timedelta(days=1), end + timedelta(days=2))
    days = [
        features.day(end.replace(tzinfo=None), config.site(site))
        for site, end in zip(
            rows["site"].to_pylist(), rows["event_timestamp"].to_pylist(), strict=True
        )
    ]
    column = pa.array(days, pa.date32())
    written = 0
    for day in sorted(set(days) if wanted is None else wanted):
        chosen = rows.filter(pc.equal(column, pa.scalar(day)))
        _replace(folder / "in_store" / f"date={day}" / "in_store.parquet", chosen)
        written += chosen.num_rows
    return written


def _replace(path: Path, rows: pa.Table) -> None:
    # Readers pass over names that begin with a dot.
    half = path.with_name(f".{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(rows, half)
        half.replace(path)
    except OSError as error:
        raise ExportError(f"{path}: {error.strerror}; choose a folder you may write") from error

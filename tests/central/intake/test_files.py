"""Orders and windows from files."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from central import windows
from central.intake.files import Imported, import_orders, import_windows, read
from central.intake.parts import ImportFileError
from central.store import Store

LINES = """order_id,time,quantity,price
1,2026-03-02 10:00:00,2,3.5
1,2026-03-02 10:00:05,1,4.0
1,2026-03-02 10:00:05,1,4.0
2,2026-03-02 11:00:00,1,10.0
C3,2026-03-02 12:00:00,-1,10.0
4,2026-03-02 12:30:00,-2,1.5
,2026-03-02 12:30:00,5,9.0
"""


def take(store: Store, path: Path, **changes: Any) -> Imported:
    settings: dict[str, Any] = {"site": "web", "channel": "web", "currency": "GBP"}
    return import_orders(store, path, **{**settings, **changes})


def orders(store: Store) -> list[Any]:
    query = 'select order_id, "time", value, units, kind from orders order by 1'
    return store.central().execute(query).fetchall()


def measures(store: Store) -> dict[tuple[str, datetime], float]:
    rows = store.central().execute(
        'select measure, "window", sum(value) from partial'
        " where measure in ('footfall', 'orders', 'revenue:GBP', 'units') group by all"
    )
    return {(name, windows.start(window)): value for name, window, value in rows.fetchall()}


@pytest.fixture
def csv(tmp_path: Path) -> Path:
    path = tmp_path / "orders.csv"
    path.write_text(LINES)
    return path


@pytest.mark.parametrize("parquet", [False, True])
def test_lines_become_orders_and_orders_windows(
    store: Store, csv: Path, tmp_path: Path, *, parquet: bool
) -> None:
    path = csv
    if parquet:
        path = tmp_path / "orders.parquet"
        pq.write_table(read(csv), path)
    assert take(store, path) == Imported(lines=7, orders=2, returns=2, repeated=1, known=0)
    found = [
        ("1", datetime(2026, 3, 2, 10), 15.0, 4.0, "sale"),
        ("2", datetime(2026, 3, 2, 11), 10.0, 1.0, "sale"),
        ("4", datetime(2026, 3, 2, 12, 30), -3.0, -2.0, "return"),
        ("C3", datetime(2026, 3, 2, 12), -10.0, -1.0, "return"),
    ]
    assert orders(store) == found
    at = {hour: datetime(2026, 3, 2, hour, tzinfo=UTC) for hour in (10, 11, 12)}
    half = at[12] + timedelta(minutes=30)
    windowed = {
        ("orders", at[10]): 1.0,
        ("orders", at[11]): 1.0,
        ("revenue:GBP", at[10]): 15.0,
        ("revenue:GBP", at[11]): 10.0,
        ("revenue:GBP", at[12]): -10.0,
        ("revenue:GBP", half): -3.0,
        ("units", at[10]): 4.0,
        ("units", at[11]): 1.0,
        ("units", at[12]): -1.0,
        ("units", half): -2.0,
    }
    assert measures(store) == windowed
    again = take(store, path)
    assert again == Imported(lines=7, orders=2, returns=2, repeated=1, known=4)
    assert orders(store) == found
    assert measures(store) == windowed


def test_times_are_shifted_and_other_sites_have_orders_of_their_own(
    store: Store, csv: Path
) -> None:
    take(store, csv)
    done = take(store, csv, site="leeds", channel="pos", shift=timedelta(days=-1, seconds=30))
    assert done.known == 0
    query = "select min(\"time\"), count(*) from orders where site = 'leeds'"
    moment = datetime(2026, 3, 1, 10, 0, 30)
    assert store.central().execute(query).fetchall() == [(moment, 4)]


def test_a_known_order_is_left_as_it_is(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "shop.csv"
    for value in (5, 7):
        path.write_text(f"id,time,value\n0012,2026-03-02 10:00:00,{value}\n")
        take(store, path)
    assert orders(store) == [("0012", datetime(2026, 3, 2, 10), 5.0, 1.0, "sale")]


def test_times_with_an_offset_are_kept_as_utc(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "shop.csv"
    path.write_text("invoice,created_at,total\nA,2026-07-01T12:00:00+02:00,5\n")
    take(store, path)
    assert orders(store) == [("A", datetime(2026, 7, 1, 10), 5.0, 1.0, "sale")]


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("a.csv", "x,y\n1,2\n", "no column for order_id, time, value (or price and quantity)"),
        ("a.csv", "x,y\n1,2\n", "it has x, y"),
        ("a.csv", "id,time,price\n1,2026-01-01,2\n", "no column for value"),
        ("a.csv", "id,time,value\n1,noon,2\n", '"time" must be a time'),
        ("a.csv", "id,time,value\n1,2026-01-01,plenty\n", "amounts must be numbers"),
        ("a.csv", "id,time,value\n1,2026-01-01,nan\n", "an amount is NaN or infinite"),
        ("a.txt", "id,time,value\n", "ends in none of .parquet, .csv, .gz; convert it first"),
        ("a.parquet", "no Parquet", "cannot be read"),
    ],
)
def test_a_file_that_cannot_be_imported_says_why(
    store: Store, tmp_path: Path, name: str, text: str, words: str
) -> None:
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(ImportFileError) as caught:
        take(store, path)
    assert str(path) in str(caught.value)
    assert words in str(caught.value)
    assert caught.value.exit_code == 2
    assert orders(store) == []


def test_no_file(store: Store, tmp_path: Path) -> None:
    with pytest.raises(ImportFileError, match=r"none\.csv: no such file"):
        take(store, tmp_path / "none.csv")


def history(start: pa.Array, value: float = 1.0) -> pa.Table:
    return pa.table(
        {
            "site": ["leeds"] * len(start),
            "measure": ["footfall"] * len(start),
            "subject": ["entrance"] * len(start),
            "start": start,
            "value": [value] * len(start),
        }
    )


def test_windows_are_taken_over_once(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "history.parquet"
    noon = datetime(2026, 3, 2, 12, tzinfo=UTC)
    for value in (3.0, 4.0):
        pq.write_table(history(pa.array([noon], pa.timestamp("us", "UTC")), value), path)
        assert import_windows(store, path) == 1
        assert measures(store) == {("footfall", noon): value}
    pq.write_table(history(pa.array([noon], pa.timestamp("ns", "UTC"))), tmp_path / "b.parquet")
    import_windows(store, tmp_path / "b.parquet")
    assert measures(store) == {("footfall", noon): 5.0}


def test_windows_from_csv(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "history.csv"
    path.write_text(
        "site,measure,subject,start,value\n"
        "leeds,footfall,entrance,2026-10-25T00:15:00Z,4\n"
        "leeds,footfall,entrance,2026-10-25T01:15:00Z,5\n"
    )
    assert import_windows(store, path) == 2
    first = datetime(2026, 10, 25, 0, 15, tzinfo=UTC)
    assert measures(store) == {
        ("footfall", first): 4.0,
        ("footfall", first + timedelta(hours=1)): 5.0,
    }


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("site,start,value\nleeds,2026-01-01,1\n", "lacks the columns measure, subject"),
        ("site,measure,subject,start,value\na,b,c,noon,1\n", "start must be a time"),
        ("site,measure,subject,start,value\na,b,c,2026-01-01 00:00:00,x\n", "value a number"),
    ],
)
def test_windows_that_cannot_be_read_say_why(
    store: Store, tmp_path: Path, text: str, words: str
) -> None:
    path = tmp_path / "history.csv"
    path.write_text(text)
    with pytest.raises(ImportFileError, match=words):
        import_windows(store, path)
    assert measures(store) == {}


def test_two_years_of_a_shop(store: Store, shared: Path) -> None:
    path = shared / "retail" / "online_retail.parquet"
    done = take(store, path)
    assert done.lines == 541_909
    # No invoice spans two days, so that the lines alone give each day's revenue.
    table = pq.read_table(path, columns=["invoice_date", "quantity", "unit_price"])
    truth: dict[date, float] = {}
    for moment, quantity, price in zip(*(column.to_pylist() for column in table), strict=True):
        truth[moment.date()] = truth.get(moment.date(), 0.0) + quantity * price
    query = 'select ("window" // 96) * 86400, sum(value) from partial'
    found = store.central().execute(f"{query} where measure = 'revenue:GBP' group by 1").fetchall()
    counted = {datetime.fromtimestamp(day, UTC).date(): value for day, value in found}
    assert counted.keys() == truth.keys()
    assert counted == pytest.approx(truth)
    assert take(store, path).known == done.orders + done.returns

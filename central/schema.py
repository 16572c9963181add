"""What stands in the two files, as forward migrations: the n-th brings a file to version n.

A migration that has been released is never edited; what changes is a further one at the end.
"""

_RAW = "receipt_day date, site varchar, device varchar, epoch varchar, seq bigint"

# `overflow` counts what found no room in the quarantine; `numbered` says which numbers a device's
# health first named in which hour.
FLOOR = (
    f"""
create table ledger (
    site varchar, device varchar, epoch varchar, firsts bigint[], lasts bigint[],
    primary key (site, device, epoch));
create table device (
    site varchar, device varchar, status varchar, status_received timestamp,
    layout varchar, layout_since timestamp, health varchar, health_received timestamp,
    unsynced boolean default false,
    primary key (site, device));
create table line (
    site varchar, line varchar, device varchar, floor varchar, name varchar, role varchar,
    cameras varchar[], current boolean, primary key (site, line, device));
create table zone (
    site varchar, zone varchar, device varchar, floor varchar, name varchar, role varchar,
    cameras varchar[], current boolean, primary key (site, zone, device));
create table quarantine (
    received timestamp, topic varchar, site varchar, device varchar, epoch varchar,
    first bigint, count bigint, reason varchar, raw blob);
create table crossing ({_RAW}, floor varchar, line varchar, cameras varchar[],
    "time" timestamp, direction varchar, track varchar, staff boolean);
create table visit ({_RAW}, floor varchar, zone varchar, cameras varchar[],
    track varchar, entered timestamp, exited timestamp, dwell double, nth bigint, ended varchar,
    stitched bigint, staff boolean);
create table path ({_RAW}, floor varchar, cameras varchar[], track varchar,
    start timestamp, duration double, distance double, points double[][], zones varchar[]);
create table occupancy ({_RAW}, floor varchar, zone varchar, start timestamp,
    stop timestamp, "min" bigint, mean double, "max" bigint);
create table queue ({_RAW}, floor varchar, zone varchar, start timestamp,
    stop timestamp, length_mean double, length_max bigint, joined bigint, served bigint,
    abandoned bigint, lost bigint, waiting bigint, wait_histogram bigint[]);
create table coverage ({_RAW}, camera varchar, start timestamp, stop timestamp,
    seen bigint, expected bigint, cause varchar);
""",
    """
create sequence quarantine_id;
alter table quarantine rename to quarantine_1;
create table quarantine (
    id bigint primary key default nextval('quarantine_id'),
    received timestamp, topic varchar, site varchar, device varchar, epoch varchar,
    first bigint, count bigint, reason varchar, size bigint, raw blob);
insert into quarantine by name
    select *, octet_length(raw) as size from quarantine_1 order by received, rowid;
drop table quarantine_1;
create table overflow (day date primary key, count bigint, bytes bigint);
create table numbered (
    site varchar, device varchar, epoch varchar, hour timestamp, since timestamp,
    first bigint, following bigint, primary key (site, device, epoch, hour));
""",
    # Both files have one version; of these nothing stands here.
    "select 1",
    "select 1",
)

# What people do with incidents; who is told of them; who may do what; where people go in a shop.
ACTIONS = ""
NOTICES = ""
ACCESS = ""
PLACES = ""

CENTRAL = (
    """
create table partial (
    part varchar, site varchar, measure varchar, subject varchar, "window" bigint, value double);
create table frozen (receipt_day date primary key);
create table orders (
    site varchar, channel varchar, order_id varchar, "time" timestamp, received timestamp,
    value double, units double, currency varchar, kind varchar,
    primary key (site, channel, order_id));
create table progress (site varchar primary key, processed bigint);
create table expectation (
    site varchar, metric varchar, "window" bigint, value double, expected double,
    variance double, lower double, upper double, p_low double, p_high double, learning boolean);
create table incident (
    id varchar primary key, site varchar, cause varchar, subject varchar, severity varchar,
    began bigint, latest bigint, opened timestamp, resolved timestamp, sentence varchar);
create table notice (
    incident varchar, receiver varchar, event varchar, sentence varchar, status varchar,
    attempts bigint, next_try timestamp, detail varchar,
    primary key (incident, receiver, event));
""",
    # `bin` numbers the bins of a histogram; what is no histogram has bin 0.
    # `person` is who an order or an event is counted for; the ids that it came with stay beside it
    # (`customer` of an order), and `link` says which of them are one. `importing` holds how many
    # rows are in of the files whose import has not ended.
    # `released` is what the k-gate has let out: `held` are the hours of a cell, as the windows that
    # begin them, and `counts` what it had of each of its limits.
    """
create table if not exists audit (
    site varchar, device varchar, kind varchar, subject varchar, role varchar, "window" bigint,
    count bigint, confidence double, checks varchar,
    primary key (site, kind, subject, device, "window"));
alter table partial add column bin smallint default 0;
alter table orders add column person varchar;
alter table orders add column region varchar;
alter table orders add column postcode varchar;
alter table orders add column store varchar;
alter table orders add column fulfilment varchar;
alter table orders add column customer varchar;
create table online (
    site varchar, channel varchar, message_id varchar, kind varchar, name varchar,
    "time" timestamp, received timestamp, person varchar, anonymous_id varchar, user_id varchar,
    group_id varchar, campaign varchar, region varchar, postcode varchar, store varchar,
    fulfilment varchar, analytics boolean, ads boolean, personalization boolean,
    properties varchar,
    primary key (site, channel, message_id));
create table link (
    site varchar, one varchar, other varchar, since timestamp,
    primary key (site, one, other));
create table forgotten (hash varchar primary key, since timestamp);
create sequence quarantine_id;
create table quarantine (
    id bigint primary key default nextval('quarantine_id'),
    received timestamp, site varchar, channel varchar, place varchar, reason varchar,
    size bigint, raw blob);
create table overflow (day date primary key, count bigint, bytes bigint);
create table importing (digest varchar primary key, done bigint);
create table released (
    site varchar, about varchar, zone varchar, granularity varchar, status varchar,
    snapshot bigint, start timestamp, event_timestamp timestamp, created_timestamp timestamp,
    hours bigint, coverage double, anomaly boolean, trend double,
    entries bigint, conversion double, sales_per_visitor double, visits bigint,
    engaged_share double, dwell_p50 double, dwell_p90 double, dwell_p90_low double,
    dwell_p90_high double, wait_p50 double, wait_p90 double, store_dwell double,
    web_sessions bigint, web_orders bigint, web_searches bigint,
    held bigint[], counts bigint[],
    primary key (site, about, zone, start, snapshot));
""",
    # `usual` is what was expected before anything of that day was known. An incident is `sure`
    # where it lies too far out for chance; `pushed` is the window in which somebody was told of it.
    # Until here, everything was told.
    # What the last night came to: `baseline` has a row a series, `forecast` its hours; of a series
    # that is not `ready` it says when it will be. `unlike` has a row a store that was compared that
    # day, and as JSON the metrics that name it.
    """
alter table expectation add column usual double;
alter table incident add column metric varchar default '';
alter table incident add column p double default 0;
alter table incident add column lost double default 0;
alter table incident add column money double default 0;
alter table incident add column children varchar[] default [];
alter table incident add column pushed bigint;
alter table incident add column sure boolean default false;
update incident set pushed = latest;
create table baseline (
    site varchar, metric varchar, made timestamp, ready date, problem varchar,
    primary key (site, metric));
create table forecast (
    site varchar, metric varchar, start timestamp, expected double, lower double, upper double,
    made timestamp, primary key (site, metric, start));
create table unlike (
    day date, site varchar, score double, metrics varchar, primary key (day, site));
""",
    f"{ACTIONS}{NOTICES}{ACCESS}{PLACES}select 1",
)

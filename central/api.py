"""The HTTP API: series, incidents, gaps, health; OpenAPI at /docs.

Reads only `central.duckdb`, and of `floor.duckdb` which numbers are held: never an event.
"""

from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any

from fastapi import FastAPI, HTTPException, Path, Query, Response
from pydantic import AwareDatetime

from central import __version__, audits, console, export, gaps, outlook, series
from central.incidents import listed
from central.intake import online
from central.intake.http import router
from central.metrics import AREAS, CATALOGUE
from central.service import Service

MAX_SPAN = timedelta(days=400)


def create(service: Service) -> FastAPI:
    """The application: API and page."""
    app = FastAPI(title="Passerby central", version=__version__)
    app.include_router(router(service.online))

    @app.get("/v1/health", tags=["health"])
    def health() -> dict[str, Any]:
        """What came in since the start, what is missing, and who is there."""
        return describe(service)

    @app.get("/v1/incidents", tags=["incidents"])
    def incidents(limit: Annotated[int, Query(ge=1, le=1000)] = 100) -> list[dict[str, Any]]:
        """Incidents, open ones first, then the newest."""
        return listed(service.store, limit)

    @app.get("/v1/series", tags=["series"])
    def read_series(
        site: Annotated[str, Query(pattern="^[a-z0-9-]{1,40}$")],
        metric: str = "footfall",
        start: AwareDatetime | None = None,
        stop: AwareDatetime | None = None,
        resolution: series.Resolution = "15min",
        subject: Annotated[str, Query(pattern="^[a-z0-9-]{0,40}$")] = "",
    ) -> dict[str, Any]:
        """Points of a metric at a site, the last 24 hours unless told; null is not zero.

        `subject` is one line, zone, camera or channel of it, as `/v1/metrics` says.
        """
        if metric not in CATALOGUE:
            raise HTTPException(404, f"no metric {metric}; there are {', '.join(CATALOGUE)}")
        first, last = span(site, start, stop)
        found, place = CATALOGUE[metric], service.config.site(site)
        if subject and not found.subject:
            raise HTTPException(400, f"{metric} is of the whole site; leave `subject` out")
        points = series.read(service.store, place, found, first, last, resolution, subject)
        told = {"site": site, "metric": metric, "unit": found.unit, "points": points}
        if found.kind != "money":
            return told
        others = series.other_money(service.store, place, found, first, last, subject)
        return told | {"unit": place.currency, "other_currencies": others}

    @app.get("/v1/forecast/{site}/{metric}", tags=["series"])
    def read_forecast(
        site: Annotated[str, Path(pattern="^[a-z0-9-]{1,40}$")], metric: str
    ) -> outlook.Forecast:
        """The next seven days of footfall or orders by hour, made each night, and their band."""
        if site not in service.sites():
            raise HTTPException(404, f"no site {site}; add it under `sites`")
        try:
            return outlook.forecast(service.store, service.config.site(site), metric)
        except outlook.OutlookError as error:
            raise HTTPException(404, str(error)) from error

    @app.get("/v1/unlike", tags=["series"])
    def read_unlike(day: date | None = None) -> outlook.Comparison:
        """The stores that were unlike the others on a day, the newest compared unless told."""
        return outlook.unlike(service.store, service.config, day)

    @app.get("/v1/metrics", tags=["series"])
    def read_metrics() -> list[dict[str, str]]:
        """The catalogue: what each metric means, and what `subject` may be of it."""
        return [
            {
                "name": metric.name,
                "title": metric.title,
                "area": area,
                "unit": metric.unit,
                "kind": metric.kind,
                "subject": metric.subject,
                "sentence": metric.sentence,
            }
            for area, metrics in AREAS.items()
            for metric in metrics
        ]

    @app.get("/v1/events", tags=["online"])
    def events() -> list[dict[str, Any]]:
        """What came in online, counted by site, channel, kind and name, the most first."""
        return online.names(service.store)

    @app.get("/v1/audits", tags=["series"])
    def read_audits(
        site: Annotated[str, Query(pattern="^[a-z0-9-]{1,40}$")],
        start: AwareDatetime | None = None,
        stop: AwareDatetime | None = None,
    ) -> list[audits.Audit]:
        """How far each line's and zone's hours can be believed, the last 24 hours unless told."""
        return audits.listed(service.store, site, *span(site, start, stop))

    @app.get("/v1/gaps", tags=["health"])
    def read_gaps(
        site: Annotated[str | None, Query(pattern="^[a-z0-9-]{1,40}$")] = None,
        start: AwareDatetime | None = None,
        stop: AwareDatetime | None = None,
    ) -> list[gaps.Gap]:
        """Events expected, received and missing by device and hour, the last 24 hours unless told.

        An event belongs to the hour in which its device's health first named its number.
        """
        return gaps.report(service.store, site, *times(start, stop))

    @app.get("/v1/features/in_store", tags=["features"], response_class=Response)
    def read_features(
        site: Annotated[str, Query(pattern="^[a-z0-9-]{0,40}$")] = "",
        start: AwareDatetime | None = None,
        stop: AwareDatetime | None = None,
        form: Annotated[export.Format, Query(alias="format")] = "json",
    ) -> Response:
        """In-store features of the cells that end in (start, stop], the last 24 hours unless told.

        Of one site or of all; as Parquet, an Arrow IPC stream, or JSON (a list of rows).
        """
        rows = export.table(service.store, *span(site, start, stop), site)
        body, media_type = export.encode(rows, form)
        return Response(body, media_type=media_type)

    def span(site: str, start: datetime | None, stop: datetime | None) -> tuple[datetime, datetime]:
        if site and site not in service.sites():
            raise HTTPException(404, f"no site {site}; add it under `sites`")
        return times(start, stop)

    def times(start: datetime | None, stop: datetime | None) -> tuple[datetime, datetime]:
        stop = stop or datetime.now(UTC)
        start = start or stop - timedelta(days=1)
        if not timedelta(0) < stop - start <= MAX_SPAN:
            raise HTTPException(400, f"stop must be after start, by {MAX_SPAN.days} days at most")
        return start, stop

    console.mount(app, service)
    return app


def describe(service: Service) -> dict[str, Any]:
    """The state of central in numbers."""
    intake = service.intake
    gaps = intake.gaps()
    taken = service.online.tally
    orders = service.store.central().execute("select count(*) from orders").fetchone()
    return {
        "version": __version__,
        "began": service.began,
        "broker": "connected" if service.subscriber.connected else "not connected",
        "batches": intake.tally.batches,
        "events": dict(intake.tally.events),
        "events_stored": sum(intake.tally.events.values()),
        "duplicates": intake.tally.duplicates,
        "gaps": sum(gaps.values()),
        "waiting": service.subscriber.waiting(),
        "quarantined": dict(intake.tally.quarantined),
        "orders": orders[0] if orders else 0,
        "online": {
            "events": taken.events,
            "orders": taken.orders,
            "duplicates": taken.duplicates,
            "forgotten": taken.forgotten,
            "quarantined": dict(taken.refused),
        },
        "points": series.points(service.store),
        "incidents": service.incidents.told,
        "only_listed": service.incidents.opened - service.incidents.told,
        "alarms": service.alarms(),
        "learning": service.learning(),
        "notified": service.notifier.delivered,
        "tick_seconds": round(service.tick_seconds, 3),
        "devices": [
            {
                "site": site,
                "device": device,
                "online": intake.online.get((site, device)),
                "seen": intake.received[site, device],
                "missing": gaps.get((site, device), 0),
                "clock": health.clock,
                "cameras": {
                    name: {"state": camera.state, "frames": camera.frames, "fps": camera.fps}
                    for name, camera in health.cameras.items()
                },
            }
            for (site, device), health in sorted(intake.health.items())
        ],
    }

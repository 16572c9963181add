"""Who is who online: links between ids, and the person that each id is counted for.

The ids of a site, users' and anonymous ones, share one namespace, as `alias` of the Segment spec
has it. `identify` links an anonymous id to its user, `alias` an id from before to the one from now
on. The person of an id is where its links lead, if they all lead to one; an id that leads to
several (a browser that two people share) stays a person of its own, and makes no one of the two.
So it does not matter in which order the links arrive.

Rows keep the ids that they came with: take a link away, `attribute` again, and all is as before.
"""

from collections.abc import Iterable
from datetime import datetime

import duckdb
import pyarrow as pa

Links = dict[str, set[str]]
MOST_LINKS = 10_000
"""An id that leads further than this (or round and round through as many) stays on its own."""


def person(identity: str, links: Links) -> str:
    """Who an id is counted for.

    links: of each id, the ids that it leads to at once. Of a circle, the first by code point.

    >>> person("cookie", {"cookie": {"ada"}, "ada": {"ada.l"}})
    'ada.l'
    >>> person("shared", {"shared": {"ada", "bob"}})
    'shared'
    """
    reached = _reach(identity, links)
    if len(reached) > MOST_LINKS:
        return identity
    common = reached.copy()
    for each in reached:
        common &= _reach(each, links)
    return min(common, default=identity)


def _reach(identity: str, links: Links) -> set[str]:
    reached, edge = {identity}, [identity]
    while edge and len(reached) <= MOST_LINKS:
        fresh = links.get(edge.pop(), set()) - reached
        reached |= fresh
        edge.extend(fresh)
    return reached


def persons(
    cursor: duckdb.DuckDBPyConnection, site: str, identities: Iterable[str]
) -> dict[str, str]:
    """The person of each id at a site."""
    wanted = set(identities)
    links = _links(cursor, site, wanted)
    return {identity: person(identity, links) for identity in wanted}


def _links(cursor: duckdb.DuckDBPyConnection, site: str, identities: set[str]) -> Links:
    """All that the ids lead to, near and far."""
    links: Links = {}
    edge = identities
    while edge:
        rows = cursor.execute(
            "select one, other from link where site = ? and one in (select unnest(?))",
            [site, sorted(edge)],
        ).fetchall()
        for one, other in rows:
            links.setdefault(one, set()).add(other)
        edge = {other for _, other in rows} - links.keys() - edge
    return links


def behind(cursor: duckdb.DuckDBPyConnection, site: str, identities: Iterable[str]) -> set[str]:
    """The ids, and all that lead to them, near and far."""
    found = set(identities)
    edge = found
    while edge:
        rows = cursor.execute(
            "select one from link where site = ? and other in (select unnest(?))",
            [site, sorted(edge)],
        ).fetchall()
        edge = {one for (one,) in rows} - found
        found |= edge
    return found


def link(
    cursor: duckdb.DuckDBPyConnection, site: str, pairs: Iterable[tuple[str, str]], since: datetime
) -> set[str]:
    """Keep that the first of each pair leads to the second; returns the ids whose links are new."""
    fresh = set()
    for one, other in sorted({pair for pair in pairs if pair[0] != pair[1]}):
        rows = cursor.execute(
            "insert or ignore into link values (?, ?, ?, ?) returning one",
            [site, one, other, since],
        ).fetchall()
        fresh |= {one for (one,) in rows}
    return fresh


def attribute(
    cursor: duckdb.DuckDBPyConnection, site: str, changed: Iterable[str]
) -> datetime | None:
    """Give the rows of ids whose links changed, and of all that lead to them, their person.

    Returns when the first of the events that have another person now happened.
    """
    touched = behind(cursor, site, changed)
    people = persons(cursor, site, touched)
    if not people:
        return None
    mapping = pa.table({"id": list(people.keys()), "person": list(people.values())})
    cursor.register("mapping", mapping)
    moved: list[datetime] = []
    for table, own in (("online", "coalesce(user_id, anonymous_id)"), ("orders", "customer")):
        rows = cursor.execute(
            f"update {table} set person = mapping.person from mapping where site = ?"
            f" and {own} = mapping.id and {table}.person is distinct from mapping.person"
            f' returning {table}."time"',
            [site],
        ).fetchall()
        moved += [moment for (moment,) in rows]
    cursor.unregister("mapping")
    return min(moved, default=None)

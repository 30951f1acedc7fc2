"""The tables of /ui/tables: what is known now, for a browser without JavaScript. The only HTML that data goes into.

Owns that all of it is text: every value passes `text_of`, stands between tags and never in one, and the policy of the
answer allows no script at all. The rows are written in pieces, so that others need not wait long.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import trio

from gossipreg.core.dead_services import dead_shapes
from gossipreg.gateway.http.ui.board import PIECE, Part, pieces_of
from gossipreg.gateway.http.ui.out_because import out_because
from gossipreg.gateway.http.ui.page_files import SAFE_HEADERS
from gossipreg.gateway.http.ui.service_items import ServiceItems
from gossipreg.model import CatalogInstance, Health, MemberInfo, NodeId
from gossipreg.net.http_message import Response
from gossipreg.sidecar_api import Shape, SidecarApi

ROWS_MAX = 5_000
"""Of one table."""
OUT_MAX = 500
"""Instances that are out of the answers."""
POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = (
    ("Cache-Control", "no-store"),
    *((name, POLICY if name == "Content-Security-Policy" else value) for name, value in SAFE_HEADERS),
)
_HEAD = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>gossipreg: tables</title>
<link rel="icon" href="static/icon.svg">
<link rel="stylesheet" href="static/base.css">
<link rel="stylesheet" href="static/tables.css">
</head>
<body>
<main>
"""
_ESCAPED = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#x27;"})
_END = "</main>\n</body>\n</html>\n"


def text_of(value: object) -> str:
    """A value as text of HTML: it opens no tag, ends no attribute, and turns no line around."""
    text = "" if value is None else str(value)
    if not text.isprintable():
        text = "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)
    return text.translate(_ESCAPED)


def row_of(cells: Iterable[object]) -> str:
    return f"<tr>{''.join(f'<td>{text_of(cell)}</td>' for cell in cells)}</tr>\n"


class PageTables:
    def __init__(self, sidecar: SidecarApi) -> None:
        self._sidecar = sidecar
        self._view = sidecar.view

    async def answer(self) -> Response:
        info = await self._sidecar.figures()
        parts = [
            _HEAD,
            f"<h1>{text_of(info['name'])} of cluster {text_of(self._sidecar.cluster)}</h1>\n",
            "<p>What this sidecar knows now; load the page again to see what has changed.</p>\n",
            *_troubles(info, await self._down() if info["knowledge"] != "not_synced" else ()),
            *await self._members(),
            *await self._services(info),
            *await self._out(),
            _END,
        ]
        return Response(200, "".join(parts).encode("utf-8", "replace"), "text/html; charset=utf-8", HEADERS)

    async def _members(self) -> list[str]:
        heads = (
            "name",
            "state",
            "why",
            "address",
            "zone",
            "round trip, ms",
            "services",
            "maintenance",
            "version",
            "id",
        )
        return await _table("Members", heads, sorted(self._view.table.rows), self._member)

    def _member(self, id: NodeId) -> str:
        member = self._view.member(id, self._sidecar.now())
        return "" if member is None else row_of(_member_cells(member))

    async def _services(self, info: Shape) -> list[str]:
        heads = (
            *("name", "instances", "passing", "warning", "critical", "maintenance", "known last"),
            *("of dead members", "tags"),
        )
        if info["knowledge"] == "not_synced":
            why = text_of(info["not_synced_because"])
            return [f"<h2>Services</h2>\n<p>Not known yet: this sidecar is not synced: {why}</p>\n"]
        return await _table("Services", heads, self._names(), self._service)

    def _names(self) -> list[str]:
        """The folded names of all services, of those too that dead members alone have."""
        return ServiceItems(self._view, self._sidecar.now).keys()

    async def _down(self) -> list[str]:
        """The names that no lookup finds, though nobody took all their instances out on purpose."""
        found = []
        for piece in pieces_of(self._names(), PIECE):
            for name in piece:
                one, dead = self._view.catalog.summary(name), self._dead(name)
                if one is None:
                    found += [dead[0]["service"]] if dead else []
                elif not one.passing and (one.warning or one.critical or dead):
                    found.append(one.name)
            await trio.lowlevel.checkpoint()
        return found

    def _dead(self, name: str) -> list[Shape]:
        if name not in self._view.catalog.gone.names():
            return []
        return list(dead_shapes(self._view, name, (), None, self._sidecar.now()))

    def _service(self, name: str) -> str:
        one, dead = self._view.catalog.summary(name), self._dead(name)
        if one is None:
            return row_of((dead[0]["service"], 0, 0, 0, 0, 0, 0, len(dead), "")) if dead else ""
        counts = (one.instances, one.passing, one.warning, one.critical, one.maintenance, one.stale, len(dead))
        return row_of((one.name, *counts, ", ".join(one.tags)))

    async def _out(self) -> list[str]:
        found: list[tuple[object, ...]] = []
        for piece in pieces_of(self._names(), PIECE):
            for name in piece:
                one = self._view.catalog.summary(name)
                if one is not None and one.passing < one.instances:
                    every = self._view.catalog.lookup(name, all=True)
                    found += [self._out_cells(one) for one in every if one.health is not Health.PASSING]
                found += map(_dead_cells, self._dead(name))
            await trio.lowlevel.checkpoint()
            if len(found) > OUT_MAX:
                break
        heads = ("service", "id", "member", "address", "health", "why it is out of the answers")
        return await _table("Out of the answers", heads, found, row_of, most=OUT_MAX)

    def _out_cells(self, one: CatalogInstance) -> tuple[object, ...]:
        service = one.service
        checks = self._sidecar.registrations.report(service.id) if one.node == self._view.id else None
        where = f"{service.address}:{service.port}"
        health = one.health.name.lower()
        return service.name, service.id, one.node_name, where, health, out_because(one, checks)


def _dead_cells(one: Shape) -> tuple[object, ...]:
    where = f"{one['address']}:{one['port']}"
    return one["service"], one["id"], one["node_name"], where, "its member is dead", one["reason"]


async def _table(
    title: str, heads: Sequence[str], found: Sequence[Part], row: Callable[[Part], str], *, most: int = ROWS_MAX
) -> list[str]:
    """`title` and `heads` are ours; `row` makes HTML of one of those found."""
    if not found:
        return [f"<h2>{title}</h2>\n<p>None.</p>\n"]
    head = "".join(f'<th scope="col">{name}</th>' for name in heads)
    frame = f'<div class="frame" tabindex="0" role="region" aria-label="{title}">'
    parts = [f"<h2>{title}</h2>\n{frame}<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n"]
    for piece in pieces_of(found[:most], PIECE):
        parts += map(row, piece)
        await trio.lowlevel.checkpoint()
    parts.append("</tbody>\n</table></div>\n")
    if len(found) > most:
        parts.append(f"<p>{len(found) - most} more are not shown.</p>\n")
    return parts


def _member_cells(member: MemberInfo) -> tuple[Any, ...]:
    rtt = "" if member.rtt_ms is None else f"{member.rtt_ms:.1f}"
    maintenance = "" if member.maintenance is None else member.maintenance or "yes"
    return (
        member.name, member.state, member.reason, member.address, member.zone, rtt, member.services, maintenance,
        member.software, member.id.hex(),
    )  # fmt: skip


def _troubles(info: Shape, down: Iterable[str]) -> list[str]:
    lines = []
    if info["alone"]:
        lines.append("isolated: nothing arrives from any other member, and what is shown is what was known last")
    if not info["synced"] or info["not_synced_because"]:
        lines.append(f"not synced: {info['not_synced_because']}")
    lines += [one["message"] for one in info["troubles"]]
    lines += [f"{one['name']} is {one['state']}: {one['reason']}" for one in info["not_alive"]]
    lines += [f"lookups of {name} find no instance" for name in down]
    lines += [
        f"{one['service'] or 'this sidecar'} is {one['health']}: {one['check']}: {one['output']}"
        for one in info["failing_checks"]
    ]
    if not lines:
        return ["<h2>What is wrong</h2>\n<p>Nothing that this sidecar knows of.</p>\n"]
    return ["<h2>What is wrong</h2>\n<ul>\n", *(f"<li>{text_of(line)}</li>\n" for line in lines), "</ul>\n"]

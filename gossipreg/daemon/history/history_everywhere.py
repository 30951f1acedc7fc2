"""What all members saw: the method `history-everywhere`, and the questions `clock` and `history` to a member.

Owns: who is asked, the bounds, and the estimate of each clock. Never knows: how a question travels (`daemon/events/`),
which line comes first, or what contradicts what (`gossipreg/history/`).

A member is asked for its clock twice, since the first question opens the stream, then for its lines. Each answer says
when it was received and answered there. Lines come with their age and not with their time, so that a clock which was
set meanwhile moves nothing. At most AT_ONCE members are asked at a time, and all of them within ALL_S.
"""

import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

import trio
from msgpack import packb

from gossipreg.core.view import View
from gossipreg.daemon.history.history_method import FILTERS, check_span, wall_seconds
from gossipreg.daemon.known_health import boot_id
from gossipreg.daemon.params import Check, Whole, take_untrusted
from gossipreg.daemon.socket_client import Params, pack
from gossipreg.errors import Unavailable
from gossipreg.history.clock_offset import ClockSample, best_sample
from gossipreg.history.disagreements import NAMED, disagreements
from gossipreg.history.history_line import HistoryLine, NamedMember, line_shape
from gossipreg.history.history_query import HistoryQuery
from gossipreg.history.line_ages import line_ages
from gossipreg.history.merged_history import RUN_KINDS, MemberHistory, merged
from gossipreg.model import NodeId
from gossipreg.wire.shapes import Shape

if TYPE_CHECKING:
    from gossipreg.daemon.events.local_events import LocalEvents
    from gossipreg.daemon.history.history import History

AT_ONCE = 32
ATTEMPTS = 3
"""A member that was never asked anything loads what answers, which takes seconds on a busy machine."""
ALL_S = 30.0
LIMIT_DEFAULT = 2000
LIMIT_MAX = 5000
"""Lines of one answer for all members: some 2 MB."""
LEAST_OF_MEMBER = 50
MOST_OF_MEMBER = 1000
ANSWER_BYTES = 224 * 1024
"""Of the lines in one member's answer; the oldest are left out."""
RUNS_MAX = 200
AHEAD_S = 1.0
"""A clock that is further ahead, or behind, is worth a word."""
ID_SHOWN = 8
_NOT_SYNCED = "this sidecar is not synced yet and does not know who they are: see `gossipreg info`"

EVERYWHERE: dict[str, Check] = {**FILTERS, "limit": Whole(1, LIMIT_MAX)}
_ASKED: dict[str, Check] = {
    "since_ago_s": wall_seconds, "until_ago_s": wall_seconds, "member": FILTERS["member"],
    "service": FILTERS["service"], "kind": FILTERS["kind"], "limit": Whole(1, MOST_OF_MEMBER),
}  # fmt: skip


class HistoryAnswers:
    """What this sidecar answers to other members."""

    def __init__(self, history: "History") -> None:
        self._history = history

    async def clock(self, params: Shape) -> Shape:
        """The question `clock` {} -> {received, answered}: wall time here"""
        del params
        now = time.time()
        return {"received": now, "answered": now}

    async def lines(self, params: Shape) -> Shape:
        """The question `history` {since_ago_s, until_ago_s, member, service, kind, limit} -> {received, answered,
        lines, ages, runs: [[age, kind] ...], left_out, kept_age_s, fault}: the newest lines, as `history` has them"""
        received = self._history.now()
        given = take_untrusted("history", params, _ASKED)
        since, until = (
            None if name not in given else received - given[name] for name in ("since_ago_s", "until_ago_s")
        )
        query = HistoryQuery(
            since, until, given.get("member"), given.get("service"), given.get("kind"), before=1 << 53,
            limit=given.get("limit", MOST_OF_MEMBER),
        )  # fmt: skip
        found = await self._history.read(query)
        runs = await self._history.read(HistoryQuery(kind=",".join(RUN_KINDS), limit=RUNS_MAX))
        fitting = _fitting(found.lines)
        now = self._history.now()
        return {
            "received": received, "answered": now, "lines": [line_shape(line) for line in fitting],
            "ages": self._ages(fitting, now),
            "runs": [[age, line.kind] for age, line in zip(self._ages(runs.lines, now), runs.lines, strict=True)],
            "left_out": found.more or len(fitting) < len(found.lines),
            "kept_age_s": None if found.first_at is None else now - found.first_at, "fault": found.fault,
        }  # fmt: skip

    def _ages(self, lines: Sequence[HistoryLine], now: float) -> list[float]:
        return line_ages(lines, wall=now, boot_s=self._history.monotonic(), boot_id=boot_id())


def _fitting(lines: Sequence[HistoryLine]) -> list[HistoryLine]:
    """The newest of them that fit into one answer."""
    room, fit = ANSWER_BYTES, 0
    for line in reversed(lines):
        room -= len(packb(line_shape(line))) + 16
        if room < 0:
            break
        fit += 1
    return list(lines[len(lines) - fit :])


class HistoryEverywhere:
    def __init__(
        self, view: View, history: "History", now: Callable[[], float],
        events: "Callable[[], Awaitable[LocalEvents]]",
    ) -> None:  # fmt: skip
        """`events()` loads what carries questions to members."""
        self._view = view
        self._history = history
        self.answers = HistoryAnswers(history)
        self._now = now
        self._events = events

    async def method(self, params: Params) -> bytes:
        """{since | since_s, until, member, service, kind, limit} -> {lines, members, unanswered, disagreements}"""
        given = take_untrusted("history-everywhere", params, EVERYWHERE)
        wall, limit = time.time(), given.get("limit", LIMIT_DEFAULT)
        asked: Shape = {name: given[name] for name in ("member", "service", "kind") if name in given}
        since = given.get("since", wall - given["since_s"] if "since_s" in given else None)
        check_span(since, given.get("until"))
        if since is not None:
            asked["since_ago_s"] = max(0.0, wall - since)
        if "until" in given:
            asked["until_ago_s"] = max(0.0, wall - given["until"])
        others, gone = self._others()
        asked["limit"] = max(LEAST_OF_MEMBER, min(MOST_OF_MEMBER, limit, 4 * limit // (len(others) + 1)))
        found = await self._ask_all(others, asked)
        joined = partial(_joined, found, gone, limit=limit, since=since)
        return await trio.to_thread.run_sync(lambda: pack(joined()))  # of 1,000 members it takes seconds

    def _others(self) -> tuple[list[NodeId], list[Shape]]:
        """The members to ask, and those that cannot answer, with the reason."""
        others: list[NodeId] = []
        gone: list[Shape] = []
        for id in self._view.row_ids():
            member = None if id == self._view.id else self._view.member(id, self._now())
            if member is None or member.state == "left":
                continue
            if member.state == "dead":
                gone.append({"id": id.hex(), "name": member.name, "why": "it is dead"})
            else:
                others.append(id)
        if not self._view.synced:
            gone.append({"id": "", "name": "all other members", "why": _NOT_SYNCED})
        return others, gone

    async def _ask_all(self, others: list[NodeId], asked: Shape) -> "list[_Found]":
        found = [_Found(NamedMember(id.hex(), self._view.name(id))) for id in others]
        own = _Found(self._history.own, await self.answers.lines(dict(asked)))
        own.samples = [ClockSample(own.answer["answered"], *[own.answer["answered"]] * 3)] if own.answer else []
        if others:
            events, places = await self._events(), trio.CapacityLimiter(AT_ONCE)
            with trio.move_on_after(ALL_S):
                async with trio.open_nursery() as nursery:
                    for id, one in zip(others, found, strict=True):
                        nursery.start_soon(self._ask_one, events, places, id, one, asked)
        return [own, *found]

    async def _ask_one(
        self, events: "LocalEvents", places: trio.CapacityLimiter, id: NodeId, one: "_Found", asked: Shape
    ) -> None:  # fmt: skip
        async with places:
            questions: tuple[tuple[str, Shape], ...] = ("clock", {}), ("clock", {}), ("history", asked)
            for method, params in questions:
                for _ in range(ATTEMPTS):
                    sent = time.time()
                    [answer] = await events.asked.ask_these([id], method, params)
                    received = time.time()
                    if answer.code != Unavailable.code:
                        break
                if answer.code:
                    old = answer.code == "unknown_method"
                    one.why = "its release keeps no history" if old else str(answer.result)
                    return
                one.samples.append(ClockSample(sent, answer.result["received"], answer.result["answered"], received))
            one.answer = answer.result
            one.why = ""


class _Found:
    """What came of asking one member."""

    def __init__(self, member: NamedMember, answer: Shape | None = None) -> None:
        self.member = member
        self.answer = answer
        self.samples: list[ClockSample] = []
        self.why = "" if answer is not None else f"it was not asked within {ALL_S:g} s"


def _joined(found: "list[_Found]", gone: list[Shape], *, limit: int, since: float | None) -> Shape:
    histories: list[MemberHistory] = []
    members: list[Shape] = []
    said: list[str] = []
    for one in found:
        if one.answer is None:
            continue
        clock = best_sample(one.samples)
        now_here = one.answer["answered"] - clock.ahead_s
        happened = [now_here - age for age in one.answer["ages"]]
        kept_age_s = one.answer["kept_age_s"]
        kept_from = [now_here - kept_age_s] if kept_age_s is not None else []
        known_from = kept_from + ([since] if since is not None else [])
        known_from += happened[:1] if one.answer["left_out"] else []
        runs = [(now_here - age, kind) for age, kind in one.answer["runs"]]
        histories.append(
            MemberHistory(
                one.member, one.answer["lines"], happened, clock.uncertain_s,
                max(known_from) if kept_from else None, runs,
            )
        )  # fmt: skip
        members.append({
            "id": one.member.id, "name": one.member.name, "lines": len(happened), "left_out": one.answer["left_out"],
            "kept_from": kept_from[0] if kept_from else None, "clock_ahead_s": round(clock.ahead_s, 6),
            "clock_uncertain_s": round(clock.uncertain_s, 6), "fault": one.answer["fault"],
        })  # fmt: skip
        if abs(clock.ahead_s) > AHEAD_S + clock.uncertain_s:
            way = "ahead" if clock.ahead_s > 0 else "behind"
            said.append(
                f"the clock of {one.member.name} is {abs(clock.ahead_s):.1f} s {way} (within "
                f"{clock.uncertain_s:.3f} s): its times are shown as the clock here has them"
            )
    lines = merged(histories)
    contradictions = disagreements(histories, lines, limit)
    if contradictions.not_compared:
        said.append(
            f"{contradictions.not_compared} older deaths were compared with nothing, since there are too many: ask "
            "about one member, or a shorter time"
        )
    marked: dict[int, list[str]] = {}
    for each in contradictions.found:
        for line in each.lines:
            marked.setdefault(id(line), []).extend(one.name for one in each.with_[:NAMED])
    shown = [
        {
            **one.line, "at": round(one.at, 3), "at_there": one.line.get("at"),
            "seen_by": {"id": one.seen_by.id, "name": one.seen_by.name},
            **({"disagrees": marked[id(one)]} if id(one) in marked else {}),
        }
        for one in lines[-limit:]
    ]  # fmt: skip
    silent = [{"id": one.member.id, "name": one.member.name, "why": one.why} for one in found if one.answer is None]
    return {
        "lines": shown, "left_out": len(lines) > limit, "members": members, "unanswered": [*silent, *gone],
        "disagreements": [*said, *dict.fromkeys(each.text for each in contradictions.found)],
    }  # fmt: skip

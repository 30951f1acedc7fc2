"""The methods of the local socket about events that belong to no connection: publish, and what people ask and decide.

A question goes to every member that leads a journal, and its answer names those that did not answer: what they lead is
missing from it.
"""

import re
from collections.abc import Collection, Iterable
from typing import Any

from gossipreg.daemon import params as check
from gossipreg.daemon.events import event_params as read
from gossipreg.daemon.events.kept_groups import NOT_KEPT
from gossipreg.daemon.events.local_events import EventMethod, LocalEvents
from gossipreg.daemon.events.member_answers import MemberAnswer, dead_texts, each_journal_once, unspoken
from gossipreg.daemon.params import Check, take_untrusted
from gossipreg.daemon.socket_client import Params, pack
from gossipreg.errors import BadParams, Unavailable

MAX_LIMIT = 2_000
LIMIT_DEFAULT = 100
_JOURNAL = re.compile("[0-9a-fA-F]{32}")


def _journal(name: str, value: Any) -> str:
    if type(value) is not str or _JOURNAL.fullmatch(value) is None:
        raise BadParams(f"{name} is {value!r:.80}: give its 32 hex digits, as `gossipreg events dead` shows them")
    return value.lower()


_LETTER: dict[str, Check] = {"group": read.group_name, "journal": _journal, "index": check.Whole(0, 1 << 62)}


async def publish(events: LocalEvents, params: Params) -> bytes:
    """See `event_params.publish_untrusted`. Answered when the event is durable."""
    asked = read.publish_untrusted(params, events.tuning, source=events.source)
    settled = await events.publish(asked)
    return pack({
        "id": asked.event.id, "source": asked.event.source, "copies": settled.copies, "takeover": settled.takeover,
        "duplicate": settled.duplicate, "groups": settled.groups, "journal": settled.journal.hex(),
        "index": settled.index,
    })  # fmt: skip


async def groups(events: LocalEvents, params: Params) -> bytes:
    """{} -> {groups, left_out, unanswered}: each group once, with what waits for it in all journals. A group that runs,
    was declared or is remembered is there too where no journal knows it yet, as before the first event; also at a
    member that is dead, since the next event is for it."""
    take_untrusted("events-groups", params, {})
    answers = await events.ask_all("groups", {})
    merged: dict[str, dict[str, Any]] = {}
    results = _results(answers)
    left_out = sum(answer["left_out"] for answer in results)
    for one in each_journal_once(results, "groups"):
        group = merged.setdefault(one["group"], _empty_group(events, one["group"]))
        _add(group, one)
    for name, patterns in events.known_groups().items():
        if name not in merged:
            merged[name] = {**_empty_group(events, name), "patterns": sorted(patterns)}
    shown = sorted(merged.values(), key=lambda group: str(group["group"]))
    return pack({"groups": shown, "left_out": left_out, "unanswered": _unanswered(answers)})


def _empty_group(events: LocalEvents, name: str) -> dict[str, Any]:
    return {
        "group": name, "pending": 0, "bytes": 0, "oldest_s": None, "unanswered": 0, "dead": 0, "patterns": [],
        "instances": events.instances_of(name), "journals": [],
    }  # fmt: skip


def _add(group: dict[str, Any], one: dict[str, Any]) -> None:
    for name in ("pending", "bytes", "unanswered", "dead"):
        group[name] += one[name]
    ages = [age for age in (group["oldest_s"], one["oldest_s"]) if age is not None]
    group["oldest_s"] = max(ages, default=None)
    group["patterns"] = sorted({*group["patterns"], *one["patterns"]})
    group["journals"].append({name: one[name] for name in ("journal", "pending", "bytes", "oldest_s", "dead")})


async def dead(events: LocalEvents, params: Params) -> bytes:
    """{group, limit, after: [journal, group, index]} -> {letters, unanswered}, in that order"""
    allowed: dict[str, Check] = {"group": read.group_name, "limit": check.Whole(1, MAX_LIMIT), "after": _after}
    given = take_untrusted("events-dead", params, allowed)
    limit = given.setdefault("limit", LIMIT_DEFAULT)
    answers = await events.ask_all("dead", given)
    letters = [*each_journal_once(_results(answers), "letters")]
    letters.sort(key=lambda letter: (letter["journal"], letter["group"], letter["index"]))
    return pack({"letters": letters[:limit], "unanswered": _unanswered(answers)})


def _after(name: str, value: Any) -> list[Any]:
    if type(value) is not list or [type(one) for one in value] != [str, str, int]:
        raise BadParams(f"{name} is {value!r}: give the journal, the group and the index of the last dead letter shown")
    return value


async def trace(events: LocalEvents, params: Params) -> bytes:
    """{correlation} -> {handled, left_out, unanswered}: what was handled of it, by which member and group. A sidecar
    that is not synced does not know whom to ask, and says so. A dead member may have handled it, and may be there
    still behind a partition, so it is named too."""
    given = take_untrusted("events-trace", params, {"correlation": check.text}, "correlation")
    answers = await events.ask_all("trace", given, handlers=True, journals=False)
    handled = [
        {"member": answer.name, **one} for answer in answers if not answer.code for one in answer.result["handled"]
    ]
    left_out = sum(answer.result["left_out"] for answer in answers if not answer.code)
    handled.sort(key=lambda one: -one["ago_s"])
    unknown = [*unspoken([], "", synced=events.registry.knows_all), *dead_texts(events.dead_participants())]
    return pack({"handled": handled, "left_out": left_out, "unanswered": [*unknown, *_unanswered(answers)]})


async def retry(events: LocalEvents, params: Params) -> bytes:
    """{group, journal, index} -> {count, unanswered}: deliver dead letters once more"""
    return await _decide(events, "retry", take_untrusted("events-retry", params, _LETTER, "group"))


async def drop(events: LocalEvents, params: Params) -> bytes:
    """{group, journal, index} -> {count, unanswered}: throw dead letters away"""
    return await _decide(events, "drop", take_untrusted("events-drop", params, _LETTER, "group"))


async def forget(events: LocalEvents, params: Params) -> bytes:
    """{group} -> {count, unanswered}: forget a group, with all that waits for it, also where it is only remembered. A
    member that remembered it has that on its disk, or is among `unanswered`. One that does not run goes on to name it
    in its row, so that an event is for it: that is said."""
    given = take_untrusted("events-forget", params, {"group": _LETTER["group"]}, "group")
    answers = await events.ask_all("forget", given, handlers=True)
    not_kept = [] if await events.kept_groups.on_disk() else [f"{events.source}: {NOT_KEPT}"]
    away = [*not_kept, *(_AWAY.format(name) for name in events.away_with(given["group"]))]
    return _decided(answers, away)


_AWAY = "{} does not run and still names the group (forget it again once it does, or `gossipreg force-leave` it)"


async def _decide(events: LocalEvents, method: str, given: Params) -> bytes:
    if "index" in given and "journal" not in given:
        raise BadParams("index needs journal: it names an event in its journal")
    return _decided(await events.ask_all(method, given))


def _decided(answers: Collection[MemberAnswer], away: Iterable[str] = ()) -> bytes:
    count = sum(answer["count"] for answer in _results(answers))
    return pack({"count": count, "unanswered": sorted([*_unanswered(answers), *away])})


def _results(answers: Iterable[MemberAnswer]) -> list[Any]:
    """What those said that answered. Raises Unavailable where one refused."""
    for answer in answers:
        if answer.code and answer.code != Unavailable.code:
            raise Unavailable(f"{answer.name} refused: {answer.result}")
    return [answer.result for answer in answers if not answer.code]


def _unanswered(answers: Iterable[MemberAnswer]) -> list[str]:
    """Members that lead journals and did not answer, and journals that nobody leads: what they have is missing."""
    return sorted(answer.name for answer in answers if answer.code)


METHODS: dict[str, EventMethod] = {
    "publish": publish, "events-groups": groups, "events-dead": dead, "events-retry": retry, "events-drop": drop,
    "events-forget": forget, "events-trace": trace,
}  # fmt: skip

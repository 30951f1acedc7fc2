"""The ways to break events on purpose, for the test of their checkers (`simulations/selftest.py`).

Owns: what is broken, each by replacing one function of `gossipreg.events`. Never knows: how a run is made.
"""

from collections.abc import Mapping
from dataclasses import replace
from math import inf
from typing import Any

from gossipreg.events.delivering import Delivering
from gossipreg.events.delivery_answers import DeliveryAnswers
from gossipreg.events.dispatch import JournalDispatch
from gossipreg.events.effects import SendEventMessage
from gossipreg.events.event_store import EventStore
from gossipreg.events.facts import PublishVerdict
from gossipreg.events.group_queue import GroupQueue
from gossipreg.events.handlings import Handlings
from gossipreg.events.known_ids import KnownIds
from gossipreg.events.messages import DeliveryResult, PublishAnswers
from gossipreg.events.payload_cache import PayloadCache
from gossipreg.events.publish_queue import PublishQueue
from gossipreg.events.publishing import Publishing
from gossipreg.events.receiving import Receiving
from gossipreg.events.remembered_groups import RememberedGroups
from gossipreg.events.subscriptions import Subscription, Subscriptions
from gossipreg.streams.broken import BrokenStreams
from simulations.breaks import Break
from simulations.scenario import Case
from simulations.scenarios import events


def failed_counts_as_done(answer: Any) -> Any:
    def broken(self: DeliveryAnswers, link: Any, outcome: Any, *others: Any, **died: Any) -> None:
        failed = outcome.result is DeliveryResult.FAILED
        answer(self, link, replace(outcome, result=DeliveryResult.ACKED) if failed else outcome, *others, **died)

    return broken


def no_groups_added(_: Any) -> Any:
    return lambda _self, _batch: ()


class _WithoutKeys:
    """The events of the state machine, as if none had a key."""

    def __init__(self, events: Mapping[int, Any]) -> None:
        self._events = events

    def get(self, index: int) -> Any:
        event = self._events.get(index)
        return None if event is None else replace(event, key="")

    def __getitem__(self, index: int) -> Any:
        return replace(self._events[index], key="")


def keys_overlooked(begin: Any) -> Any:
    def broken(self: GroupQueue, number: int, name: str, kept: Any, find: Any, held_keys: Any = ()) -> None:
        begin(self, number, name, _WithoutKeys(kept), find, held_keys)

    return broken


def begins_at_once(_: Any) -> Any:
    return lambda _self, _handling: True


def endless_window(_: Any) -> Any:
    return property(lambda _self: 100)


def patterns_overlooked(_: Any) -> Any:
    return lambda self, group, _type: self.of_group(group)


def ids_forgotten(_: Any) -> Any:
    return lambda _self, _hash, _records: None


def conflict_untold(answer: Any) -> Any:
    def broken(self: PublishQueue, asked: Any, fact: Any, copies: int) -> Any:
        told = replace(fact, verdict=PublishVerdict.DUPLICATE) if fact.verdict is PublishVerdict.CONFLICT else fact
        return answer(self, asked, told, copies)

    return broken


def answered_too_early(put: Any) -> Any:
    def broken(self: PublishQueue, node: Any, message: Any) -> Any:
        early = PublishAnswers(
            journal=message.journal, number=message.number, code="", text="", index=1, copies=1, takeover=False,
            duplicate=False, groups=0,
        )  # fmt: skip
        return [*put(self, node, message), SendEventMessage(node, early)]

    return broken


def unknown_told_as_refused(answer: Any) -> Any:
    def broken(self: Publishing, ticket: int) -> Any:
        one = self._waiting.get(ticket)
        if one is not None:
            one.maybe, one.sent_to = False, None
        return answer(self, ticket)

    return broken


def never_again(_: Any) -> Any:
    return lambda _self, _letter: None


def timer_kept(arm: Any) -> Any:
    def broken(self: JournalDispatch, work: Any, due: float) -> None:
        arm(self, work, due if due != inf else 1e6)

    return broken


def payloads_kept(_: Any) -> Any:
    return lambda _self, _index: None


def nothing_held(_: Any) -> Any:
    return lambda _self, _key: None


def dropped_comes_again(_: Any) -> Any:
    return lambda self, event, group, change: self.bring_back(event, group, change)


def no_past(_: Any) -> Any:
    return lambda _self, _group, _means, _change: None


def broadcast_twice(broadcast: Any) -> Any:
    def broken(self: Receiving, message: Any, delivery: Any) -> None:
        broadcast(self, message, delivery)
        broadcast(self, message, delivery)

    return broken


def not_remembered(_: Any) -> Any:
    return lambda _self, _slot, _now: []


def not_opened_again(_: Any) -> Any:
    return lambda _self, _node, _now: inf


_CASE = Case(nodes=3, duration_s=12.0)


def _break(what: str, fires: tuple[str, ...], owner: Any, attribute: str, instead: Any, seed: int = 1) -> Break:
    return Break(what, fires, owner, attribute, instead, replace(_CASE, seed=seed), events.run)


_HANDLED = ("every_group_handles", "keys_in_order")

EVENT_BREAKS: tuple[Break, ...] = (
    _break("a failed handler counts as done", _HANDLED, DeliveryAnswers, "answer", failed_counts_as_done),
    _break("what failed is not delivered again", _HANDLED, Delivering, "put_back", never_again),
    _break("missing groups are not added", ("known_groups",), PublishQueue, "_missing_groups", no_groups_added),
    _break("events of a key side by side", ("keys_in_order",), GroupQueue, "__init__", keys_overlooked),
    _break("two handlers of a key", ("one_handler",), Handlings, "may_begin", begins_at_once),
    _break("a window without an end", ("one_handler", "events_bounded"), Subscription, "room", endless_window),
    _break("a pattern that means everything", ("only_meant",), Subscriptions, "find", patterns_overlooked),
    _break("ids that are not remembered", ("one_event",), KnownIds, "find", ids_forgotten),
    _break("a conflict that is not told", ("one_event",), PublishQueue, "_answer", conflict_untold),
    _break("a group that ended is not named", ("groups_remembered",), RememberedGroups, "_ends", not_remembered),
    _break("an answer before the entry", ("one_event",), PublishQueue, "put", answered_too_early),
    _break(
        "an unknown outcome told as refused",
        ("refused_not_published",),
        Publishing,
        "on_deadline",
        unknown_told_as_refused,
    ),
    _break("a timer of events at rest", ("event_silence",), JournalDispatch, "_arm", timer_kept),
    _break("a dead letter that holds nothing", ("letters_decided",), GroupQueue, "hold", nothing_held, 7),
    _break(
        "a dropped letter comes again", ("letters_decided", *_HANDLED), EventStore, "drop_letter", dropped_comes_again
    ),
    _break("a group without its past", ("kept_events",), EventStore, "begin_in_the_past", no_past),
    _break("a broadcast that comes twice", ("broadcast_once",), Receiving, "_broadcast", broadcast_twice),
    Break(
        "a stream that broke at one end",
        (*_HANDLED, "journal_liveness", "events_bounded"),
        BrokenStreams,
        "broke",
        not_opened_again,
        Case(nodes=5, duration_s=8.0, label="one_end=1 gap=1"),
        events.run,
    ),
    _break("payloads that stay in memory", ("events_bounded",), PayloadCache, "drop", payloads_kept),
)

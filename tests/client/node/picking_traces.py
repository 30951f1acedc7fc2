"""Histories of one service's picks and calls, as the Python core decides them: the Node client must decide the same.

A trace is a script of events with what each one led to. It is drawn from a seed, so it meets mixes of rules that nobody
would write down. Both sides draw their random numbers from the same xorshift32.
"""

from random import Random
from typing import Any

from gossipreg.client.instance import Instance
from gossipreg.client.picking.attempts import AfterAttempt, Attempt, LogicalCall
from gossipreg.client.picking.balancer import Pick
from gossipreg.client.picking.options import POLICIES, CallOptions, PickOptions
from gossipreg.client.picking.outcomes import Outcome, OutcomeKind
from gossipreg.client.picking.resilience import Resilience
from gossipreg.errors import GossipregError

HEALTHS = ("passing",) * 8 + ("warning", "critical", "maintenance")
ZONES = ("a", "b", "c")
KEYS = tuple(f"key-{number}" for number in range(20))


class Xorshift32(Random):
    """Marsaglia's generator: a few lines in any language."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self._word = seed

    def random(self) -> float:
        word = self._word
        word ^= (word << 13) & 0xFFFFFFFF
        word ^= word >> 17
        word ^= (word << 5) & 0xFFFFFFFF
        self._word = word
        return word / 2**32


def picking_trace(seed: int, length: int = 300) -> dict[str, Any]:
    """One script and its results, as JSON."""
    return _Writer(seed).write(length)


class _Writer:
    def __init__(self, seed: int) -> None:
        self._draw = Random(seed)
        self._seed = seed * 2654435761 % 2**32 or 1
        zone = self._draw.choice(("", "", "a", "d"))
        panic = self._draw.choice(("passing", "passing", "all"))
        self._options = PickOptions(self._draw.choice(POLICIES), panic, zone)
        self._core = Resilience("web", self._options, Xorshift32(self._seed))
        self._now = self._draw.uniform(0.0, 1000.0)
        self._instances: list[Instance] = []
        self._events: list[dict[str, Any]] = []
        self._picks: dict[int, Pick] = {}
        self._calls: dict[int, LogicalCall] = {}
        self._running: dict[int, tuple[int, Attempt]] = {}
        self._bad = self._draw.choice((0.0, 0.1, 0.5, 0.9))
        self._pace_s = self._draw.choice((0.002, 0.05, 1.0))
        self._labels = 0

    def write(self, length: int) -> dict[str, Any]:
        self._change()
        acts = [self._pick] * 5 + [self._end] * 5 + [self._begin] * 2 + [self._next] * 6 + [self._attempt_ended] * 6
        acts += [self._change, self._callers, self._answered, self._hedge, self._close, self._abandon]
        for _ in range(length):
            self._now += self._draw.expovariate(1.0 / self._pace_s)
            if self._draw.random() < 0.01:
                self._now += self._draw.uniform(5.0, 30.0)
            self._draw.choice(acts)()
        options = {"policy": self._options.policy, "panic": self._options.panic, "zone": self._options.zone}
        left = self._core.budget.left(self._now)
        end = {"now": self._now, "stats": self._core.stats(), "budget": left}
        name = f"seed {self._seed}"
        return {"name": name, "seed": self._seed, "options": options, "events": self._events, "end": end}

    # -- events --------------------------------------------------------------------------------------------------------

    def _say(self, do: str, expect: Any = None, **given: Any) -> None:
        self._events.append({"do": do, "at": self._now, **given, "expect": expect})

    def _label(self) -> int:
        self._labels += 1
        return self._labels

    def _change(self) -> None:
        draw, instances = self._draw, self._instances
        if not instances or draw.random() < 0.05:
            count = draw.choice((0, 1, 2, 3, 4, 5, 6, 8, 12, 40))
            instances = [self._instance(number) for number in sorted(draw.sample(range(60), count))]
        for _ in range(draw.randint(1, 3)):
            fresh = self._instance(draw.randrange(60))
            if draw.random() < 0.3:
                instances = [one for one in instances if one.key != fresh.key]
            elif instances and draw.random() < 0.7:
                old = draw.choice(instances)
                changed = self._instance(int(old.id[1:]))
                instances = [changed if one is old else one for one in instances]
            else:
                others = [one for one in instances if one.key != fresh.key]
                instances = sorted([*others, fresh], key=lambda one: one.key)
        self._instances = instances
        self._core.balancer.update(tuple(instances), self._now)
        shapes = [
            {"id": one.id, "node": one.node, "health": one.health, "weight": one.weight, "zone": one.zone}
            for one in instances
        ]
        self._say("update", instances=shapes)

    def _instance(self, number: int) -> Instance:
        draw = self._draw
        weight = draw.choice((1, 1, 1, 1, 0, 2, 100))
        id, node = f"i{number:02}", f"{number:032x}"
        return Instance(
            id, "web", node, node, "10.0.0.1", 80, weight=weight, health=draw.choice(HEALTHS), zone=draw.choice(ZONES)
        )

    def _callers(self) -> None:
        callers = {zone: float(self._draw.randint(0, 5)) for zone in ZONES if self._draw.random() < 0.7}
        self._core.balancer.set_callers(callers)
        self._say("set_callers", callers=callers)

    def _pick(self) -> None:
        key = self._draw.choice(KEYS) if self._draw.random() < 0.3 else None
        label = self._label()
        try:
            pick = self._core.pick(self._now, key, 2.0)
        except GossipregError as error:
            self._say("pick", {"error": error.code}, pick=label, key=key)
            return
        self._picks[label] = pick
        self._say("pick", _picked(pick), pick=label, key=key)

    def _answered(self) -> None:
        if self._picks:
            label = self._draw.choice(list(self._picks))
            self._core.balancer.answered(self._picks[label], self._now)
            self._say("answered", pick=label)

    def _end(self) -> None:
        if self._picks:
            label = self._draw.choice(list(self._picks))
            outcome, load = self._outcome(), self._load()
            self._core.pick_ended(self._picks.pop(label), outcome, self._now, load)
            self._say("pick_ended", pick=label, outcome=_shape(outcome), load=load)

    def _abandon(self) -> None:
        if self._picks and self._draw.random() < 0.3:
            label = self._draw.choice(list(self._picks))
            self._core.balancer.abandon(self._picks.pop(label))
            self._say("abandon", pick=label)

    def _begin(self) -> None:
        draw, label = self._draw, self._label()
        options = CallOptions(
            draw.choice((0.05, 1.0, 5.0)), draw.random() < 0.7, draw.choice((1, 2, 3, 5)), draw.random() < 0.5,
            draw.choice((1, 1, 1, 2)),
        )  # fmt: skip
        key = draw.choice(KEYS) if draw.random() < 0.2 else None
        shape = {
            "deadlineS": options.deadline_s, "idempotent": options.idempotent, "attemptsMax": options.attempts_max,
            "hedge": options.hedge, "depth": options.depth,
        }  # fmt: skip
        try:
            self._calls[label] = self._core.begin(options, self._now, key)
        except GossipregError as error:
            self._say("begin", {"error": error.code}, call=label, options=shape, key=key)
            return
        self._say("begin", {}, call=label, options=shape, key=key)
        self._start(label)

    def _next(self) -> None:
        waiting = [label for label in self._calls if not any(call == label for call, _ in self._running.values())]
        if waiting:
            self._start(self._draw.choice(waiting))

    def _start(self, label: int) -> None:
        call, attempt = self._calls[label], self._label()
        if call.retry_at > self._now:
            self._now = call.retry_at
        try:
            begun = call.next_attempt(self._now)
        except GossipregError as error:
            self._say("next", {"error": error.code, "why": call.why}, call=label, attempt=attempt)
            self._finish(label)
            return
        self._running[attempt] = label, begun
        hedge_at = call.hedge_at(begun, self._now)
        self._say("next", _begun(begun) | {"hedge_at": hedge_at}, call=label, attempt=attempt)

    def _hedge(self) -> None:
        if self._running:
            label, _ = self._draw.choice(list(self._running.values()))
            attempt, begun = self._label(), self._calls[label].hedge(self._now)
            if begun is not None:
                self._running[attempt] = label, begun
            self._say("hedge", None if begun is None else _begun(begun), call=label, attempt=attempt)

    def _attempt_ended(self) -> None:
        if not self._running:
            return
        attempt = self._draw.choice(list(self._running))
        label, begun = self._running.pop(attempt)
        call, outcome, load = self._calls[label], self._outcome(), self._load()
        after = call.ended(begun, outcome, self._now, load)
        expect = {"after": after.value, "why": call.why, "retry_at": call.retry_at, "over": call.is_over}
        self._say("ended", expect, call=label, attempt=attempt, outcome=_shape(outcome), load=load)
        if after is AfterAttempt.FINAL:
            self._finish(label)

    def _close(self) -> None:
        if self._calls and self._draw.random() < 0.2:
            label = self._draw.choice(list(self._calls))
            self._calls[label].close(self._now)
            self._say("close", call=label)
            self._finish(label)

    def _finish(self, label: int) -> None:
        call = self._calls.pop(label)
        self._running = {attempt: one for attempt, one in self._running.items() if one[0] != label}
        if call.why and self._draw.random() < 0.5:
            self._say("may_fall_back", call.may_fall_back(self._now), call=label)

    # -- draws ---------------------------------------------------------------------------------------------------------

    def _outcome(self) -> Outcome:
        draw = self._draw
        if draw.random() >= self._bad:
            return Outcome(OutcomeKind.SUCCESS)
        kind = draw.choice((OutcomeKind.FAILURE,) * 4 + (OutcomeKind.OVERLOADED, OutcomeKind.NEUTRAL))
        after_s = draw.choice((None, None, 0.5, 100.0))
        return Outcome(kind, draw.random() < 0.4, draw.random() < 0.2, after_s)

    def _load(self) -> int | None:
        return self._draw.randint(0, 9) if self._draw.random() < 0.2 else None


def _picked(pick: Pick) -> dict[str, Any]:
    return {"id": pick.instance.id, "probe": pick.probe, "critical": pick.critical}


def _begun(attempt: Attempt) -> dict[str, Any]:
    return _picked(attempt.pick) | {
        "number": attempt.number, "timeout_s": attempt.timeout_s, "connect_timeout_s": attempt.connect_timeout_s,
        "headers": dict(attempt.headers()),
    }  # fmt: skip


def _shape(outcome: Outcome) -> dict[str, Any]:
    return {
        "kind": outcome.kind.value, "neverSent": outcome.never_sent, "timedOut": outcome.timed_out,
        "retryAfterS": outcome.retry_after_s,
    }  # fmt: skip

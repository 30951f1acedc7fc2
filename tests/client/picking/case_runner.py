"""Runs one case of `gossipreg/client/cases.json`, the table that the clients of all languages have to satisfy.

The "read_me" of the file describes the steps. A step that returns something has "expect", which `run` compares with
what it gave; floating-point numbers with a tolerance.
"""

import json
from importlib.resources import files
from random import Random
from typing import Any

import pytest

from gossipreg.client.instance import Instance
from gossipreg.client.picking.attempts import Attempt, LogicalCall
from gossipreg.client.picking.balancer import Pick
from gossipreg.client.picking.options import CallOptions, PickOptions
from gossipreg.client.picking.outcomes import (
    FAILURE,
    NEUTRAL,
    NEVER_SENT,
    SUCCESS,
    TIMED_OUT,
    Outcome,
    status_outcome,
)
from gossipreg.client.picking.resilience import Resilience
from gossipreg.client.picking.retry_after import retry_after_untrusted
from gossipreg.errors import GossipregError

Step = dict[str, Any]
OUTCOMES = {
    "success": SUCCESS,
    "failure": FAILURE,
    "timed_out": TIMED_OUT,
    "never_sent": NEVER_SENT,
    "neutral": NEUTRAL,
}


def cases() -> list[dict[str, Any]]:
    table = json.loads(files("gossipreg.client").joinpath("cases.json").read_text())
    found: list[dict[str, Any]] = table["cases"]
    return found


class Xorshift32(Random):
    """Marsaglia's generator with shifts 13, 17, 5: the same numbers in each language."""

    def __init__(self, seed: int) -> None:
        super().__init__(0)
        self._state = seed

    def random(self) -> float:
        x = self._state
        x ^= (x << 13) & 0xFFFFFFFF
        x ^= x >> 17
        x ^= (x << 5) & 0xFFFFFFFF
        self._state = x
        return x / 2**32


def instance(id: str, node: str = "", zone: str = "", weight: int = 1, health: str = "passing") -> Instance:
    return Instance(
        id, "web", node or f"node-{id}", f"node-{id}", "10.0.0.1", 80, weight=weight, health=health, zone=zone
    )


class CaseRunner:
    """The state of one case. Each step's first word is a method here."""

    def __init__(self, case: dict[str, Any]) -> None:
        self.service = Resilience("web", PickOptions(**case.get("options", {})), Xorshift32(case.get("seed", 1)))
        self.picks: dict[str, Pick] = {}
        self.calls: dict[str, LogicalCall] = {}
        self.attempts: dict[str, tuple[LogicalCall, Attempt]] = {}

    def step(self, step: Step) -> Any:
        """What this step gives: compared with its "expect"."""
        try:
            return getattr(self, step["do"])(step, float(step["now"]))
        except GossipregError as error:
            return {"error": error.code}

    def snapshot(self, step: Step, now: float) -> None:
        self.service.balancer.update(tuple(instance(**one) for one in step["instances"]), now)

    def callers(self, step: Step, _now: float) -> None:
        self.service.balancer.set_callers(step["zones"])

    def chances(self, _step: Step, now: float) -> dict[str, float]:
        return {key.id: chance for key, chance in self.service.balancer.chances(now).items()}

    def pick(self, step: Step, now: float) -> str | dict[str, bool | str]:
        pick = self.picks[step["as"]] = self.service.pick(now, step.get("key"), step.get("deadline_s", 10.0))
        return {"id": pick.instance.id, "probe": True} if pick.probe else pick.instance.id

    def end(self, step: Step, now: float) -> None:
        self.service.pick_ended(self.picks[step["pick"]], outcome(step), now, step.get("load"))

    def answered(self, step: Step, now: float) -> None:
        self.service.balancer.answered(self.picks[step["pick"]], now)

    def requests(self, step: Step, now: float) -> list[str]:
        """One request after the other, each ended before the next."""
        found: list[str] = []
        for _ in range(step["count"]):
            pick = self.service.pick(now, step.get("key"))
            id = pick.instance.id
            pick.started = now - step.get("took_s", {}).get(id, 0.01)
            kind = step.get("outcomes", {}).get(id, step.get("outcome", "success"))
            self.service.pick_ended(pick, outcome({"outcome": kind}), now)
            found.append(id)
        return found

    def counts(self, step: Step, now: float) -> dict[str, int]:
        """As `requests`; how many each instance got."""
        found = self.requests(step, now)
        return {id: found.count(id) for id in sorted({*found})}

    def begin(self, step: Step, now: float) -> None:
        self.calls[step["call"]] = self.service.begin(CallOptions(**step.get("options", {})), now, step.get("key"))

    def attempt(self, step: Step, now: float) -> dict[str, Any]:
        call = self.calls[step["call"]]
        return self._taken(step, call, call.next_attempt(now))

    def hedge(self, step: Step, now: float) -> dict[str, Any] | None:
        call = self.calls[step["call"]]
        attempt = call.hedge(now)
        return None if attempt is None else self._taken(step, call, attempt)

    def hedge_at(self, step: Step, now: float) -> float | None:
        call, attempt = self.attempts[step["attempt"]]
        return call.hedge_at(attempt, now)

    def attempt_end(self, step: Step, now: float) -> dict[str, Any]:
        call, attempt = self.attempts[step["attempt"]]
        after = call.ended(attempt, outcome(step), now)
        given: dict[str, Any] = {"after": after.value}
        if after.value == "retry":
            given["retry_at"] = call.retry_at
        elif call.why:
            given["why"] = call.why
        return given

    def close(self, step: Step, now: float) -> None:
        self.calls[step["call"]].close(now)

    def fall_back(self, step: Step, now: float) -> bool:
        return self.calls[step["call"]].may_fall_back(now)

    def retry_after(self, step: Step, _now: float) -> float | None:
        return retry_after_untrusted(step["text"], step["date"], step["wall_s"])

    def fork(self, step: Step, _now: float) -> None:
        self.service.forked(Xorshift32(step["seed"]))

    def stats(self, step: Step, _now: float) -> dict[str, int | str]:
        stats = self.service.stats()
        return {name: stats[name] for name in step["expect"]}

    def _taken(self, step: Step, call: LogicalCall, attempt: Attempt) -> dict[str, Any]:
        self.attempts[step["as"]] = call, attempt
        return {
            "id": attempt.pick.instance.id,
            "timeout_s": attempt.timeout_s,
            "connect_timeout_s": attempt.connect_timeout_s,
            "headers": dict(attempt.headers()),
        }


def outcome(step: Step) -> Outcome:
    kind = step["outcome"]
    return status_outcome(kind, step.get("retry_after_s")) if isinstance(kind, int) else OUTCOMES[kind]


def run(case: dict[str, Any]) -> None:
    runner = CaseRunner(case)
    for number, step in enumerate(case["steps"]):
        given = runner.step(step)
        assert near(given, step.get("expect")), f"step {number}, {step}: got {given}"


def near(given: Any, expected: Any) -> bool:
    """Whether two results are equal, numbers within a millionth."""
    if isinstance(given, dict) and isinstance(expected, dict):
        return given.keys() == expected.keys() and all(near(given[name], expected[name]) for name in given)
    if type(given) is float and isinstance(expected, int | float):
        return bool(given == pytest.approx(expected, rel=1e-6, abs=1e-9))
    return bool(given == expected)

"""HTTP requests of sidecars to participants, as messages of the world: they take time, are lost, and are refused.

Owns: which instance gets a request, what the network does to request and answer, and when the sidecar's time is over.
Never knows: what a participant does (`participant.py`), or what the answer means.

A lost packet of a request or an answer is one that TCP could not bring through in time: the sidecar hears nothing until
its time is over. A request that was lost may have arrived all the same: then its answer was. And a request may wait in
a proxy or a queue, and arrive when nobody waits for it any more.
"""

import random
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from gossipreg.sagas.saga_effects import CommandDone, SendCommand
from gossipreg.sagas.saga_model import MAX_RESULT_BYTES
from simulations.host import Host
from simulations.orchestrating.key_ledger import HttpAnswer
from simulations.orchestrating.participant import HttpRequest, Instance

if TYPE_CHECKING:
    from simulations.world import World

_CONNECT_S = 3.0
"""After this a machine that does not answer counts as unreachable: nothing was sent."""
_ARRIVES = 0.5
"""The share of requests without an answer that arrive all the same."""
_LATE = 0.03
_LATE_S = (0.5, 10.0)
"""The share of requests that wait on their way, and how long."""

Done = Callable[[CommandDone], None]


class CommandWire:
    def __init__(self, world: "World", instances: Sequence[Instance]) -> None:
        self._world = world
        self._instances = instances
        self._rng = world.randomness.of("commands")

    def send(self, host: Host, effect: SendCommand, done: Done) -> None:
        """Send this request of the process on this host; `done` is called once, with what came of it."""
        of_service = [one for one in self._instances if one.ledger.service == effect.command.service]
        likely = [one for one in of_service if one.name not in effect.avoid] or of_service
        if not likely:
            self._world.after(0.0, lambda: done(_unsent(effect, "", "no instance of the service is passing")))
            return
        _Exchange(self._world, self._rng, host, self._rng.choice(likely), effect, done).begin()


class _Exchange:
    """One request and its answer."""

    def __init__(
        self, world: "World", rng: random.Random, host: Host, instance: Instance, effect: SendCommand, done: Done
    ) -> None:
        self._world, self._rng = world, rng
        self._host, self._instance = host, instance
        self._effect, self._done = effect, done
        self._over = False

    def begin(self) -> None:
        instance, world = self._instance, self._world
        timeout_s = self._effect.timeout_s / self._host.rate
        silent = not instance.host.up and not instance.host.refuses
        if silent or not self._passes(self._host, instance.host):
            if not silent and self._rng.random() < _ARRIVES:
                world.after(self._latency_s(), self._arrive)
            elif self._rng.random() < 0.5:
                world.after(min(timeout_s, _CONNECT_S), lambda: self._unsent("no answer to the connection"))
        elif not instance.steady and self._rng.random() < _LATE:
            world.after(self._rng.uniform(*_LATE_S), self._arrive)
        else:
            world.after(self._latency_s(), self._arrive)
        world.after(timeout_s, self._time_over)

    def _passes(self, sender: Host, receiver: Host) -> bool:
        return sender is receiver or self._world.network.passes(sender, receiver, self._rng)

    def _latency_s(self) -> float:
        if self._host is self._instance.host:
            return 0.0001
        return self._world.network.latency_s(self._host, self._instance.host, self._rng)

    def _arrive(self) -> None:
        if not self._instance.runs:
            self._world.after(self._latency_s(), lambda: self._unsent("the connection was refused"))
            return
        command = self._effect.command
        headers = dict((*command.headers, *self._effect.headers))
        self._instance.receive(HttpRequest(command.method, command.path, headers), self._answer)

    def _answer(self, answer: HttpAnswer | None) -> None:
        if self._passes(self._instance.host, self._host):
            self._world.after(self._latency_s(), partial(self._answered, answer))

    def _answered(self, answer: HttpAnswer | None) -> None:
        if answer is None:
            self._end(CommandDone(self._effect.number, True, 0, b"", False, "", 0.0, self._instance.name, "it hung up"))
            return
        body = answer.body[:MAX_RESULT_BYTES]
        self._end(
            CommandDone(
                self._effect.number, True, answer.status, body, len(body) < len(answer.body), "application/json",
                answer.retry_after_s, self._instance.name, "",
            )
        )  # fmt: skip

    def _time_over(self) -> None:
        text = f"no answer within {self._effect.timeout_s:g} s"
        self._end(CommandDone(self._effect.number, True, 0, b"", False, "", 0.0, self._instance.name, text))

    def _unsent(self, text: str) -> None:
        self._end(_unsent(self._effect, self._instance.name, text))

    def _end(self, done: CommandDone) -> None:
        if not self._over:
            self._over = True
            self._done(done)


def _unsent(effect: SendCommand, instance: str, text: str) -> CommandDone:
    return CommandDone(effect.number, False, 0, b"", False, "", 0.0, instance, text)

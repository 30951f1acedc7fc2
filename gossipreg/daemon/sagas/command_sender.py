"""Sends the commands of sagas: one request each, to one instance of a service.

Owns: which instance is asked, and what is known of a command that got no answer. Never knows: what a command is for, or
whether it is sent again.

    what happened                                             sent   status
    no instance passes, a secret is missing, no connection    no     0
    a connection, and no whole answer in the time             yes    0
    an answer, also 3xx: no redirect is followed              yes    that of the answer

Nothing here waits for anything else: each command has a task, a connection and a bound of time.
"""

import time
from collections.abc import Callable, Sequence
from random import Random
from typing import TYPE_CHECKING

import trio

from gossipreg.client.picking.retry_after import retry_after_untrusted
from gossipreg.daemon.sagas.secrets_folder import SecretMissing, SecretsFolder, secrets_in
from gossipreg.model import CatalogInstance
from gossipreg.net.http_client import (
    CONNECT_S,
    HttpAnswer,
    HttpClient,
    NotReached,
    NoWholeAnswer,
    OutgoingCall,
    shown_place,
)
from gossipreg.sagas.saga_effects import CommandDone, SendCommand
from gossipreg.sagas.saga_model import MAX_RESULT_BYTES, MAX_TEXT_BYTES

if TYPE_CHECKING:
    from gossipreg.core.view import View

COMMANDS_MAX = 512
"""At the same time, of all journals that are led here: each takes a descriptor, and 128 KiB at most. One more is
reported as not sent, and tried again."""
CONNECT_SHARE = 0.8
"""Of the time of a command: where no connection is made in this part of it, it is certain that nothing was sent."""
MAX_RETRY_AFTER_S = 86_400.0
THREADS_MAX = 4
"""That read secrets; a disk that hangs takes no more."""


class CommandSender:
    def __init__(
        self, view: "View", secrets: SecretsFolder, rng: Random, *,
        missing: Callable[[str, str], None], found: Callable[[str], None],
    ) -> None:  # fmt: skip
        """`missing(name, message)` reports a secret that cannot be used, `found(name)` one that was read."""
        self._view = view
        self._secrets = secrets
        self._rng = rng
        self._missing = missing
        self._found = found
        self._threads = trio.CapacityLimiter(THREADS_MAX)
        self._client = HttpClient()
        self.running = 0
        """Commands under way."""

    def close(self) -> None:
        """Close the connections that are kept."""
        self._client.close()

    async def send(self, sent: SendCommand) -> CommandDone:
        """Send it once. Raises nothing but what cancels it."""
        if self.running >= COMMANDS_MAX:
            return _unsent(sent, f"{COMMANDS_MAX} commands of sagas run at this sidecar already")
        self.running += 1
        try:
            return await self._send(sent)
        finally:
            self.running -= 1

    async def _send(self, sent: SendCommand) -> CommandDone:
        until = trio.current_time() + sent.timeout_s
        instance = self._pick(sent.command.service, sent.avoid)
        if instance is None:
            return _unsent(sent, self._why_nobody(sent.command.service))
        try:
            with trio.fail_after(sent.timeout_s):
                headers = await self._headers(sent)
        except SecretMissing as error:
            self._missing(error.name, str(error))
            return _unsent(sent, str(error))
        except trio.TooSlowError:
            return _unsent(sent, f"its secrets were not read within {sent.timeout_s:g} s")
        command, place = sent.command, (instance.service.address, instance.service.port)
        call = OutgoingCall(command.method, command.path, headers, command.body)
        left_s = max(0.01, until - trio.current_time())
        try:
            with trio.fail_after(left_s):
                answer = await self._client.ask(
                    place, call, most_bytes=MAX_RESULT_BYTES, again=False, cuts=True,
                    connect_s=min(CONNECT_S, CONNECT_SHARE * left_s),
                )  # fmt: skip
        except (NotReached, ValueError) as error:
            return _unsent(sent, str(error), shown_place(place))
        except NoWholeAnswer as error:
            return _unanswered(sent, str(error), shown_place(place))
        except trio.TooSlowError:
            return _unanswered(sent, f"no answer within {round(sent.timeout_s, 2):g} s", shown_place(place))
        return _answered(sent, answer, shown_place(place))

    # -- whom to ask -------------------------------------------------------------------------------------------------

    def _pick(self, service: str, avoid: Sequence[str]) -> CatalogInstance | None:
        """A passing instance by weight, one that is not to be avoided if there is one."""
        passing = [one for one in self._view.catalog.lookup(service) if one.service.port > 0]
        others = [one for one in passing if shown_place((one.service.address, one.service.port)) not in avoid]
        candidates = others or passing
        if not candidates:
            return None
        weights = [one.service.weight for one in candidates]
        return self._rng.choices(candidates, weights if any(weights) else None)[0]

    def _why_nobody(self, service: str) -> str:
        known = len(self._view.catalog.lookup(service, all=True))
        if known:
            return f"none of the {known} instances of {service} passes its checks"
        if not self._view.synced:
            return f"no instance of {service} is known, and this sidecar is not synced yet"
        return f"no instance of {service} is registered: register one, or check its name"

    # -- secrets -----------------------------------------------------------------------------------------------------

    async def _headers(self, sent: SendCommand) -> tuple[tuple[str, str], ...]:
        """With secrets filled in. Files may be on a slow disk, so they are read in a thread. Raises SecretMissing."""
        headers = sent.command.headers
        names = secrets_in(headers)
        if names:
            headers = await trio.to_thread.run_sync(
                self._secrets.filled_in, sent.command.headers, abandon_on_cancel=True, limiter=self._threads
            )
            for name in names:
                self._found(name)
        return tuple((name, _as_latin(value)) for name, value in (*headers, *sent.headers))


def _as_latin(value: str) -> str:
    """UTF-8, in the form in which the client takes bytes."""
    return value.encode().decode("latin-1")


def _unsent(sent: SendCommand, text: str, instance: str = "") -> CommandDone:
    return CommandDone(sent.number, False, 0, b"", False, "", 0.0, instance, _cut(text))


def _unanswered(sent: SendCommand, text: str, instance: str) -> CommandDone:
    return CommandDone(sent.number, True, 0, b"", False, "", 0.0, instance, _cut(text))


def _answered(sent: SendCommand, answer: HttpAnswer, instance: str) -> CommandDone:
    asked_s = retry_after_untrusted(answer.header("retry-after"), answer.header("date"), time.time())
    return CommandDone(
        sent.number, True, answer.status, answer.body, answer.cut, _cut(answer.header("content-type")),
        min(asked_s or 0.0, MAX_RETRY_AFTER_S), instance,
        _why_not(answer.status),
    )  # fmt: skip


def _why_not(status: int) -> str:
    """What people are told of an answer that is no 2xx."""
    if 200 <= status < 300:
        return ""
    return f"status {status}" + (", and no redirect is followed" if 300 <= status < 400 else "")


def _cut(text: str) -> str:
    return text.encode()[:MAX_TEXT_BYTES].decode(errors="ignore")

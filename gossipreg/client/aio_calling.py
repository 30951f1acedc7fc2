"""`AsyncService.call`, for asyncio and trio: as `calling.py`, but attempts end at their timeouts, and can be hedged."""

from collections.abc import Awaitable, Callable
from inspect import isawaitable
from time import monotonic
from typing import TypeVar

from gossipreg.client.calling import NOTHING_SENT, CallFailed, is_bad, next_or_failed, picked
from gossipreg.client.loops import sleep, within
from gossipreg.client.picked import PickedInstance
from gossipreg.client.picker import Picker
from gossipreg.client.picking.attempts import AfterAttempt, Attempt, LogicalCall
from gossipreg.client.picking.options import CallOptions
from gossipreg.client.picking.outcomes import NEUTRAL, OutcomeKind
from gossipreg.client.racing import Race, racing
from gossipreg.errors import BadParams

T = TypeVar("T")
Request = Callable[[PickedInstance], Awaitable[T]]


async def run_call(
    picker: Picker,
    ready: Callable[[float], Awaitable[object]],
    fn: Request[T],
    options: CallOptions,
    key: str | None,
    fallback: Callable[[], Awaitable[T]] | None,
) -> T:
    """Call `fn` with an instance, again where that is allowed, and `fallback` if all of it failed. `ready(wait_s)`
    waits until anything is known of the service, which is part of the call's time."""
    call: LogicalCall | None = None
    try:
        until = monotonic() + options.deadline_s
        await ready(options.deadline_s)
        call = picker.begin(options.ending_at(until, monotonic()), key)
    except NOTHING_SENT as error:  # of this service alone: `fn` may raise the same for another one
        failed = CallFailed(error)
    else:
        try:
            return await _attempts(picker, call, fn)
        except CallFailed as error:
            failed = error
        finally:
            picker.close(call)
    if fallback is None or not picker.may_fall_back(call):
        result: T = failed.give()
        return result
    return await _fall_back(fallback, failed)


async def _fall_back(fallback: Callable[[], Awaitable[T]], failed: CallFailed) -> T:
    try:
        answer = fallback()
        if isawaitable(answer):
            return await answer
    except Exception as error:
        if failed.error is None:
            raise
        raise failed.error from error
    raise BadParams(f"fallback {fallback!r} returned {answer!r}: give an async function") from failed.error


async def _attempts(picker: Picker, call: LogicalCall, fn: Request[T]) -> T:
    last: CallFailed | None = None
    while True:
        attempt = next_or_failed(picker, call, last)
        hedge_at = picker.hedge_at(call, attempt)
        try:
            if hedge_at is None:
                return await _attempt(picker, call, fn, attempt)
            return await _hedged(picker, call, fn, attempt, hedge_at)
        except _Again as again:
            last = again.failed
        await sleep(max(0.0, call.retry_at - monotonic()))


class _Again(Exception):
    """The attempt failed, and another one may follow."""

    def __init__(self, failed: CallFailed, waits: bool) -> None:
        self.failed = failed
        self.waits = waits
        """Another attempt of the call still runs."""


async def _attempt(picker: Picker, call: LogicalCall, fn: Request[T], attempt: Attempt) -> T:
    """One attempt; raises _Again, CallFailed, or an error that is neutral."""
    instance = picked(attempt)
    try:
        result = await within(attempt.timeout_s, fn, instance)
    except BaseException as error:
        # only Exception: what asyncio and trio raise to cancel is neutral, and so is what ends the program
        outcome = instance.outcome(error) if isinstance(error, Exception) else NEUTRAL
        after = picker.attempt_ended(call, attempt, outcome, instance.load)
        if outcome.kind is OutcomeKind.NEUTRAL:
            raise
        failed = CallFailed(error)
    else:
        outcome = instance.outcome(None)
        after = picker.attempt_ended(call, attempt, outcome, instance.load)
        if not is_bad(outcome):
            return result
        failed = CallFailed(None, result)
    if after is AfterAttempt.FINAL:
        raise failed
    raise _Again(failed, after is AfterAttempt.WAIT)


async def _hedged(picker: Picker, call: LogicalCall, fn: Request[T], first: Attempt, hedge_at: float) -> T:
    """An attempt, and a second one beside it if the first is slow. What ends the call ends the other one too."""

    async def run(attempt: Attempt) -> T:
        return await _attempt(picker, call, fn, attempt)

    async with racing() as race:
        race.start(run, first)
        if not await race.wait(max(0.0, hedge_at - monotonic())) and (second := picker.hedge(call)) is not None:
            race.start(run, second)
        return await _first_good(race)


async def _first_good(race: "Race[T]") -> T:
    while True:
        await race.wait(None)
        try:
            return race.take()
        except _Again as again:
            if not again.waits:
                raise

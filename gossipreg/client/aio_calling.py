"""`AsyncService.call`, for asyncio and trio: as `calling.py`, but attempts end at their timeouts, and can be hedged."""

from collections.abc import Awaitable, Callable
from inspect import isawaitable
from time import monotonic
from typing import Any, TypeVar, cast

from gossipreg.client.calling import NOTHING_SENT, CallFailed, end_attempt, next_or_failed, picked
from gossipreg.client.fallback import FallbackLimits
from gossipreg.client.loops import sleep, within
from gossipreg.client.picked import PickedInstance
from gossipreg.client.picker import Picker
from gossipreg.client.picking.attempts import AfterAttempt, Attempt, LogicalCall
from gossipreg.client.picking.options import CallOptions
from gossipreg.client.picking.outcomes import NEUTRAL
from gossipreg.client.racing import Ended, Race, racing
from gossipreg.errors import BadParams

T = TypeVar("T")
Request = Callable[[PickedInstance], Awaitable[T]]
Ready = Callable[[float], Awaitable[object]]
"""Waits at most so many seconds until anything is known of the service."""
Discard = Callable[[T], Awaitable[object]]


async def keep(_result: object) -> None:
    """The `discard` of results that hold nothing open."""


async def run_call(
    picker: Picker,
    ready: Ready,
    fn: Request[T],
    options: CallOptions,
    key: str | None,
    fallback: Callable[[FallbackLimits], Awaitable[T]] | None,
    discard: Discard[T] = keep,
) -> T:
    """As `calling.run_call`. The wait of `ready` is part of the call's time, and so is the fallback."""
    deadline = monotonic() + options.deadline_s
    try:
        return await attempted(picker, ready, fn, options, key, discard)
    except CallFailed as error:
        failed = error
    try:
        if fallback is None or not picker.may_fall_back(failed.call):
            return cast(T, failed.give())
        return await _fall_back(fallback, failed.limits(deadline, options), failed, discard)
    finally:
        del failed  # as in CallFailed.give


async def attempted(
    picker: Picker, ready: Ready, fn: Request[T], options: CallOptions, key: str | None, discard: Discard[T]
) -> T:
    """A call without a fallback. Raises CallFailed."""
    try:
        until = monotonic() + options.deadline_s
        await ready(options.deadline_s)
        call = picker.begin(options.ending_at(until, monotonic()), key)
    except NOTHING_SENT as error:  # of this service alone: `fn` may raise the same for another one
        raise CallFailed(error) from None
    try:
        return await _attempts(picker, call, fn, discard)
    except CallFailed as failed:
        failed.call = call
        raise
    finally:
        picker.close(call)


def called(function: Callable[[FallbackLimits], Any]) -> Callable[[FallbackLimits], Awaitable[Any]]:
    """A function of the program as a fallback: it has what is left of the deadline, and is cancelled then."""

    async def run(limits: FallbackLimits) -> Any:
        answer = function(limits)
        if isawaitable(answer):
            return await answer
        raise BadParams(f"fallback {function!r} returned {answer!r}: give an async function")

    async def fall_back(limits: FallbackLimits) -> Any:
        with limits.obeyed():
            return await within(limits.timeout_s, run, limits)

    return fall_back


async def _fall_back(
    fallback: Callable[[FallbackLimits], Awaitable[T]], limits: FallbackLimits, failed: CallFailed, discard: Discard[T]
) -> T:
    try:
        result = await fallback(limits)
    except CallFailed as second:
        for unwanted in second.unwanted():
            await discard(unwanted)
        return cast(T, failed.give(second.error))
    except BaseException as error:
        if isinstance(error, Exception) and not isinstance(error, BadParams) and failed.error is not None:
            return cast(T, failed.give(error))
        for unwanted in failed.unwanted():
            await discard(unwanted)
        if isinstance(error, BadParams):
            raise error from failed.error
        raise
    for unwanted in failed.unwanted():
        await discard(unwanted)
    return result


async def _attempts(picker: Picker, call: LogicalCall, fn: Request[T], discard: Discard[T]) -> T:
    last: CallFailed | None = None
    try:
        while True:
            attempt = next_or_failed(picker, call, last)
            for unwanted in () if last is None else last.unwanted():
                await discard(unwanted)
            try:
                return await _one_or_two(picker, call, fn, attempt, discard)
            except CallFailed as failed:
                if failed.after is AfterAttempt.FINAL:
                    raise
                last = failed
            await sleep(max(0.0, call.retry_at - monotonic()))
    except CallFailed:
        raise
    except BaseException:
        for unwanted in () if last is None else last.unwanted():
            await discard(unwanted)
        raise
    finally:
        last = None  # as in CallFailed.give


async def _one_or_two(
    picker: Picker, call: LogicalCall, fn: Request[T], first: Attempt, discard: Discard[T]
) -> T:  # fmt: skip
    """An attempt, and a second one beside it if the first is slow and hedges are wanted. What ends the call ends the
    other one too."""
    hedge_at = picker.hedge_at(call, first)
    if hedge_at is None:
        return await _attempt(picker, call, fn, first)

    async def run(attempt: Attempt) -> T:
        return await _attempt(picker, call, fn, attempt)

    late: list[Ended[T]] = []
    try:
        async with racing(late) as race:
            race.start(run, first)
            if not await race.wait(max(0.0, hedge_at - monotonic())) and (second := picker.hedge(call)) is not None:
                race.start(run, second)
            return await _first_good(race, discard)
    finally:
        for ended in late:
            for unwanted in _unwanted(ended):
                await discard(unwanted)


def _unwanted(ended: Ended[T]) -> list[T]:
    """The result of an attempt that came too late, or that failed beside a good one."""
    result, error = ended
    if error is None:
        return [cast(T, result)]
    return error.unwanted() if isinstance(error, CallFailed) else []


async def _first_good(race: "Race[T]", discard: Discard[T]) -> T:
    while True:
        await race.wait(None)
        try:
            return race.take()
        except CallFailed as failed:
            if failed.after is not AfterAttempt.WAIT:
                raise
            for unwanted in failed.unwanted():
                await discard(unwanted)


async def _awaited(request: tuple[Request[T], PickedInstance]) -> T:
    fn, instance = request
    answer = fn(instance)
    if not isawaitable(answer):
        raise BadParams(f"fn {fn!r} returned {answer!r}: give an async function, or use gossipreg.connect in threads")
    return await answer


async def _attempt(picker: Picker, call: LogicalCall, fn: Request[T], attempt: Attempt) -> T:
    """One attempt. Raises CallFailed, or an error that is no failure of the instance."""
    instance = picked(attempt)
    try:
        result = await within(attempt.timeout_s, _awaited, (fn, instance))
    except Exception as error:
        end_attempt(picker, call, attempt, instance, error=error)
        raise
    except BaseException:  # what asyncio and trio raise to cancel is neutral, and so is what ends the program
        picker.attempt_ended(call, attempt, NEUTRAL, instance.load)
        raise
    end_attempt(picker, call, attempt, instance, result=result)
    return result

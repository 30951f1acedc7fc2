"""`Service.call` for threads: attempts one after the other, then the fallback. `picking/attempts.py` has the rules.

A result that the program does not get, since another attempt follows, goes to `discard`: adapters close it.
"""

from collections.abc import Callable
from time import monotonic, sleep
from typing import Any, TypeVar, cast

from gossipreg.client.checks import refuse_coroutine
from gossipreg.client.fallback import FallbackLimits
from gossipreg.client.picked import PickedInstance
from gossipreg.client.picker import Picker
from gossipreg.client.picking.attempts import AfterAttempt, Attempt, LogicalCall
from gossipreg.client.picking.options import CallOptions
from gossipreg.client.picking.outcomes import IS_FAILURE, OutcomeKind
from gossipreg.errors import BadParams, BreakerOpen, DeadlineExceeded, NoInstance, NotSynced, TooStale

T = TypeVar("T")
Discard = Callable[[T], object]

IS_OVERLOADED = OutcomeKind.OVERLOADED
NOTHING_SENT = (BreakerOpen, NotSynced, TooStale)
"""Errors that keep a call from beginning."""


class CallFailed(Exception):
    """Inside: an attempt, or the call, is over without a success. It never reaches the program."""

    def __init__(
        self, error: BaseException | None, result: Any = None, after: AfterAttempt = AfterAttempt.FINAL
    ) -> None:  # fmt: skip
        super().__init__(str(error))
        self.error = error
        """What the program gets if there is no fallback; None: `result`, which the program itself called a failure."""
        self.result = result
        self.after = after
        """Of an attempt: what follows."""
        self.call: LogicalCall | None = None
        """None: it has not begun."""

    def give(self, cause: BaseException | None = None) -> Any:
        """Give the program what it gets of this call. `cause`: why its fallback failed, too."""
        error, self.error = self.error, None
        if error is None:
            return self.result
        self.__traceback__ = self.__context__ = None
        try:
            if cause is not None:
                raise error from cause
            raise error
        finally:
            del error  # error, traceback and frame would be a circle, which keeps sockets until the next collection

    def unwanted(self) -> list[Any]:
        """The result, if there is one: the program does not get it."""
        found = [] if self.result is None else [self.result]
        self.result = None
        return found

    def limits(self, deadline: float, options: CallOptions) -> FallbackLimits:
        return FallbackLimits(deadline, 0 if self.call is None else self.call.attempts, options.depth)


def keep(_result: object) -> None:
    """The `discard` of results that hold nothing open."""


def run_call(
    picker: Picker,
    fn: Callable[[PickedInstance], T],
    options: CallOptions,
    key: str | None,
    fallback: Callable[[FallbackLimits], T] | None,
    discard: Discard[T] = keep,
) -> T:
    """Call `fn` with an instance, again where that is allowed, and `fallback` if all of it failed. A fallback that
    fails too raises CallFailed, or an error of the program."""
    deadline = monotonic() + options.deadline_s
    try:
        return attempted(picker, fn, options, key, discard)
    except CallFailed as error:
        failed = error
    try:
        if fallback is None or not picker.may_fall_back(failed.call):
            return cast(T, failed.give())
        return _fall_back(fallback, failed.limits(deadline, options), failed, discard)
    finally:
        del failed  # as in `give`


def attempted(
    picker: Picker, fn: Callable[[PickedInstance], T], options: CallOptions, key: str | None, discard: Discard[T]
) -> T:
    """A call without a fallback. Raises CallFailed."""
    try:
        call = picker.begin(options, key)
    except NOTHING_SENT as error:  # of this service alone: `fn` may raise the same for another one
        raise CallFailed(error) from None
    try:
        return _attempts(picker, call, fn, discard)
    except CallFailed as failed:
        failed.call = call
        raise
    finally:
        picker.close(call)


def _attempts(picker: Picker, call: LogicalCall, fn: Callable[[PickedInstance], T], discard: Discard[T]) -> T:
    last: CallFailed | None = None
    try:
        while True:
            attempt = next_or_failed(picker, call, last)
            for unwanted in () if last is None else last.unwanted():
                discard(unwanted)
            try:
                return _attempt(picker, call, fn, attempt)
            except CallFailed as failed:
                if failed.after is AfterAttempt.FINAL:
                    raise
                last = failed
            sleep(max(0.0, call.retry_at - monotonic()))
    except CallFailed:
        raise
    except BaseException:
        for unwanted in () if last is None else last.unwanted():
            discard(unwanted)
        raise
    finally:
        last = None  # as in `run_call`


def _attempt(picker: Picker, call: LogicalCall, fn: Callable[[PickedInstance], T], attempt: Attempt) -> T:
    """One attempt. Raises CallFailed, or an error that is no failure of the instance."""
    instance = picked(attempt)
    try:
        result = fn(instance)
        refuse_coroutine("fn", fn, result)
    except BaseException as error:
        end_attempt(picker, call, attempt, instance, error=error)
        raise
    end_attempt(picker, call, attempt, instance, result=result)
    return result


def end_attempt(
    picker: Picker, call: LogicalCall, attempt: Attempt, instance: PickedInstance, *,
    error: BaseException | None = None, result: Any = None,
) -> None:  # fmt: skip
    """Take in how an attempt ended. Raises CallFailed if it has failed."""
    if error is None and instance.body_follows:
        picker.call_answered(call, attempt)
        return
    outcome = instance.outcome(error)
    after = picker.attempt_ended(call, attempt, outcome, instance.load)
    if outcome.kind in (IS_FAILURE, IS_OVERLOADED):
        raise CallFailed(error, result, after)


def picked(attempt: Attempt) -> PickedInstance:
    return PickedInstance(attempt.pick.instance, attempt.timeout_s, attempt.connect_timeout_s, attempt)


def next_or_failed(picker: Picker, call: LogicalCall, last: CallFailed | None) -> Attempt:
    """The next attempt. If there can be none, the call ends as its last attempt did."""
    try:
        return picker.next_attempt(call)
    except (NoInstance, DeadlineExceeded) as error:
        raise last or CallFailed(error) from None


def _fall_back(
    fallback: Callable[[FallbackLimits], T], limits: FallbackLimits, failed: CallFailed, discard: Discard[T]
) -> T:
    try:
        result = fallback(limits)
    except CallFailed as second:
        for unwanted in second.unwanted():
            discard(unwanted)
        return cast(T, failed.give(second.error))
    except BadParams as error:
        for unwanted in failed.unwanted():
            discard(unwanted)
        raise error from failed.error
    except BaseException as error:
        if isinstance(error, Exception) and failed.error is not None:
            return cast(T, failed.give(error))
        for unwanted in failed.unwanted():
            discard(unwanted)
        raise
    for unwanted in failed.unwanted():
        discard(unwanted)
    return result

"""`Service.call` for threads: attempts one after the other, then the fallback. `picking/attempts.py` has the rules."""

from collections.abc import Callable
from time import monotonic, sleep
from typing import Any, TypeVar

from gossipreg.client.picked import PickedInstance
from gossipreg.client.picker import Picker
from gossipreg.client.picking.attempts import AfterAttempt, Attempt, LogicalCall
from gossipreg.client.picking.options import CallOptions
from gossipreg.client.picking.outcomes import Outcome, OutcomeKind
from gossipreg.errors import BreakerOpen, DeadlineExceeded, NoInstance, NotSynced, TooStale

T = TypeVar("T")

NOTHING_SENT = (BreakerOpen, NotSynced, TooStale)
"""Errors that keep a call from beginning."""


class CallFailed(Exception):
    """Inside: an attempt, or the call, is over without a success. It never reaches the program."""

    def __init__(self, error: BaseException | None, result: Any = None) -> None:
        super().__init__(str(error))
        self.error = error
        """What the program gets if there is no fallback; None: `result`, which the program itself called a failure."""
        self.result = result

    def give(self) -> Any:
        """Give the program what it gets of this call."""
        if self.error is not None:
            raise self.error
        return self.result


def run_call(
    picker: Picker,
    fn: Callable[[PickedInstance], T],
    options: CallOptions,
    key: str | None,
    fallback: Callable[[], T] | None,
) -> T:
    """Call `fn` with an instance, again where that is allowed, and `fallback` if all of it failed."""
    call: LogicalCall | None = None
    try:
        call = picker.begin(options, key)
    except NOTHING_SENT as error:  # of this service alone: `fn` may raise the same for another one
        failed = CallFailed(error)
    else:
        try:
            return _attempts(picker, call, fn)
        except CallFailed as error:
            failed = error
        finally:
            picker.close(call)
    result: T = failed.give() if fallback is None or not picker.may_fall_back(call) else _fall_back(fallback, failed)
    return result


def _attempts(picker: Picker, call: LogicalCall, fn: Callable[[PickedInstance], T]) -> T:
    last: CallFailed | None = None
    while True:
        attempt = next_or_failed(picker, call, last)
        instance = picked(attempt)
        try:
            result = fn(instance)
        except BaseException as error:
            outcome = instance.outcome(error)
            after = picker.attempt_ended(call, attempt, outcome, instance.load)
            if outcome.kind is OutcomeKind.NEUTRAL:
                raise
            last = CallFailed(error)
        else:
            outcome = instance.outcome(None)
            after = picker.attempt_ended(call, attempt, outcome, instance.load)
            if not is_bad(outcome):
                return result
            last = CallFailed(None, result)
        if after is not AfterAttempt.RETRY:
            raise last
        sleep(max(0.0, call.retry_at - monotonic()))


def picked(attempt: Attempt) -> PickedInstance:
    return PickedInstance(attempt.pick.instance, attempt.timeout_s, attempt.connect_timeout_s, attempt)


def is_bad(outcome: Outcome) -> bool:
    return outcome.kind in (OutcomeKind.FAILURE, OutcomeKind.OVERLOADED)


def next_or_failed(picker: Picker, call: LogicalCall, last: CallFailed | None) -> Attempt:
    """The next attempt. If there can be none, the call ends as its last attempt did."""
    try:
        return picker.next_attempt(call)
    except (NoInstance, DeadlineExceeded) as error:
        raise last or CallFailed(error) from error


def _fall_back(fallback: Callable[[], T], failed: CallFailed) -> T:
    try:
        return fallback()
    except Exception as error:
        if failed.error is None:
            raise
        raise failed.error from error

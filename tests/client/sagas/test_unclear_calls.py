"""A call of a saga of which an attempt was lost, and whose last attempt was refused."""

import pytest

from gossipreg import StepUnknown
from gossipreg.client.registry import Registry
from gossipreg.client.sagas import program_saga
from gossipreg.client.sagas.saga_call import MAY_PASS, ProgramCall
from gossipreg.errors import Conflict, OutcomeUnknown, Unavailable, Unreachable
from tests.client.sagas.saga_sidecar import CLOSE, SagaSidecar, failure
from tests.client.sagas.test_sagas import reserve


def test_a_call_is_unclear_only_after_a_lost_attempt() -> None:
    ends = [kind("why") for kind in (*MAY_PASS, Unreachable, OutcomeUnknown)]
    call = ProgramCall("saga-run", {}, 0.0)
    assert not any(call.is_unclear(error) for error in ends)
    call.failed(Unreachable("it broke"), 0.1)
    assert all(call.is_unclear(error) for error in ends)
    assert not call.is_unclear(Conflict("every attempt would have been told that"))


def test_a_call_is_not_repeated_in_less_time_than_it_took() -> None:
    """A sidecar waits 10 s for a leader before it says that there is none: it would be asked in vain."""
    call = ProgramCall("saga-run", {}, 0.0, 25.0)
    wait_s = call.failed(Unavailable("nobody leads"), 10.0)
    with pytest.raises(Unavailable, match="nobody leads"):
        call.failed(Unavailable("nobody leads"), 20.0 + wait_s)
    assert not call.is_lost
    quick, now = ProgramCall("saga-run", {}, 0.0, 25.0), 0.0
    for _ in range(40):
        now += 0.01 + quick.failed(Unavailable("nobody leads"), now + 0.01)
    assert now > 10.0


def test_a_refusal_after_a_lost_attempt_leaves_the_step_unknown(
    sagas: SagaSidecar, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`Unavailable` says that nothing was done: of the last attempt, and not of the one before."""
    for name in ("CALL_S", "LATER_S"):
        monkeypatch.setattr(program_saga, name, 0.1)
    sagas.script["saga-step"] = [CLOSE, *[failure("unavailable", "no leader")] * 100]
    with pytest.raises(StepUnknown, match="may be done or not: no leader"), registry.saga("create-order") as saga:
        reserve(saga, timeout=0.1)


def test_an_unclear_commit_is_not_aborted_where_it_could_be(sagas: SagaSidecar, registry: Registry) -> None:
    sagas.script["saga-commit"] = [failure("refused", "no answer is known")]
    with pytest.raises(OutcomeUnknown, match="no answer is known"), registry.saga("create-order") as saga:
        reserve(saga)
    assert sagas.methods == ["begin", "step", "commit"]

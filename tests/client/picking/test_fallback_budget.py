"""Fallbacks count in the budget of retries, which never refuses one."""

from gossipreg.client.picking.attempts import AfterAttempt
from gossipreg.client.picking.outcomes import FAILURE
from tests.client.picking.test_attempts import begin, service


def test_a_fallback_is_never_refused_by_the_budget() -> None:
    one = service()
    for second in range(15):  # too few calls for the breaker, and the budget does not last for two retries of each
        call, after, now = begin(one, float(second)), AfterAttempt.RETRY, float(second)
        while after is AfterAttempt.RETRY:
            after = call.ended(call.next_attempt(now), FAILURE, now)
            now = max(now, call.retry_at)
        assert call.may_fall_back(now)
    stats = one.stats()
    assert (stats["fallbacks"], stats["breaker"], stats["budget_used_up"] != 0) == (15, "closed", True)

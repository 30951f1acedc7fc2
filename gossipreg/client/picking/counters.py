"""Each decision of picking and resilience is counted under one of these names; `Service.stats()` shows them."""

COUNTERS = {
    "picks": "requests that were given an instance",
    "no_instance": "picks that failed because no instance could be picked",
    "picks_in_panic": "picks while so many were ejected that ejection was ignored",
    "picks_of_critical": "picks of instances that do not pass, because none does (panic=all)",
    "picks_by_key": "picks with a key",
    "keys_moved": "picks with a key whose own instance could not be picked, or was too loaded",
    "probes": "requests sent to an ejected instance as its probe",
    "successes": "requests that ended well",
    "failures": "requests that failed",
    "overloaded": "requests that the server refused for load",
    "neutral": "requests whose end says nothing about the instance",
    "abandoned": "requests that were dropped without an end, found by the garbage collector",
    "overdue": "requests without an end after ten times their deadline",
    "ejections": "instances taken out because they failed",
    "ejections_refused": "ejections that would have left too few instances",
    "returns": "instances that came back by a probe",
    "calls": "logical calls that began",
    "attempts": "attempts of logical calls",
    "retries": "attempts after a failed one",
    "hedges": "attempts beside one that still ran",
    "fallbacks": "calls that went to their fallback",
    "calls_succeeded": "logical calls that ended well",
    "calls_failed": "logical calls that failed",
    "not_idempotent": "failed attempts that were not repeated, because the request was sent and may not be sent twice",
    "retry_of_a_retry": "failed attempts that were not repeated, because the caller's request is a retry itself",
    "attempts_used_up": "failed attempts that were not repeated, because they were the last ones allowed",
    "deadline_too_near": "failed attempts that were not repeated, because the deadline was too near",
    "no_other_instance": "failed attempts that were not repeated, because no other instance could be picked",
    "budget_used_up": "retries and hedges that the retry budget did not allow",
    "breaker_opened": "times that the breaker opened",
    "breaker_refused": "calls that the breaker refused",
    "breaker_probes": "calls that the half-open breaker let through",
}
GAUGES = {
    "in_flight": "requests on their way to an instance now",
    "ejected": "instances that get no requests for a while, because they failed",
}
"""What `stats()` shows beside the counters, as it is now."""


def new_counters() -> dict[str, int]:
    return dict.fromkeys(COUNTERS, 0)

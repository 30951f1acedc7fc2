// Each decision of picking and resilience is counted under one of these names; `Service.stats()` shows them. The names
// are those of the Python client, so one dashboard serves both.

export const COUNTERS = [
  "picks",
  "no_instance",
  "picks_in_panic",
  "picks_of_critical",
  "picks_by_key",
  "keys_moved",
  "probes",
  "successes",
  "failures",
  "overloaded",
  "neutral",
  "abandoned",
  "overdue",
  "ejections",
  "ejections_refused",
  "returns",
  "calls",
  "attempts",
  "retries",
  "hedges",
  "fallbacks",
  "calls_succeeded",
  "calls_failed",
  "not_idempotent",
  "retry_of_a_retry",
  "attempts_used_up",
  "deadline_too_near",
  "no_other_instance",
  "budget_used_up",
  "breaker_opened",
  "breaker_refused",
  "breaker_probes",
];

/** What `stats()` shows beside the counters, as it is now. */
export const GAUGES = ["in_flight", "ejected"];

export function newCounters() {
  return Object.fromEntries(COUNTERS.map((name) => [name, 0]));
}

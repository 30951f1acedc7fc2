"""What all replicas of a journal forget by."""

from gossipreg.events import tuning
from gossipreg.events.entries import MAX_GROUP_PATTERNS, MAX_GROUPS

FOR_EVER = {
    "dedup_s": 600.0, "dedup_ids": 100_000, "max_age_s": 7 * 86400.0, "group_ttl_s": 7 * 86400.0,
    "pattern_ttl_s": 3600.0,
}  # fmt: skip
"""Replicas of an older release forget by these: entries have to carry whatever a newer one forgets by."""


def test_replicas_of_all_releases_forget_by_the_same_times() -> None:
    assert {name: getattr(tuning.default, name) for name in FOR_EVER} == FOR_EVER
    assert (MAX_GROUPS, MAX_GROUP_PATTERNS) == (1024, 64), "they decide which groups a replica takes, and their numbers"

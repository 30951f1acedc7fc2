"""The parameters of publish and subscribe that are checked by the daemon alone."""

import pytest

from gossipreg.daemon.events.event_params import MAX_KEEP_S, publish_untrusted, subscription_untrusted
from gossipreg.errors import BadParams
from gossipreg.events import tuning
from gossipreg.events.entries import MAX_GROUP_PATTERNS


def test_no_more_is_promised_to_be_kept_than_a_journal_keeps() -> None:
    assert tuning.default.max_age_s == MAX_KEEP_S
    assert publish_untrusted({"type": "a", "keep": MAX_KEEP_S}, tuning.default, source="s").keep_ms == MAX_KEEP_S * 1000
    with pytest.raises(BadParams, match="keep is 691200: give seconds, from 0 to 604800"):
        publish_untrusted({"type": "a", "keep": 8 * 86400}, tuning.default, source="s")


def test_refusal_of_too_many_patterns_does_not_repeat_them_all() -> None:
    many = [f"order{number}.*" for number in range(MAX_GROUP_PATTERNS + 1)]
    with pytest.raises(BadParams) as refused:
        subscription_untrusted({"pattern": many, "group": "g"}, tuning.default)
    assert f"a list of {len(many)}" in str(refused.value)
    assert len(str(refused.value)) < 200

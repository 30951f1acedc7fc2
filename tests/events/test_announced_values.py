"""Subscriptions and remembered groups as announcements in a row."""

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossipreg.errors import BadDatagram
from gossipreg.events.announced import (
    AnnouncedSubscription,
    decode_group_untrusted,
    decode_subscription_untrusted,
    encode_group,
    encode_subscription,
)
from gossipreg.events.entries import MAX_GROUP_BYTES, MAX_GROUP_PATTERNS
from gossipreg.events.membership import KnownGroup

names = st.from_regex(r"[a-z]{1,20}(-[0-9]{1,3})?", fullmatch=True)
patterns = st.lists(st.sampled_from(("order", "*", "paid", "x")), min_size=1, max_size=4).map(".".join)
subscriptions = st.one_of(
    st.builds(AnnouncedSubscription, names, patterns, st.booleans()),
    st.builds(AnnouncedSubscription, st.just(""), patterns, st.just(False)),
)
group_patterns = st.lists(patterns, max_size=MAX_GROUP_PATTERNS).map(tuple)
groups = st.builds(KnownGroup, names, group_patterns, st.booleans(), st.just(False))


@given(subscriptions)
def test_a_subscription_survives_its_encoding(subscription: AnnouncedSubscription) -> None:
    assert decode_subscription_untrusted(encode_subscription(subscription)) == subscription


@given(groups)
def test_a_group_survives_its_encoding(group: KnownGroup) -> None:
    assert decode_group_untrusted(encode_group(group)) == group


@given(subscriptions, groups)
def test_what_later_releases_add_to_announcements_is_ignored(
    subscription: AnnouncedSubscription, group: KnownGroup
) -> None:
    flags = 4 | 2 * subscription.past | (0 if subscription.group else 1)
    longer = msgpack.packb((subscription.group, subscription.pattern, flags, "more", [1]))
    assert decode_subscription_untrusted(longer) == subscription
    assert decode_group_untrusted(msgpack.packb((group.name, group.patterns, 2 | group.declared, "more"))) == group


@pytest.mark.parametrize(
    "fields",
    [
        ("billing", "order.*"),
        ("billing", "order.*", "0"),
        ("billing", "order.*", -1),
        ("billing", "order.*", 1),
        ("", "order.*", 0),
        ("bill ing", "order.*", 0),
        ("b" * (MAX_GROUP_BYTES + 1), "order.*", 0),
        ("billing", "order..x", 0),
        ("billing", ">.x", 0),
        ("billing", b"order", 0),
        (7, "order", 0),
    ],
)
def test_a_subscription_that_is_none_is_refused(fields: tuple[object, ...]) -> None:
    with pytest.raises(BadDatagram):
        decode_subscription_untrusted(msgpack.packb(fields))


@pytest.mark.parametrize(
    "fields",
    [("billing",), ("", ()), ("billing", "order"), ("billing", ("a",) * (MAX_GROUP_PATTERNS + 1)), ("billing", ("",))],
)
def test_a_group_that_is_none_is_refused(fields: tuple[object, ...]) -> None:
    with pytest.raises(BadDatagram):
        decode_group_untrusted(msgpack.packb(fields))


@given(st.binary(max_size=64))
def test_any_bytes_are_an_announcement_of_events_or_refused(value: bytes) -> None:
    for decode in (decode_subscription_untrusted, decode_group_untrusted):
        try:
            found = decode(value)
        except BadDatagram:
            continue
        encoded = encode_group(found) if isinstance(found, KnownGroup) else encode_subscription(found)
        assert decode(encoded) == found

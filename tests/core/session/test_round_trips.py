"""Round-trip bounds: RFC 6298's arithmetic, zones for those never measured, floor and ceiling for all."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gossipreg.config import lan
from gossipreg.core.session.round_trips import RoundTrips
from gossipreg.model import NodeId
from tests.examples import examples

A, B = NodeId(b"a" * 16), NodeId(b"b" * 16)
WIDE = replace(lan, rtt_floor_s=0.02, rtt_ceiling_s=0.9)
samples = st.floats(0, 100, allow_nan=False)


@settings(max_examples=examples(30), deadline=None)
@given(st.lists(st.tuples(st.sampled_from([A, B]), st.sampled_from(["x", "y", ""]), samples), max_size=30))
def test_a_bound_is_never_below_the_floor_or_above_the_ceiling(measured: list[tuple[NodeId, str, float]]) -> None:
    trips = RoundTrips(lan)
    for id, zone, rtt_s in measured:
        trips.sample(id, zone, rtt_s)
    for id in (A, B):
        for zone in ("x", "y", "", "unknown"):
            assert lan.rtt_floor_s <= trips.bound_s(id, zone, lan.rtt_floor_s) <= lan.rtt_ceiling_s


@settings(max_examples=examples(30), deadline=None)
@given(st.lists(st.floats(0, 0.2), min_size=1, max_size=30))
def test_it_computes_as_rfc_6298_says(measured: list[float]) -> None:
    trips = RoundTrips(WIDE)
    smoothed = variation = 0.0
    for number, rtt_s in enumerate(measured):
        trips.sample(A, "", rtt_s)
        if number == 0:
            smoothed, variation = rtt_s, rtt_s / 2
        else:
            variation = 3 / 4 * variation + 1 / 4 * abs(smoothed - rtt_s)
            smoothed = 7 / 8 * smoothed + 1 / 8 * rtt_s
    assert trips.smoothed_s(A) == pytest.approx(smoothed)
    assert trips.bound_s(A, "", WIDE.rtt_floor_s) == pytest.approx(min(max(smoothed + 4 * variation, 0.02), 0.9))


def test_a_member_never_measured_has_its_zones_timeout() -> None:
    trips = RoundTrips(WIDE)
    trips.sample(A, "far", 0.2)
    assert trips.bound_s(B, "far", WIDE.rtt_floor_s) == trips.bound_s(A, "far", WIDE.rtt_floor_s) == pytest.approx(0.6)
    assert trips.bound_s(B, "near", WIDE.rtt_floor_s) == WIDE.rtt_initial_s
    assert trips.smoothed_s(B) is None


def test_zones_invented_without_end_take_no_memory_without_end() -> None:
    trips = RoundTrips(lan)
    for number in range(2000):
        trips.sample(A, f"zone {number}", 0.01)
    assert len(trips._zones) == 256
    trips.forget(A)
    assert trips.smoothed_s(A) is None
    assert not trips._members

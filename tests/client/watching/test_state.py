"""How much a sidecar is believed: by what it says of itself, and by what was believed before."""

from dataclasses import replace
from math import inf
from typing import Any

import pytest

from gossipreg.client.watching.state import STRANGER_S, SidecarState, SidecarTrust, Trust, state_untrusted
from tests.client.talking_sidecar import state

SYNCED = state_untrusted(state())
RESTARTED = replace(SYNCED, run="02")


def believed(first: SidecarState = SYNCED, max_stale_s: float | None = 900.0) -> SidecarTrust:
    """After a connection to this sidecar that has ended at time 10."""
    trust = SidecarTrust(max_stale_s)
    trust.said(first, 0.0)
    trust.gone(10.0)
    return trust


def said(trust: SidecarTrust, now: float, **changed: Any) -> Trust:
    trust.said(replace(RESTARTED, **changed), now)
    return level(trust)


def level(trust: SidecarTrust) -> Trust:
    """As the type checker does not remember it."""
    return trust.level


def test_a_sidecar_that_has_said_nothing_is_not_believed() -> None:
    assert level(SidecarTrust(900.0)) is Trust.NOTHING
    assert level(believed()) is Trust.NOTHING


@pytest.mark.parametrize("knowledge", ["isolated", "last_known", "not_synced", "of a newer release"])
def test_what_an_unsynced_sidecar_leaves_out_is_not_believed(knowledge: str) -> None:
    trust = SidecarTrust(900.0)
    assert said(trust, 0.0, knowledge=knowledge) is Trust.LISTED
    assert trust.why_not
    assert said(trust, 1.0, knowledge="synced") is Trust.ALL
    assert trust.why_not == ""


def test_the_first_sidecar_is_believed_without_other_members() -> None:
    assert said(SidecarTrust(900.0), 0.0, others=False) is Trust.ALL


def test_a_restarted_sidecar_without_its_members_is_not_believed() -> None:
    trust = believed()
    assert said(trust, 11.0, others=False) is Trust.LISTED
    assert "met no other member" in trust.why_not
    assert said(trust, 12.0, others=True) is Trust.ALL


def test_a_restarted_sidecar_that_had_no_other_members_is_believed() -> None:
    assert said(believed(replace(SYNCED, others=False)), 11.0, others=False) is Trust.ALL


def test_a_sidecar_that_runs_on_may_lose_its_last_member() -> None:
    trust = SidecarTrust(900.0)
    trust.said(SYNCED, 0.0)
    assert said(trust, 1.0, run=SYNCED.run, others=False) is Trust.ALL
    trust.gone(2.0)
    assert said(trust, 3.0, run=SYNCED.run, others=False) is Trust.ALL


def test_what_lapsed_is_not_protected_from_a_lonely_sidecar() -> None:
    trust = believed(max_stale_s=900.0)
    assert said(trust, 11.0, others=False) is Trust.LISTED
    assert trust.due == 910.0, "counted from when the sidecar was believed last"
    trust.pass_time(909.0)
    assert level(trust) is Trust.LISTED
    trust.pass_time(910.0)
    assert level(trust) is Trust.ALL
    assert trust.due == inf


def test_after_a_long_isolation_what_the_sidecar_lists_is_all() -> None:
    trust = SidecarTrust(900.0)
    trust.said(SYNCED, 0.0)
    assert said(trust, 5.0, run=SYNCED.run, knowledge="isolated") is Trust.LISTED
    trust.pass_time(905.0)
    assert level(trust) is Trust.ALL
    assert said(trust, 906.0, run=SYNCED.run) is Trust.ALL
    assert said(trust, 907.0, run=SYNCED.run, knowledge="isolated") is Trust.LISTED, "a new isolation counts anew"


def test_time_alone_never_makes_an_unsynced_sidecar_believed() -> None:
    trust = believed()
    assert said(trust, 11.0, knowledge="not_synced") is Trust.LISTED
    for now in (910.0, 2000.0, 1e6):
        trust.pass_time(now)
        assert level(trust) is Trust.LISTED
        assert trust.due > now


def test_without_max_stale_what_is_known_is_protected_for_ever() -> None:
    trust = believed(max_stale_s=None)
    assert said(trust, 11.0, others=False) is Trust.LISTED
    assert trust.due == inf


def test_a_sidecar_of_another_cluster_is_never_believed() -> None:
    trust = believed()
    assert said(trust, 11.0, cluster="test") is Trust.NOTHING
    assert "'test'" in trust.why_not
    assert "'prod'" in trust.why_not
    assert trust.due == inf
    trust.pass_time(1e6)
    assert level(trust) is Trust.NOTHING


def test_another_member_is_not_believed_at_first() -> None:
    trust = believed()
    assert said(trust, 11.0, node="bb" * 16) is Trust.NOTHING
    assert trust.is_stranger
    assert trust.due == 11.0 + STRANGER_S
    trust.pass_time(11.0 + STRANGER_S)
    assert level(trust) is Trust.ALL


def test_another_member_that_has_met_ours_is_believed_at_once() -> None:
    trust = believed()
    said(trust, 11.0, node="bb" * 16)
    trust.proven(11.5)
    assert level(trust) is Trust.ALL


def test_another_member_without_others_is_not_believed_later_either() -> None:
    trust = believed()
    said(trust, 11.0, node="bb" * 16, others=False)
    trust.pass_time(11.0 + STRANGER_S)
    assert level(trust) is Trust.LISTED


@pytest.mark.parametrize("changed", [{"cluster": None}, {"others": 1}, {"node": b""}, {"knowledge": True}])
def test_a_state_with_a_wrong_field_is_refused(changed: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="not the state of a sidecar"):
        state_untrusted(state() | changed)


def test_a_field_of_a_newer_release_is_ignored() -> None:
    assert state_untrusted(state(colour="blue")) == SYNCED

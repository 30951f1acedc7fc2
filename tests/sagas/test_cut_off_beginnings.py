"""What a program is told that begins a saga at a sidecar which reaches no other voter of its journal."""

from tests.sagas.test_sagas_over_journals import answered, three_members, with_three_voters


def test_a_saga_that_cannot_begin_was_not_begun() -> None:
    """It waits for a proof of leadership that does not come. So nothing of it can be in the journal, and its program is
    told that, not that it may have begun."""
    cluster, _ = three_members()
    owner = cluster.sidecars[0]
    with_three_voters(cluster, cluster.begin(owner, "s1").journal)
    cluster.partition({0}, {1, 2})
    code, answer = answered(cluster, cluster.call(owner, "begin", name="create-order", id="s2"))
    assert code == "unavailable", answer

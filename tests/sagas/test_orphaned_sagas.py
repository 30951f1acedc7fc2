"""A journal of sagas whose owner stays away: ended when its last saga is forgotten, and not before."""

from gossipreg.journal.membership import ProcessStanding
from gossipreg.journal.model import JournalId
from gossipreg.journal.tuning import JournalTuning
from gossipreg.sagas.machine import SagasMachine
from gossipreg.sagas.saga_codec import encode_changes
from gossipreg.sagas.saga_entries import SAGA_ENTRY, BeginSaga, DecideSaga, ExpireSagas, SagaChange
from gossipreg.sagas.saga_model import Decision
from gossipreg.sagas.saga_tuning import SagaTuning
from tests.journal.cluster import Cluster, Sidecar
from tests.sagas.journal_bench import SagaCluster
from tests.sagas.saga_machines import WALL, begun

ORPHAN_S, KEPT_S = 30.0, 120.0
LATER_S = 60.0
"""When the journal of an owner that is away has ended, and what was on its way has arrived."""


def test_an_orphan_is_kept_until_its_ended_sagas_are_forgotten() -> None:
    tuning = SagaTuning(kept_s=KEPT_S)
    cluster = Cluster(1, 5, JournalTuning(orphan_s=ORPHAN_S, replace_s=600.0), lambda: SagasMachine(tuning))
    cluster.run(1.0)
    owner = cluster.sidecars[0]
    journal = cluster.open(owner)
    assert cluster.until(lambda: len(cluster.voters(journal)) == 3, 10.0)
    propose(cluster, owner, journal, BeginSaga(begun("order.7")), DecideSaga("order.7", Decision.COMMIT, "", WALL))
    cluster.run(1.0)
    cluster.crash(owner, ProcessStanding.SILENT)
    cluster.run(KEPT_S - 10.0)
    leader = cluster.leader(journal)
    assert leader is not None
    replica = leader.journals.replicas[journal]
    assert replica.orphaned
    machine = replica.data.state.machine
    assert isinstance(machine, SagasMachine)
    assert machine.ended("order.7") is not None, "a second begin with its id is no other saga"
    cluster.run(20.0)
    propose(cluster, leader, journal, ExpireSagas())
    left = [one for one in cluster.sidecars if one.up]
    assert cluster.until(lambda: not any(holds(one, journal) for one in left), 10.0)


def test_an_ended_journal_of_a_dead_owner_is_missed_by_nobody() -> None:
    """Its row goes on to claim the journal; a sidecar without a copy asks those that may know."""
    cluster = SagaCluster(1, 5)
    cluster.run(1.0)
    owner = cluster.sidecars[0]
    journal = cluster.open(owner)
    assert cluster.until(lambda: len(cluster.voters(journal)) == 3, 10.0)
    cluster.run(5.0)
    cluster.crash(owner, ProcessStanding.SILENT)
    cluster.run(JournalTuning().orphan_s + LATER_S)
    left = [one for one in cluster.sidecars if one.up and journal in one.journals.replicas]
    (asker,) = (one for one in cluster.sidecars if one.up and one not in left)
    assert left
    assert not any(holds(one, journal) for one in left)
    assert [claim.node for claim in asker.view.claims(journal)] == [owner.node]
    asked = cluster.ask(asker, "list")
    assert (asked[0], asked[1]["unanswered"]) == ("", [])
    assert cluster.ask(asker, "show", saga="order.7")[0] == "not_found"
    for one in left:
        cluster.crash(one, ProcessStanding.SILENT)
    cluster.run(10.0)
    asked = cluster.ask(asker, "list")
    assert asked[1]["unanswered"] == [f"journal {journal.hex()[:8]}: nobody leads it"], "nobody remembers the end"


def propose(cluster: Cluster, sidecar: Sidecar, journal: JournalId, *changes: SagaChange) -> None:
    data = encode_changes(list(changes))
    cluster.act(sidecar, sidecar.journals.propose(journal, data, 1, cluster.now, kind=SAGA_ENTRY))


def holds(sidecar: Sidecar, journal: JournalId) -> bool:
    """Whether more is left here than that it has ended."""
    replica = sidecar.journals.replicas.get(journal)
    return replica is not None and not replica.data.ended

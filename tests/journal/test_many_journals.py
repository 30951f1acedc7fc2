"""A host that dies leaves many journals: each sidecar stands for some of them at a time."""

import random

from gossipreg.journal.effects import LogBase, SendMessage
from gossipreg.journal.journals import Journals
from gossipreg.journal.membership import ProcessStanding, SeenMember
from gossipreg.journal.messages import PreVote
from gossipreg.journal.model import NO_BALLOT, START, Configuration, JournalId, ReplicaId, ReplicaPlace
from gossipreg.journal.replica_data import StoredReplica
from gossipreg.journal.tuning import FOREIGN_SPACE_BYTES, JournalTuning
from gossipreg.model import BootId, NodeId
from tests.journal.cluster import Collects
from tests.journal.view import View

TUNING = JournalTuning(elections_at_once=32)
US, OTHER, DEAD = (NodeId(bytes([number]) * 16) for number in (1, 2, 3))


def journals(count: int) -> Journals:
    """Copies of as many journals, whose owner is dead, while another voter lives."""
    view = View()
    view.synced_at = 0.0
    view.members = {
        OTHER: SeenMember(ProcessStanding.LIVES, BootId(b"2" * 8), 0.0),
        DEAD: SeenMember(ProcessStanding.SILENT, BootId(b"3" * 8), 0.0),
    }
    stored = []
    for number in range(count):
        ids = [ReplicaId(number.to_bytes(8, "big") + node[:8]) for node in (US, OTHER, DEAD)]
        voters = tuple(ReplicaPlace(id, node, node) for id, node in zip(ids, (US, OTHER, DEAD), strict=True))
        journal = JournalId(number.to_bytes(16, "big"))
        stored.append(
            StoredReplica(journal, ids[0], DEAD, NO_BALLOT, LogBase(START, 0, Configuration(voters)), (), {}, 0)
        )
    rng = random.Random(1)
    return Journals(
        TUNING, node=US, host=US, membership=view, machine=lambda _: Collects(), stored=stored,
        foreign_space_bytes=FOREIGN_SPACE_BYTES, rng=rng, entropy=rng.randbytes, now=100.0,
    )  # fmt: skip


def test_a_sidecar_stands_for_at_most_32_journals_at_a_time() -> None:
    ours = journals(100)
    ours.start(100.0)
    now, asked = 100.0, set[JournalId]()
    while len(asked) < 100 and now < 200.0:
        now = max(now + 0.01, ours.next_deadline())
        for effect in ours.advance(now):
            if isinstance(effect, SendMessage) and isinstance(effect.message, PreVote):
                asked.add(effect.message.journal)
        assert len(ours.electing) <= 32
    assert len(asked) == 100, "each has its turn"

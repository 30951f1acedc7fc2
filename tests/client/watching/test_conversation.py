"""A conversation with sidecars that restart, are isolated, are of another cluster: any history, in virtual time.

The model is a sidecar that behaves as the local socket's documentation says. Whatever happens, what a believed sidecar
lists is in the snapshot, what an unbelieved one leaves out stays, and in the end the snapshot is the sidecar's list.
"""

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from gossipreg.client.instance import Instance, InstanceKey
from gossipreg.client.snapshot import Snapshot
from gossipreg.client.watching.conversation import Conversation
from gossipreg.client.watching.feed import ServiceFeed
from gossipreg.client.watching.known import UNMET_S
from gossipreg.client.watching.state import STRANGER_S, SidecarTrust, Trust
from gossipreg.wire import rpc
from tests.client.talking_sidecar import OWN, Shape, at, state
from tests.examples import examples

NODES = (OWN, "0b" * 16, "0c" * 16)
MAX_STALE_S = 100.0
KNOWLEDGE = st.sampled_from(["synced", "synced", "isolated", "last_known", "not_synced"])


class ModelSidecar:
    """One run of a sidecar, without a socket."""

    def __init__(self, instances: dict[InstanceKey, Shape], **changed: Any) -> None:
        self.state = state(**changed)
        self.instances = instances
        self.met = {OWN}
        self.sent = bytearray()
        self._number = 0
        self._decoder = rpc.Decoder()
        self._watching = False
        self._owes = False

    @property
    def partial(self) -> bool:
        return self.state["knowledge"] in ("last_known", "not_synced")

    def asked(self, data: bytes) -> None:
        for _, id, method, params in self._decoder.feed_untrusted(data):
            match method:
                case "state":
                    self._reply(id, self.state)
                case "unmet":
                    self._reply(id, [node for node in params["nodes"] if node not in self.met])
                case "unwatch":
                    self._watching = False
                    self._reply(id, {})
                case "watch":
                    self._number += 1
                    self._watching = True
                    self._reply(id, {"watch": self._number})
                    self.current()

    def current(self) -> None:
        """Send the list to the watch; a partial list of nothing is not sent."""
        self._owes = self.partial
        if self.instances or not self.partial:
            partial = {"partial": True} if self.partial else {}
            self.change({"kind": "current", "instances": list(self.instances.values()), **partial})

    def change(self, change: Shape) -> None:
        if self._watching:
            self.sent += rpc.encode_notification("watch", {"watch": self._number, "change": change})

    def put(self, shape: Shape) -> None:
        key = InstanceKey(shape["node"], shape["id"])
        kind = "updated" if key in self.instances else "added"
        self.met.add(key.node)
        self.instances[key] = shape
        self.change({"kind": kind, "instance": shape})

    def remove(self, key: InstanceKey) -> None:
        self.change({"kind": "removed", "instance": self.instances.pop(key)})

    def say(self, **changed: Any) -> None:
        self.state = self.state | changed
        self.sent += rpc.encode_notification("state", self.state)
        if self._owes and not self.partial:
            self.current()

    def _reply(self, id: int, result: Any) -> None:
        self.sent += rpc.encode_reply(id, result)


class SidecarHistory(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.runs = self.versions = 0
        self.trust = SidecarTrust(MAX_STALE_S)
        self.feed = ServiceFeed("web")
        self.sidecar: ModelSidecar | None = None
        self.conversation: Conversation | None = None
        self.before: Snapshot | None = None

    @initialize(others=st.booleans())
    def first_connection(self, others: bool) -> None:
        self.connect({}, others=others)

    # -- what happens --------------------------------------------------------------------------------------------------

    @precondition(lambda self: self.sidecar is None)
    @rule(
        kept=st.sets(st.integers(0, 3)), knowledge=KNOWLEDGE, others=st.booleans(), met=st.sets(st.sampled_from(NODES)),
        cluster=st.sampled_from(["prod"] * 4 + ["test"]), node=st.sampled_from([OWN] * 3 + ["dd" * 16]),
    )  # fmt: skip
    def restart(
        self, kept: set[int], knowledge: str, others: bool, met: set[str], cluster: str, node: str
    ) -> None:  # fmt: skip
        shapes = {InstanceKey(n, f"web-{p}"): self.shape(p, n) for n in NODES for p in kept if n in met}
        self.connect(shapes, knowledge=knowledge, others=others, cluster=cluster, node=node)
        assert self.sidecar is not None
        self.sidecar.met |= met

    def connect(self, shapes: dict[InstanceKey, Shape], **changed: Any) -> None:
        self.runs += 1
        self.sidecar = ModelSidecar(shapes, run=str(self.runs), **changed)
        self.conversation = Conversation("path", self.trust, [self.feed])
        self.exchange()

    @precondition(lambda self: self.sidecar is not None)
    @rule()
    def end(self) -> None:
        self.sidecar = self.conversation = None
        self.trust.gone(self.now)
        self.feed.known.disconnected(self.now)
        self.feed.publish()

    @precondition(lambda self: self.sidecar is not None)
    @rule(port=st.integers(0, 3), node=st.sampled_from(NODES), health=st.sampled_from(["passing", "critical"]))
    def put(self, port: int, node: str, health: str) -> None:
        assert self.sidecar is not None
        self.sidecar.put(self.shape(port, node, health=health))
        self.exchange()

    @precondition(lambda self: self.sidecar is not None and self.sidecar.instances)
    @rule(data=st.data())
    def remove(self, data: st.DataObject) -> None:
        assert self.sidecar is not None
        self.sidecar.remove(data.draw(st.sampled_from(sorted(self.sidecar.instances))))
        self.exchange()

    @precondition(lambda self: self.sidecar is not None)
    @rule(knowledge=KNOWLEDGE, others=st.booleans())
    def say(self, knowledge: str, others: bool) -> None:
        assert self.sidecar is not None
        self.sidecar.say(knowledge=knowledge, others=others)
        self.exchange()

    @rule(passed_s=st.sampled_from([0.1, 5.0, UNMET_S, STRANGER_S, MAX_STALE_S]))
    def pass_time(self, passed_s: float) -> None:
        end = self.now + passed_s
        steps = 0
        while self.conversation is not None and self.conversation.due <= end:
            self.now = max(self.now, self.conversation.due)
            self.conversation.pass_time(self.now)
            self.exchange()
            steps += 1
            assert steps < 20, "nothing is due again and again"
        self.now = end

    # -- what holds ----------------------------------------------------------------------------------------------------

    @invariant()
    def what_a_believed_sidecar_lists_is_known(self) -> None:
        if self.sidecar is None or self.trust.level is Trust.NOTHING or self.feed.snapshot is None:
            return
        known = {one.key: one for one in self.feed.snapshot.all}
        for key, shape in self.sidecar.instances.items():
            assert known[key].version[1] == shape["version"][1]

    @invariant()
    def an_unbelieved_sidecar_removes_nothing(self) -> None:
        before, self.before = self.before, self.feed.snapshot
        if before is None or self.trust.level is Trust.ALL or self.was_all:
            return
        assert self.feed.snapshot is not None
        known = {one.key: one for one in self.feed.snapshot.all}
        taken = {(one.address, one.port) for one in self.feed.snapshot.all}
        for one in before.all:
            if one.node != self.own and (one.address, one.port) not in taken:
                assert one.key in known

    @invariant()
    def a_fresh_snapshot_is_the_list_and_what_is_kept(self) -> None:
        snapshot = self.feed.snapshot
        if snapshot is None or snapshot.stale_since is not None:
            return
        assert self.sidecar is not None
        assert self.trust.level is Trust.ALL
        listed = {one.key for one in snapshot.all if one.key in self.sidecar.instances}
        assert listed == self.sidecar.instances.keys()
        assert all(one.stale for one in snapshot.all if one.key not in self.sidecar.instances)

    @invariant()
    def what_passes_is_what_lookups_give(self) -> None:
        if self.feed.snapshot is not None:
            assert self.feed.snapshot.instances == passing(self.feed.snapshot.all)

    def teardown(self) -> None:
        """The faults end: one synced sidecar with the cluster is connected, and the holds pass."""
        if self.sidecar is not None:
            self.end()
        shapes = {InstanceKey(OWN, "web-1"): self.shape(1, OWN)}
        self.connect(shapes, cluster=self.trust.cluster or "prod")
        self.pass_time(UNMET_S + STRANGER_S)
        assert self.feed.snapshot is not None
        assert self.feed.snapshot.stale_since is None
        assert [one.id for one in self.feed.snapshot.all] == ["web-1"]
        assert self.conversation is not None
        assert self.conversation.due > 1e9, "an idle registry wakes nobody"

    # ------------------------------------------------------------------------------------------------------------------

    was_all = False
    own = OWN

    def exchange(self) -> None:
        """Carry the bytes to and fro until both sides are silent, one message at a time."""
        sidecar, conversation = self.sidecar, self.conversation
        assert sidecar is not None
        assert conversation is not None
        self.was_all, self.own = self.trust.level is Trust.ALL, sidecar.state["node"]
        while conversation.outgoing or sidecar.sent:
            asked = bytes(conversation.outgoing)
            conversation.outgoing.clear()
            sidecar.asked(asked)
            answers = bytes(sidecar.sent)
            sidecar.sent.clear()
            conversation.receive_untrusted(answers, self.now)
            self.was_all = self.was_all or self.trust.level is Trust.ALL
        conversation.flush(self.now)

    def shape(self, port: int, node: str, **changed: Any) -> Shape:
        self.versions += 1
        return at(port, node, address=f"10.0.0.{NODES.index(node)}", version=["7", self.versions], **changed)


def passing(instances: tuple[Instance, ...]) -> tuple[Instance, ...]:
    return tuple(one for one in instances if one.health == "passing")


TestSidecarHistory = SidecarHistory.TestCase
TestSidecarHistory.settings = settings(
    max_examples=examples(100), stateful_step_count=30, deadline=None, report_multiple_bugs=False
)

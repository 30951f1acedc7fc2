"""Whatever happens in between, a client ends with exactly what the source has, gets nothing twice, and loses nothing.

The clients are those of `made_client.py`: state of the world as gRPC clients and Envoy speak it, and delta.
"""

from collections import Counter, deque
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from gossipreg.gateway.xds.model import ResourceKey, ResourceType
from gossipreg.gateway.xds.streams.xds_streams import METHODS, XdsStream, XdsStreams
from tests.gateway.xds.made_client import DeltaClient, MadeClient, SotwClient, is_poisoned
from tests.gateway.xds.made_source import CLUSTER, ENDPOINTS, LISTENER, ROUTE, WILD, MadeSource

SOTW, DELTA = METHODS
EXAMPLES = 5 * settings().max_examples
"""More than of other properties: a fault needs several steps in one order."""
NAMES = ("a", "b", "c", "d")
TYPES = (CLUSTER, ENDPOINTS, LISTENER, ROUTE)
names = st.sampled_from(NAMES)
types = st.sampled_from(TYPES)


class Conversation(RuleBasedStateMachine):
    """One client, one server, and what is under way between them."""

    client: MadeClient
    path = SOTW

    @initialize(
        hidden=st.just(frozenset()) | st.frozensets(st.tuples(types, names), max_size=3),
        known=st.sampled_from((True, True, True, False)),
        settled=st.booleans(),
    )
    def begin(self, hidden: frozenset[tuple[ResourceType, str]], known: bool, settled: bool) -> None:
        self.source = MadeSource(wild=("a",))
        self.source.known = known
        self.source.hidden = {ResourceKey(*one) for one in hidden}
        self.counts: Counter[str] = Counter()
        self.streams = XdsStreams(self.source, self.counts, lambda _line: None)
        self.client = self.make_client()
        self.connect()
        self.begun()
        if settled:
            self.all_messages_arrive()

    def begun(self) -> None:
        """The first requests of the client, if it makes some by itself."""

    def make_client(self) -> MadeClient:
        raise NotImplementedError

    def connect(self) -> None:
        self.under_way: deque[bytes] = deque()
        self.woken = False
        stream = self.streams.open(self.path, "127.0.0.1:40000", self.wake)
        assert stream is not None
        self.stream: XdsStream = stream

    def wake(self) -> None:
        self.woken = True

    # -- the world -----------------------------------------------------------------------------------------------------

    @rule(type=types, name=names, content=st.sampled_from([1, 2, 3, 99]))
    def a_resource_changes(self, type: ResourceType, name: str, content: int) -> None:
        self.source.set(type, name, content)

    @rule(type=types, name=names)
    def a_change_is_told_that_was_none(self, type: ResourceType, name: str) -> None:
        self.source.tell(ResourceKey(type, name))

    @rule()
    def the_registry_gets_known(self) -> None:
        self.source.known = True
        self.source.tell()

    @precondition(lambda self: self.source.hidden)
    @rule(data=st.data())
    def a_name_gets_known(self, data: Any) -> None:
        self.source.reveal(data.draw(st.sampled_from(sorted(self.source.hidden))))

    @rule(type=st.sampled_from(WILD), name=names)
    def the_wildcard_gets_a_name(self, type: ResourceType, name: str) -> None:
        self.source.wild[type] = tuple(sorted({*(self.source.wild[type] or ()), name}))
        self.source.tell()

    # -- the way of the messages ---------------------------------------------------------------------------------------

    @rule()
    def the_server_receives(self) -> None:
        if self.client.requests:
            self.stream.receive_untrusted(self.client.requests.pop(0))

    @rule()
    def the_server_sends(self) -> None:
        if self.woken:
            self.woken = False
            messages = self.stream.take()
            assert self.source.known or not messages, "it spoke before it knew anything"
            self.under_way += messages
            assert self.stream.take() == [], "the same again"

    @rule()
    def the_client_receives(self) -> None:
        if self.under_way:
            self.client.receive(self.under_way.popleft())
            self.received()

    def received(self) -> None:
        """A client may ask for more by what it got."""

    @rule(steps=st.lists(st.sampled_from("rrssc"), max_size=12))
    def messages_flow(self, steps: list[str]) -> None:
        """Some of what is under way arrives."""
        for step in steps:
            {"r": self.the_server_receives, "s": self.the_server_sends, "c": self.the_client_receives}[step]()

    @rule()
    def all_messages_arrive(self) -> None:
        for _ in range(1000):
            if not (self.client.requests or self.under_way or self.woken):
                return
            self.the_server_receives()
            self.the_server_sends()
            self.the_client_receives()
        raise AssertionError("they talk for ever")

    @rule()
    def the_connection_is_lost(self) -> None:
        self.stream.close()
        self.connect()
        self.client.reconnect()

    def settle(self) -> None:
        self.the_registry_gets_known()
        for key in sorted(self.source.hidden):
            self.source.reveal(key)
        self.all_messages_arrive()

    def teardown(self) -> None:
        if not hasattr(self, "source"):
            return
        self.settle()
        self.check(poisoned_too=False)
        for key, content in list(self.source.content.items()):
            if content == 99:
                self.source.set(*key, 4)
        self.settle()
        self.check(poisoned_too=True)
        self.stream.close()
        left = self.streams.context  # what a closed stream leaves behind
        assert (len(left.index), len(left.streams), len(left.waiting)) == (0, 0, 0)

    def check(self, *, poisoned_too: bool) -> None:
        assert self.client.cold == set(), "clusters that wait for their endpoints"
        for type, wanted in self.wanted().items():
            has = self.client.has.get(type, {})
            should = {name: self.source.version(type, name) for name in wanted}
            bad = [name for name, version in should.items() if is_poisoned(version)]
            if bad and not poisoned_too and type in WILD and self.path == SOTW and self.client.is_envoy:
                continue  # Envoy takes none of a response with a bad one, and here all come in one
            assert {name: has.get(name) for name in should if name not in bad} == {
                name: version for name, version in should.items() if name not in bad
            }, type

    def wanted(self) -> dict[ResourceType, set[str]]:
        return self.client.wants


class GrpcConversation(Conversation):
    def make_client(self) -> MadeClient:
        return SotwClient("gRPC C-core linux Python")

    @rule(type=types, wanted=st.sets(names))
    def the_client_asks(self, type: ResourceType, wanted: set[str]) -> None:
        if wanted or self.client.wants.get(type):
            self.client.under_way = len(self.under_way)
            self.client.ask(type, wanted)

    @rule(type=types)
    def the_client_repeats_its_names(self, type: ResourceType) -> None:
        assert isinstance(self.client, SotwClient)
        if self.client.nonces.get(type):
            self.client.send(type)


class EnvoyConversation(Conversation):
    """It asks for all clusters and listeners, for the endpoints of its clusters, and for some routes."""

    def begun(self) -> None:
        self.asks(CLUSTER, set())
        self.asks(LISTENER, set())

    def asks(self, type: ResourceType, wanted: set[str]) -> None:
        self.client.under_way = len(self.under_way)
        self.client.ask(type, wanted)

    def received(self) -> None:
        clusters = set(self.client.has.get(CLUSTER, {}))
        if clusters - self.client.wants.get(ENDPOINTS, set()):
            self.asks(ENDPOINTS, clusters | self.client.wants.get(ENDPOINTS, set()))

    @rule(wanted=st.sets(names))
    def the_client_asks_for_routes(self, wanted: set[str]) -> None:
        if wanted or self.client.wants.get(ROUTE):
            self.asks(ROUTE, wanted)

    def wanted(self) -> dict[ResourceType, set[str]]:
        wild = {type: set(self.source.wild[type] or ()) for type in WILD}
        return self.client.wants | wild


class EnvoySotwConversation(EnvoyConversation):
    def make_client(self) -> MadeClient:
        return SotwClient("envoy")


class EnvoyDeltaConversation(EnvoyConversation):
    path = DELTA

    def make_client(self) -> MadeClient:
        return DeltaClient("envoy")

    @rule(name=names)
    def a_cluster_returns(self, name: str) -> None:
        assert isinstance(self.client, DeltaClient)
        if name in self.client.wants.get(ENDPOINTS, ()):
            self.client.under_way = len(self.under_way)
            self.client.ask_again(ENDPOINTS, name)


for _one in (GrpcConversation, EnvoySotwConversation, EnvoyDeltaConversation):
    _one.TestCase.settings = settings(max_examples=EXAMPLES, stateful_step_count=40)

TestGrpcClients = GrpcConversation.TestCase
TestEnvoyBySotw = EnvoySotwConversation.TestCase
TestEnvoyByDelta = EnvoyDeltaConversation.TestCase

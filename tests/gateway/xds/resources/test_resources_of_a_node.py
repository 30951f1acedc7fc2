"""The resources of a real node: what its members register, and how they live and end."""

from collections import Counter
from dataclasses import replace

from gossipreg.core.effects import Changed, Effect, MembersChanged
from gossipreg.core.table.layout import KIND_HEALTH, KIND_MEMBER, KIND_SERVICE
from gossipreg.gateway.xds.model import LOCAL_CLUSTER, Audience, ResourceKey, ResourceType
from gossipreg.gateway.xds.resources.policy import XdsPolicy
from gossipreg.gateway.xds.resources.xds_resources import XdsResources
from gossipreg.model import Health, RegisteredService, Status
from gossipreg.wire import values
from tests.core.cluster import START
from tests.core.speaker import Speaker, a_node
from tests.gateway.beside import api_of
from tests.gateway.xds.known_registry import ENVOY, PY
from tests.gateway.xds.read_back import assignment

ENDPOINTS = ResourceType.ENDPOINTS


class _Sidecar:
    def __init__(self, *, synced: bool = True) -> None:
        self.node = a_node(synced=synced)
        self.api = api_of(self.node, bug=self._bug)
        self.source = XdsResources(self.api, XdsPolicy(), Counter())
        self.told: list[frozenset[ResourceKey]] = []
        self.source.follow(self.told.append)

    @staticmethod
    def _bug(_: str, error: Exception) -> None:
        raise error

    def tell(self, effects: list[Effect]) -> None:
        """Carry these out as the daemon does."""
        self.told.clear()
        changes = tuple(change for one in effects if isinstance(one, Changed) for change in one.changes)
        self.source.changed(changes)
        for effect in effects:
            if isinstance(effect, MembersChanged):
                self.source.members_changed(effect.ids)

    def member(self, seed: int, *services: RegisteredService) -> Speaker:
        speaker = Speaker(seed)
        for slot, service in enumerate(services):
            speaker.content.put(KIND_SERVICE, slot, values.encode_service(service))
            speaker.content.put(KIND_HEALTH, slot, values.encode_health(Health.PASSING))
        self.tell(speaker.handshake(self.node, START))
        return speaker

    def status(self, speaker: Speaker, status: Status) -> None:
        """Have a member announce this of itself."""
        member = self.node.table.rows[speaker.id].member
        assert member is not None
        speaker.content.put(KIND_MEMBER, 0, values.encode_member(replace(member, status=status)))
        self.tell(speaker.send_to(self.node, START, speaker.row))

    def groups(self, name: str, audience: Audience) -> dict[str, list[str]]:
        """The addresses by zone."""
        resource = self.source.resource(ResourceKey(ENDPOINTS, name), audience)
        assert resource is not None
        return {
            group.locality.zone: [one.endpoint.address.socket_address.address for one in group.lb_endpoints]
            for group in assignment(resource).endpoints
        }


WEB = RegisteredService("w", "web", "10.0.0.1", 80)
ANY, IN_Z, AN_ENVOY = Audience(PY, ""), Audience(PY, "z"), Audience(ENVOY, "z")


def test_a_member_that_drains_dies_or_leaves_takes_its_instances_with_it() -> None:
    sidecar = _Sidecar()
    speakers = [sidecar.member(seed, replace(WEB, address=f"10.0.0.{seed}")) for seed in (4, 5, 6)]
    assert sidecar.groups("web", ANY) == {"z": ["10.0.0.4", "10.0.0.5", "10.0.0.6"]}
    for speaker, status, left in zip(
        speakers, (Status.DRAINING, Status.LEFT), (["10.0.0.5", "10.0.0.6"], ["10.0.0.6"]), strict=False
    ):
        sidecar.status(speaker, status)
        assert sidecar.told == [frozenset({ResourceKey(ENDPOINTS, "web")})]
        assert sidecar.groups("web", ANY) == {"z": left}
    sidecar.status(speakers[0], Status.UP)
    assert sidecar.groups("web", ANY) == {"z": ["10.0.0.4", "10.0.0.6"]}


def test_health_and_maintenance_here_are_followed() -> None:
    sidecar = _Sidecar()
    sidecar.tell(sidecar.node.register(WEB, Health.PASSING, START)[1])
    assert sidecar.groups("WEB", ANY) == {"": ["10.0.0.1"]}
    for health in (Health.WARNING, Health.CRITICAL, Health.MAINTENANCE):
        sidecar.tell(sidecar.node.set_health("w", health, START)[1])
        assert sidecar.groups("WEB", ANY) == {}
        sidecar.tell(sidecar.node.set_health("w", Health.PASSING, START)[1])
        assert sidecar.groups("WEB", ANY) == {"": ["10.0.0.1"]}
    sidecar.tell(sidecar.node.drain(True, START))
    assert sidecar.groups("WEB", ANY) == {}


def test_the_own_zone_goes_first_for_grpc() -> None:
    sidecar = _Sidecar()
    sidecar.member(4, WEB)
    sidecar.tell(sidecar.node.register(replace(WEB, address="10.0.0.9"), Health.PASSING, START)[1])
    resource = sidecar.source.resource(ResourceKey(ENDPOINTS, "web"), IN_Z)
    assert resource is not None
    assert [(one.locality.zone, one.priority) for one in assignment(resource).endpoints] == [("z", 0), ("", 1)]


def test_the_local_cluster_of_envoy_has_the_living_members_by_zone() -> None:
    sidecar = _Sidecar()
    assert sidecar.groups(LOCAL_CLUSTER, AN_ENVOY) == {"": ["10.1.0.1"]}
    speaker = sidecar.member(4)
    assert sidecar.told[-1] == frozenset({ResourceKey(ENDPOINTS, LOCAL_CLUSTER)})
    assert sidecar.groups(LOCAL_CLUSTER, AN_ENVOY) == {"": ["10.1.0.1"], "z": [speaker.address.host]}
    sidecar.status(speaker, Status.LEFT)
    assert sidecar.groups(LOCAL_CLUSTER, AN_ENVOY) == {"": ["10.1.0.1"]}


def test_a_node_that_is_not_synced_is_silent_until_it_is() -> None:
    sidecar = _Sidecar(synced=False)
    assert not sidecar.source.known
    sidecar.tell(sidecar.node.seek((), START))
    assert sidecar.source.known
    assert sidecar.told[-1] == frozenset()


async def test_a_run_follows_the_feeds_of_the_sidecar() -> None:
    sidecar = _Sidecar()
    assert sidecar.groups("web", ANY) == {}
    with sidecar.source.following():
        _, effects = sidecar.node.register(WEB, Health.PASSING, START)
        for effect in effects:
            if isinstance(effect, Changed):
                sidecar.api.changes.publish(effect.changes)
    assert sidecar.groups("web", ANY) == {"": ["10.0.0.1"]}

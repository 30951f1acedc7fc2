"""The secrets that Envoys get by SDS: the certificates of services, and the CAs that they trust.

Owns when a certificate is made anew: at half its life, and when another key of the ring signs. Nothing of it is ever
written to a disk. Never knows who may have which (`mesh_tls.py`).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from gossipreg.gateway.xds.model import MESH_CA, Resource, ResourceType
from gossipreg.gateway.xds.resources.mesh_ca import MeshCa
from gossipreg.gateway.xds.resources.mesh_ids import spiffe_id
from gossipreg.gateway.xds.resources.mesh_resources import ca_secret, certificate_secret
from gossipreg.gateway.xds.resources.proto_values import resource_from

LIFE = timedelta(hours=24)
"""Of the certificate of a service. There is no revocation: so long it is good, and connections last half as long."""


@dataclass(frozen=True, slots=True)
class _MadeCertificate:
    resource: Resource
    made: datetime
    renew: datetime


class MeshSecrets:
    def __init__(
        self, cluster: str, secrets: Sequence[bytes], now: Callable[[], datetime], life: timedelta = LIFE
    ) -> None:
        """`secrets` are those of the keys of the ring, first the one that seals; `now` is the time of day."""
        self.life = life
        self._cluster = cluster
        self._secrets = tuple(secrets)
        self._now = now
        self._cas = [MeshCa(one) for one in self._secrets]
        self._trusted = self._trust()
        self._made: dict[str, _MadeCertificate] = {}
        """By service, folded."""

    def take(self, secrets: Sequence[bytes]) -> list[str]:
        """The ring has other keys now. Returns the names of the secrets that are others by that."""
        if tuple(secrets) == self._secrets:
            return []
        signed_by = self._secrets[0]
        self._secrets = tuple(secrets)
        self._cas = [MeshCa(one) for one in self._secrets]
        before, self._trusted = self._trusted, self._trust()
        changed = [] if before.version == self._trusted.version else [MESH_CA]
        if signed_by == self._secrets[0]:
            return changed
        return [*changed, *self._drop(list(self._made))]

    def trusted(self) -> Resource:
        """The CAs of all keys of the ring."""
        return self._trusted

    def certificate(self, service: str) -> Resource:
        """The certificate of a service, by its folded name."""
        found = self._made.get(service)
        if found is None:
            now = self._now()
            id = spiffe_id(self._cluster, service)
            value = certificate_secret(id, self._cas[0].leaf(id, now, self.life))
            found = _MadeCertificate(resource_from(ResourceType.SECRET, id, value), now, now + self.life / 2)
            self._made[service] = found
        return found.resource

    def renew(self) -> list[str]:
        """Drop the certificates that are due, or were made in a future that the clock was set back from. Returns their
        names."""
        now = self._now()
        return self._drop([service for service, one in self._made.items() if not one.made <= now < one.renew])

    def forget(self, service: str) -> None:
        """Nobody has this certificate any more, or nobody may."""
        self._made.pop(service, None)

    def _drop(self, services: Sequence[str]) -> list[str]:
        return [self._made.pop(service).resource.name for service in services]

    def _trust(self) -> Resource:
        """In an order that does not depend on that of the keys."""
        certificates = b"".join(sorted(one.certificate for one in self._cas))
        return resource_from(ResourceType.SECRET, MESH_CA, ca_secret(certificates))

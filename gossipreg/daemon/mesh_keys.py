"""The secrets of the CA of the mesh (`join --xds-tls`), derived from the cluster's keys.

Owns the keys of the ring as they are now, and that nothing but a secret for this one purpose leaves here. It is derived
by HKDF (RFC 5869) with the purpose and the cluster's name, so that it tells nothing of the key, and two clusters with
one key are two CAs.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gossipreg.wire.seal import Keyring

SECRET_BYTES = 48
PURPOSE = b"gossipreg CA of the mesh, P-256, version 1\0"


class MeshKeys:
    def __init__(self, keyring: "Keyring | None", cluster: str) -> None:
        self._keyring = keyring
        self._cluster = cluster

    def rekeyed(self, keyring: "Keyring") -> None:
        """The ring has these keys now."""
        self._keyring = keyring

    def secrets(self) -> tuple[bytes, ...]:
        """One for each key, in their order; none without keys."""
        if self._keyring is None:
            return ()
        return tuple(mesh_secret(key, self._cluster) for key in self._keyring.keys)


def mesh_secret(key: bytes, cluster: str) -> bytes:
    from cryptography.hazmat.primitives.hashes import SHA256  # a sidecar without --xds-tls derives nothing
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    return HKDF(SHA256(), SECRET_BYTES, salt=None, info=PURPOSE + cluster.encode()).derive(key)

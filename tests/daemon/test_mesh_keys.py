"""What leaves the daemon for the CA of the mesh."""

from gossipreg.daemon.mesh_keys import SECRET_BYTES, MeshKeys, mesh_secret
from gossipreg.gateway.xds.resources import mesh_ca
from gossipreg.wire.seal import Keyring

ONE, TWO = bytes([1]) * 32, bytes([2]) * 32


def test_there_is_one_secret_for_each_key_and_none_without_keys() -> None:
    assert MeshKeys(None, "default").secrets() == ()
    keys = MeshKeys(Keyring((ONE,)), "default")
    keys.rekeyed(Keyring((TWO, ONE)))
    assert keys.secrets() == (mesh_secret(TWO, "default"), mesh_secret(ONE, "default"))


def test_a_secret_depends_on_key_and_cluster_and_is_not_the_key() -> None:
    found = {mesh_secret(key, cluster) for key in (ONE, TWO) for cluster in ("default", "other")}
    assert len(found) == 4
    assert not any(key in secret for secret in found for key in (ONE, TWO))


def test_the_derivation_stays_as_it_is() -> None:
    """Sidecars of different releases must be the same CA."""
    expected = "61fda2be4b3abb9750d6a55400c2ed276404bedf083c236cec00d0b4f673e6d0687fc14381b36b30c521c4e31c9f755d"
    assert mesh_secret(ONE, "default").hex() == expected
    assert SECRET_BYTES == mesh_ca.SECRET_BYTES
    assert mesh_ca.MeshCa(mesh_secret(ONE, "default")).id.hex() == "b13db184348bef89d91250374beffafb"

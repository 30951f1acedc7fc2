"""The CA of the mesh: what its certificates are, and who trusts them."""

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError
from hypothesis import given
from hypothesis import strategies as st

from gossipreg.daemon.mesh_keys import SECRET_BYTES, mesh_secret
from gossipreg.gateway.xds.resources.mesh_ca import EARLIER, MeshCa
from gossipreg.gateway.xds.resources.mesh_ids import fault_of_cluster, fault_of_service, spiffe_id

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
DAY = timedelta(hours=24)
WEB = "spiffe://default/svc/web"
SECRETS = st.binary(min_size=SECRET_BYTES, max_size=SECRET_BYTES)


def ca_of(number: int = 1, cluster: str = "default") -> MeshCa:
    return MeshCa(mesh_secret(bytes([number]) * 32, cluster))


def names_by(leaf: bytes, *trusted: MeshCa, at: datetime = NOW) -> list[str]:
    """The names in a certificate by those who trust these CAs. Raises VerificationError."""
    roots = Store([x509.load_pem_x509_certificate(one.certificate) for one in trusted])
    verifier = PolicyBuilder().store(roots).time(at).build_client_verifier()
    found = verifier.verify(x509.load_pem_x509_certificate(leaf), [])
    return [one.value for one in found.subjects or []]


@given(SECRETS)
def test_a_leaf_has_its_spiffe_id_alone_and_is_signed_by_its_ca(secret: bytes) -> None:
    ca = MeshCa(secret)
    assert names_by(ca.leaf(WEB, NOW, DAY).certificate, ca) == [WEB]


def test_every_sidecar_with_the_key_is_the_same_ca() -> None:
    assert ca_of().certificate == ca_of().certificate
    assert names_by(ca_of().leaf(WEB, NOW, DAY).certificate, ca_of()) == [WEB]


def test_without_deterministic_signatures_cas_stand_for_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    sign = x509.CertificateBuilder.sign

    def of_an_older_openssl(self: object, key: object, algorithm: object, **more: object) -> object:
        if more:
            raise UnsupportedAlgorithm("no deterministic signatures")
        return sign(self, key, algorithm)  # type: ignore[arg-type]

    monkeypatch.setattr(x509.CertificateBuilder, "sign", of_an_older_openssl)
    one, other = ca_of(), ca_of()
    assert one.certificate != other.certificate
    assert names_by(one.leaf(WEB, NOW, DAY).certificate, other) == [WEB]


@pytest.mark.parametrize("other", [ca_of(2), ca_of(1, "other")], ids=["another key", "another cluster"])
def test_a_leaf_of_another_ca_is_refused(other: MeshCa) -> None:
    with pytest.raises(VerificationError):
        names_by(other.leaf(WEB, NOW, DAY).certificate, ca_of())


def test_with_two_keys_in_the_ring_leaves_of_both_are_trusted() -> None:
    for ca in (ca_of(1), ca_of(2)):
        assert names_by(ca.leaf(WEB, NOW, DAY).certificate, ca_of(1), ca_of(2)) == [WEB]


def test_a_leaf_begins_earlier_and_ends_after_its_life() -> None:
    leaf = ca_of().leaf(WEB, NOW, DAY)
    assert (leaf.begins, leaf.ends) == (NOW - EARLIER, NOW + DAY)
    for good in (leaf.begins, NOW, leaf.ends):
        assert names_by(leaf.certificate, ca_of(), at=good) == [WEB]
    for bad in (leaf.begins - timedelta(seconds=1), leaf.ends + timedelta(seconds=1)):
        with pytest.raises(VerificationError):
            names_by(leaf.certificate, ca_of(), at=bad)


def test_a_leaf_is_no_ca() -> None:
    """The holder of a certificate cannot sign one for another service."""
    leaf = ca_of().leaf(WEB, NOW, DAY)
    signer, key = x509.load_pem_x509_certificate(leaf.certificate), load_pem_private_key(leaf.key, None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    forged = ca_of()
    forged._key = key
    forged._subject = signer.subject
    made = x509.load_pem_x509_certificate(forged.leaf("spiffe://default/svc/bank", NOW, DAY).certificate)
    roots = Store([x509.load_pem_x509_certificate(ca_of().certificate)])
    with pytest.raises(VerificationError):
        PolicyBuilder().store(roots).time(NOW).build_client_verifier().verify(made, [signer])


def test_each_leaf_has_a_key_of_its_own_that_is_never_shown() -> None:
    one, other = ca_of().leaf(WEB, NOW, DAY), ca_of().leaf(WEB, NOW, DAY)
    assert one.key != other.key
    assert "PRIVATE" not in repr(one)


def test_names_that_no_spiffe_id_can_have_are_told() -> None:
    assert spiffe_id("default", "Web-1.v_2") == "spiffe://default/svc/web-1.v_2"
    assert [fault_of_cluster(name) for name in ("default", "eu-1.example_x")] == ["", ""]
    for cluster in ("Default", "ä", "a/b", "a b", ""):
        assert "cannot stand in a SPIFFE id" in fault_of_cluster(cluster)
    assert [fault_of_service(name) for name in ("web", "WEB", "a.b-c_1")] == ["", "", ""]
    for service in ("..", ".", "a/b", "über", "a b", "a:b", "%61", ""):
        assert "cannot stand in a SPIFFE id" in fault_of_service(service)

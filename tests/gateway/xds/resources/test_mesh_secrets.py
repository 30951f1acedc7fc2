"""When certificates are made anew, and whom Envoys trust meanwhile."""

from datetime import UTC, datetime, timedelta

from envoy.extensions.transport_sockets.tls.v3.secret_pb2 import Secret
from google.protobuf.any_pb2 import Any

from gossipreg.daemon.mesh_keys import mesh_secret
from gossipreg.gateway.xds.model import MESH_CA, Resource
from gossipreg.gateway.xds.resources.mesh_secrets import LIFE, MeshSecrets
from tests.gateway.xds.resources.test_mesh_ca import WEB, ca_of, names_by

OLD, NEW = b"o" * 48, b"n" * 48
START = datetime(2026, 11, 30, tzinfo=UTC)


class Clock:
    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now

    def go(self, **by: float) -> None:
        self.now += timedelta(**by)


def secret_in(resource: Resource) -> Secret:
    return Secret.FromString(Any.FromString(resource.any).value)


def secrets_of(*keys: bytes) -> tuple[MeshSecrets, Clock]:
    clock = Clock()
    return MeshSecrets("default", keys, clock), clock


def test_a_certificate_stays_the_same_until_half_its_life() -> None:
    secrets, clock = secrets_of(OLD)
    first = secrets.certificate("web")
    clock.go(hours=11, minutes=59)
    assert (secrets.renew(), secrets.certificate("web")) == ([], first)
    clock.go(minutes=1)
    assert secrets.renew() == [WEB]
    second = secrets.certificate("web")
    assert second.version != first.version
    assert secrets.renew() == []
    assert timedelta(hours=24) == LIFE


def test_a_clock_that_is_set_back_makes_certificates_anew() -> None:
    """They would begin in the future of everybody else."""
    secrets, clock = secrets_of(OLD)
    secrets.certificate("web")
    clock.go(days=-365)
    assert secrets.renew() == [WEB]


def test_a_clock_that_jumps_ahead_makes_certificates_anew() -> None:
    secrets, clock = secrets_of(OLD)
    secrets.certificate("web")
    clock.go(days=400)
    assert secrets.renew() == [WEB]


def test_the_first_key_signs_and_all_are_trusted() -> None:
    secrets, _ = secrets_of(OLD)
    leaf = secrets.certificate("web")
    assert secrets.take([OLD]) == []
    assert secrets.take([OLD, NEW]) == [MESH_CA]
    assert secrets.certificate("web") is leaf
    both = secrets.trusted()
    assert secret_in(both).validation_context.trusted_ca.inline_bytes.count(b"BEGIN") == 2
    assert secrets.take([NEW, OLD]) == [WEB]
    assert secrets.trusted().version == both.version
    assert secrets.certificate("web").version != leaf.version
    assert secrets.take([NEW]) == [MESH_CA]
    assert secret_in(secrets.trusted()).validation_context.trusted_ca.inline_bytes.count(b"BEGIN") == 1


def test_a_key_that_is_replaced_at_once_changes_both() -> None:
    secrets, _ = secrets_of(OLD)
    secrets.certificate("web")
    assert secrets.take([NEW]) == [MESH_CA, WEB]


def test_a_secret_holds_a_certificate_that_the_ca_signed() -> None:
    ca = ca_of()
    secrets, clock = MeshSecrets("default", [mesh_secret(bytes([1]) * 32, "default")], Clock()), Clock()
    found = secret_in(secrets.certificate("web"))
    assert found.name == WEB
    assert names_by(found.tls_certificate.certificate_chain.inline_bytes, ca, at=clock.now) == [WEB]


def test_a_certificate_that_nobody_has_any_more_is_forgotten() -> None:
    secrets, clock = secrets_of(OLD)
    secrets.certificate("web")
    secrets.forget("web")
    clock.go(days=2)
    assert secrets.renew() == []

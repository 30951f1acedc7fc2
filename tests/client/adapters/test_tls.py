"""https to services: the certificate has to be for `tls_name` of the instance, or else for the service's name."""

import ssl
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

import gossipreg
from gossipreg.client.registry import Registry
from tests.client.adapters.programs import PROGRAMS
from tests.client.adapters.servers import BOUND_S, HttpInstance
from tests.client.talking_sidecar import TalkingSidecar, at

START = datetime.now(UTC) - timedelta(days=1)


class Authority(NamedTuple):
    path: Path
    """Its certificate."""
    key: Any
    name: x509.Name
    folder: Path

    def server(self, host: str) -> ssl.SSLContext:
        """A server's context with a certificate for this name."""
        key = ec.generate_private_key(ec.SECP256R1())
        made = _certificate(_named(host), key.public_key(), self.name).add_extension(
            x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False
        )
        path = self.folder / f"{host}.pem"
        path.write_bytes(made.sign(self.key, hashes.SHA256()).public_bytes(PEM) + _private(key))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        return context


PEM = serialization.Encoding.PEM


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _private(key: Any) -> bytes:
    data: bytes = key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return data


def _certificate(name: x509.Name, key: Any, issuer: x509.Name) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder().subject_name(name).issuer_name(issuer).public_key(key)
        .serial_number(x509.random_serial_number()).not_valid_before(START).not_valid_after(START + timedelta(days=9))
    )  # fmt: skip


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    key, name, folder = ec.generate_private_key(ec.SECP256R1()), _named("test authority"), tmp_path_factory.mktemp("ca")
    made = _certificate(name, key.public_key(), name).add_extension(x509.BasicConstraints(True, None), critical=True)
    (folder / "ca.pem").write_bytes(made.sign(key, hashes.SHA256()).public_bytes(PEM))
    return Authority(folder / "ca.pem", key, name, folder)


@pytest.fixture
def registry(talking: TalkingSidecar) -> Iterator[Registry]:
    with gossipreg.connect(str(talking.path), timeout=BOUND_S) as registry:
        yield registry


@pytest.fixture
def instances() -> Iterator[list[HttpInstance]]:
    running: list[HttpInstance] = []
    yield running
    for one in running:
        one.stop()


@pytest.fixture(params=PROGRAMS, ids=lambda program: program.__name__)
def program(request: pytest.FixtureRequest, registry: Registry, authority: Authority) -> Iterator[Any]:
    program = request.param(registry, ca=str(authority.path), deadline=BOUND_S)
    yield program
    program.close()


Serve = Callable[[str, str, dict[str, str]], HttpInstance]


@pytest.fixture
def serve(instances: list[HttpInstance], talking: TalkingSidecar, authority: Authority) -> Serve:
    """(service, name of the certificate, meta) of another instance."""

    def serve(service: str, certificate: str, meta: dict[str, str]) -> HttpInstance:
        one = HttpInstance(authority.server(certificate))
        instances.append(one)
        shape = at(one.port, service=service, address="127.0.0.1", meta=meta)
        talking.services.setdefault(service, []).append(shape)
        return one

    return serve


def test_the_certificate_is_for_the_services_name(program: Any, serve: Serve) -> None:
    one = serve("billing", "billing.service", {})
    reply = program("GET", "https://billing.service/port")
    assert (reply.status, reply.url) == (200, "https://billing.service/port")
    assert one.seen[0][2]["Host"] == "billing.service"


def test_tls_name_says_whom_the_certificate_is_for(program: Any, serve: Serve) -> None:
    serve("billing", "pay.example", {"tls_name": "pay.example"})
    assert program("GET", "https://billing.service/200").status == 200


def test_another_certificate_is_refused_and_nothing_sent(program: Any, serve: Serve, registry: Registry) -> None:
    wrong = [serve("billing", "billing.service", {"tls_name": "pay.example"}) for _ in range(2)]
    with pytest.raises(program.errors):
        program("POST", "https://billing.service/200", b"x")
    assert [one.seen for one in wrong] == [[], []]
    assert registry.service("billing").stats()["retries"] != 0  # a POST too: it was never sent


def test_a_connection_is_kept_for_its_name_alone(
    program: Any, serve: Serve, talking: TalkingSidecar
) -> None:  # fmt: skip
    one = serve("billing", "billing.service", {})
    talking.services["shop"] = [at(one.port, service="shop", address="127.0.0.1")]
    assert program("GET", "https://billing.service/200").status == 200
    with pytest.raises(program.errors):
        program("GET", "https://shop.service/200")
    assert len(one.seen) == 1

"""The CA of the mesh: made of the cluster key, so that every sidecar with that key is the same CA and none keeps a
store. Who has the cluster key can therefore make a certificate of any service.

The certificate of a service has its SPIFFE id as the only name ("The X.509 SPIFFE Verifiable Identity Document").
Never knows a cluster key, but only the secret that the sidecar derives from one for this purpose; never knows a clock.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from gossipreg.blake2 import blake2b

SECRET_BYTES = 48
"""16 more than a key of P-256, so that no key is likelier than another (FIPS 186-5, A.2.1)."""
EARLIER = timedelta(minutes=5)
"""A certificate begins so long before it is made, since clocks differ."""
BEGINS, ENDS = datetime(2020, 1, 1, tzinfo=UTC), datetime(2049, 12, 31, 23, 59, 59, tzinfo=UTC)
"""Of the certificate of the CA. It ends in practice with the cluster key: a CA whose key is not in the ring is not
trusted."""
_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
"""Of the group of P-256."""


@dataclass(frozen=True, slots=True)
class Leaf:
    """The certificate of a service and its key, in PEM."""

    certificate: bytes
    key: bytes = field(repr=False)
    begins: datetime
    ends: datetime


class MeshCa:
    def __init__(self, secret: bytes) -> None:
        """`secret` has SECRET_BYTES, which nobody knows who has not the cluster key."""
        self._key = ec.derive_private_key(int.from_bytes(secret, "big") % (_ORDER - 1) + 1, ec.SECP256R1())
        public = self._key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        self.id = blake2b(public, digest_size=16, person=b"gossipreg mesh").digest()
        self._subject = x509.Name([
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "gossipreg"),
            x509.NameAttribute(NameOID.COMMON_NAME, f"mesh {self.id.hex()[:16]}"),
        ])  # fmt: skip
        """Another for each key: a client with two of these finds the one that signed."""

    @cached_property
    def certificate(self) -> bytes:
        """In PEM. The same in every sidecar whose OpenSSL signs deterministically (3.2 and later); else only the
        signature differs, and the certificates stand for each other."""
        serial = int.from_bytes(self.id, "big") >> 1 | 1
        public = self._key.public_key()
        made = (
            x509.CertificateBuilder(self._subject, self._subject, public, serial, BEGINS, ENDS)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(signs_certificates=True), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        )
        try:
            signed = made.sign(self._key, hashes.SHA256(), ecdsa_deterministic=True)
        except UnsupportedAlgorithm:
            signed = made.sign(self._key, hashes.SHA256())
        return signed.public_bytes(Encoding.PEM)

    def leaf(self, id: str, now: datetime, life: timedelta) -> Leaf:
        """A certificate for a new key, with this SPIFFE id, which ends `life` after `now`."""
        key = ec.generate_private_key(ec.SECP256R1())
        begins, ends = now - EARLIER, now + life
        public = key.public_key()
        issuer = x509.SubjectKeyIdentifier.from_public_key(self._key.public_key())
        made = (
            x509.CertificateBuilder(self._subject, x509.Name([]), public, x509.random_serial_number(), begins, ends)
            .add_extension(x509.SubjectAlternativeName([x509.UniformResourceIdentifier(id)]), critical=True)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage(_BOTH_ENDS), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(issuer), critical=False
            )
            .sign(self._key, hashes.SHA256())
        )  # fmt: skip
        private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return Leaf(made.public_bytes(Encoding.PEM), private, begins, ends)


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates, key_cert_sign=signs_certificates, content_commitment=False,
        key_encipherment=False, data_encipherment=False, key_agreement=False, crl_sign=False, encipher_only=False,
        decipher_only=False,
    )  # fmt: skip


_BOTH_ENDS = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]

"""The same ciphers, keys and hashes, whichever module they come from."""

import hashlib
import sys

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from gossipreg.blake2 import blake2b
from gossipreg.narrow_cryptography import chacha20_poly1305, ed25519_private_key
from gossipreg.sha2 import sha256

BINDING = "cryptography.hazmat.bindings._rust"


@pytest.fixture(params=["the binding", "a release without it", "a release with another one"])
def _release(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "a release without it":
        monkeypatch.setitem(sys.modules, BINDING, None)
    elif request.param == "a release with another one":
        monkeypatch.setattr(f"{BINDING}.openssl", object())


@pytest.mark.usefixtures("_release")
def test_the_cipher_is_that_of_the_public_module() -> None:
    key, nonce = bytes(range(32)), bytes(12)
    sealed = chacha20_poly1305(key).encrypt(nonce, b"body", b"header")
    assert sealed == ChaCha20Poly1305(key).encrypt(nonce, b"body", b"header")
    assert type(chacha20_poly1305(key)) is ChaCha20Poly1305
    with pytest.raises(ValueError, match="32 bytes"):
        chacha20_poly1305(b"short")


@pytest.mark.usefixtures("_release")
def test_a_key_of_rfc_8032_has_its_public_half() -> None:
    seed = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
    key = ed25519_private_key(seed)
    assert isinstance(key, Ed25519PrivateKey)
    public = key.public_key().public_bytes_raw().hex()
    assert public == "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
    with pytest.raises(ValueError, match="32 bytes"):
        ed25519_private_key(b"short")


def test_hashes_are_those_of_hashlib() -> None:
    assert sha256(b"abc").digest() == hashlib.sha256(b"abc").digest()
    assert blake2b is hashlib.blake2b

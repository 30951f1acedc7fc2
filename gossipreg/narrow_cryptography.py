"""What every sealed sidecar needs of `cryptography`, without its modules for all other ciphers and keys.

They are 0.4 MiB and 4 ms of a start, and the classes are made in its binding to OpenSSL, where its public modules take
them. The binding is not public: in a release that has it in another form they come from the public modules.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305


def chacha20_poly1305(key: bytes) -> "ChaCha20Poly1305":
    try:
        from cryptography.hazmat.bindings._rust import openssl

        return openssl.aead.ChaCha20Poly1305(key)
    except (ImportError, AttributeError):
        from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

        return ChaCha20Poly1305(key)


def ed25519_private_key(seed: bytes) -> "Ed25519PrivateKey":
    try:
        from cryptography.hazmat.bindings._rust import openssl

        return openssl.ed25519.from_private_bytes(seed)
    except (ImportError, AttributeError):
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        return Ed25519PrivateKey.from_private_bytes(seed)

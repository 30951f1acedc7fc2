"""The identity of this sidecar: a key pair, the id made of it, and a generation for each start.

An identity is an Ed25519 key pair; the id is the truncated SHA-256 of its public half and names the member for ever.
Never knows where both are kept: see `data_directory.py`. Without a data directory both are new each time.

The key pair is drawn without a data directory too. Where datagrams are sealed the library is loaded anyway, and drawing
it takes little more. Without a key for the cluster it costs the import as well, measured as 6 ms and 1.6 MiB: that is
little for one kind of member instead of two.
"""

import os

from gossipreg.generation import RANDOM_BITS, generation_above, generation_of
from gossipreg.model import NODE_ID_BYTES, NodeId
from gossipreg.narrow_cryptography import ed25519_private_key
from gossipreg.quick_dataclass import dataclass
from gossipreg.sha2 import sha256

PRIVATE_KEY_BYTES = 32


@dataclass(frozen=True, slots=True)
class Identity:
    id: NodeId
    public_key: bytes
    private_key: bytes
    """The seed of the key pair; leaves this process only into the database."""

    def __repr__(self) -> str:
        return f"Identity({self.id.hex()})"


def draw_identity() -> Identity:
    return identity_of(os.urandom(PRIVATE_KEY_BYTES))  # RFC 8032, 5.1.5: a private key is 32 random bytes


def identity_of(private_key: bytes) -> Identity:
    public_key = ed25519_private_key(private_key).public_key().public_bytes_raw()
    return Identity(NodeId(sha256(public_key).digest()[:NODE_ID_BYTES]), public_key, private_key)


def draw_generation(wall_ms: int, last: int = 0) -> int:
    """The generation of a start now, above `last` whatever the clock says."""
    random_bits = int.from_bytes(os.urandom(RANDOM_BITS // 8), "big")
    generation = generation_of(wall_ms, random_bits)
    return generation if generation > last else generation_above(last, random_bits)

"""The handshake of a stream: three messages, after which both ends know who is at the other one.

Owns: the form of the messages and what each proves. Never knows: when they are sent, or whether a stream is wanted.

    opener -> acceptor   HELLO    key id, nonce; sealed: who opens, and which member is meant
    acceptor -> opener   ANSWER   nonce; sealed: a signature, and who accepts
                         REFUSAL  nonce; sealed: why not
    opener -> acceptor   the first frame: a signature

    a message   format 1 | length 2 | rest of the header | sealed
    header      of a HELLO key id 4 | nonce 32, of the others nonce 32; it is the associated data of the seal
    who         [cluster, id, public key, boot id, generation, oldest, newest, id of the other end]

A hello that does not open is not answered: a stranger learns nothing. What opens is from somebody who has the cluster's
key. That a hello is fresh, and who sent it, is proven by the first frame: its key depends on the acceptor's nonce, and
its signature is of the whole handshake, by the Ed25519 key whose hash is the member's id. The answer proves the same to
the opener. So a recorded handshake opens no stream, and a message that comes back to its sender names the wrong member.

A receiver ignores what stands behind the elements that it knows.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgpack

from gossipreg.errors import BadDatagram
from gossipreg.model import BOOT_ID_BYTES, MAX_NAME_BYTES, NODE_ID_BYTES, BootId, NodeId, ProtocolRange
from gossipreg.narrow_cryptography import ed25519_private_key
from gossipreg.sha2 import sha256
from gossipreg.streams.stream_seal import (
    LENGTH_BYTES,
    derived_key,
    hash_of,
    keys_named,
    name_of,
    open_once,
    seal_once,
)
from gossipreg.streams.values import StreamFault, StreamMember, StreamSelf
from gossipreg.wire.messages import MAX_VERSION
from gossipreg.wire.seal import KEY_ID_BYTES, TAG_BYTES, Keyring
from gossipreg.wire.values import PUBLIC_KEY_BYTES, check_protocol, known

HELLO, ANSWER, REFUSAL = 0xB0, 0xB1, 0xB2
"""Formats; those of datagrams begin with 0xA0."""
NONCE_BYTES = 32
SIGNATURE_BYTES = 64
MAX_HANDSHAKE_BYTES = 1024
"""Taken from an end that has proven nothing. The largest hello, with a cluster's name of 255 bytes, has about 450."""
PREFIX_BYTES = 1 + LENGTH_BYTES
MAX_REASON_BYTES = 64
_MAX_ARRAY = 16
_HELLO_HEADER_BYTES = PREFIX_BYTES + KEY_ID_BYTES + NONCE_BYTES
_ANSWER_HEADER_BYTES = PREFIX_BYTES + NONCE_BYTES
_SIGNED_ANSWER, _SIGNED_PROOF = b"gossipreg stream: answer\0", b"gossipreg stream: proof\0"

_pack: Callable[[object], bytes] = msgpack.Packer().pack


@dataclass(frozen=True, slots=True)
class SentHello:
    """Our hello, and what is needed to read its answer."""

    message: bytes
    key: bytes
    transcript: bytes


@dataclass(frozen=True, slots=True)
class ReceivedHello:
    """A hello that opened: from somebody who has the cluster's key, but perhaps an old one, sent again."""

    member: StreamMember
    receiver: NodeId
    """The member that is meant."""
    key: bytes
    """Of the cluster: the one that opened it."""
    transcript: bytes


@dataclass(frozen=True, slots=True)
class Agreed:
    """Both ends have the same of this: the key of the cluster, and the transcript of hello and answer."""

    key: bytes
    transcript: bytes


# -- the opener --------------------------------------------------------------------------------------------------------


def make_hello(own: StreamSelf, receiver: NodeId, key: bytes, nonce: bytes) -> SentHello:
    """The first message. `nonce` are 32 bytes that nobody can predict."""
    body = _who(own.member, receiver)
    header = _prefix(HELLO, KEY_ID_BYTES + NONCE_BYTES + len(body) + TAG_BYTES) + name_of(key) + nonce
    sealed = seal_once(derived_key(key, "hello", hash_of(header)), header, body)
    return SentHello(header + sealed, key, hash_of(header, body))


def read_answer_untrusted(own: StreamSelf, sent: SentHello, receiver: NodeId, message: bytes) -> tuple[
    StreamMember, Agreed
]:  # fmt: skip
    """Who accepts our stream. StreamFault where it refuses, or is not the member that we meant."""
    header, sealed = message[:_ANSWER_HEADER_BYTES], message[_ANSWER_HEADER_BYTES:]
    body = open_once(_answer_key(sent.key, sent.transcript, header), header, sealed)
    if len(header) < _ANSWER_HEADER_BYTES or body is None:
        raise StreamFault("stream_bad_tag", "the answer to our hello does not open")
    if message[0] == REFUSAL:
        raise StreamFault("stream_refused", _reason_of(body))
    signature, who = body[:SIGNATURE_BYTES], body[SIGNATURE_BYTES:]
    member, named = _member_untrusted(who)
    transcript = hash_of(sent.transcript, header, who)
    check_signature(member, _SIGNED_ANSWER + transcript, signature)
    if member.id != receiver or named != own.member.id:
        raise StreamFault("stream_wrong_member", f"{member.id.hex()} accepted in place of {receiver.hex()}")
    _check_fits(own, member)
    return member, Agreed(sent.key, transcript)


def make_proof(own: StreamSelf, agreed: Agreed) -> bytes:
    """The body of the first frame."""
    return _sign(own, _SIGNED_PROOF + agreed.transcript)


# -- the acceptor ------------------------------------------------------------------------------------------------------


def read_hello_untrusted(keyring: Keyring | None, message: bytes) -> ReceivedHello:
    """StreamFault where it does not open, or is not of the form. Nothing is to be answered then."""
    header, sealed = message[:_HELLO_HEADER_BYTES], message[_HELLO_HEADER_BYTES:]
    if len(sealed) < TAG_BYTES:
        raise StreamFault("stream_bad_hello", "too short")
    keys = keys_named(keyring, header[PREFIX_BYTES : PREFIX_BYTES + KEY_ID_BYTES])
    if not keys:
        raise StreamFault("stream_unknown_key")
    for key in keys:
        body = open_once(derived_key(key, "hello", hash_of(header)), header, sealed)
        if body is not None:
            member, receiver = _member_untrusted(body)
            return ReceivedHello(member, receiver, key, hash_of(header, body))
    raise StreamFault("stream_bad_tag", "a hello does not open")


def check_hello(own: StreamSelf, hello: ReceivedHello) -> None:
    """StreamFault with the reason to refuse this hello."""
    if hello.member.id == own.member.id:
        raise StreamFault("stream_own", "a hello in our own name")
    if hello.receiver != own.member.id:
        raise StreamFault("stream_wrong_member", f"{hello.receiver.hex()} is meant")
    _check_fits(own, hello.member)


def make_answer(own: StreamSelf, hello: ReceivedHello, nonce: bytes) -> tuple[bytes, Agreed]:
    """Accept the stream."""
    who = _who(own.member, hello.member.id)
    header = _prefix(ANSWER, NONCE_BYTES + SIGNATURE_BYTES + len(who) + TAG_BYTES) + nonce
    transcript = hash_of(hello.transcript, header, who)
    signature = _sign(own, _SIGNED_ANSWER + transcript)
    sealed = seal_once(_answer_key(hello.key, hello.transcript, header), header, signature + who)
    return header + sealed, Agreed(hello.key, transcript)


def make_refusal(hello: ReceivedHello, reason: str, nonce: bytes) -> bytes:
    """Refuse it. The reason tells an operator at the other end."""
    body = _pack((reason.encode()[:MAX_REASON_BYTES],))
    header = _prefix(REFUSAL, NONCE_BYTES + len(body) + TAG_BYTES) + nonce
    return header + seal_once(_answer_key(hello.key, hello.transcript, header), header, body)


def check_proof(hello: ReceivedHello, agreed: Agreed, proof: bytes) -> None:
    """The first frame: StreamFault if the member that the hello names did not sign it."""
    check_signature(hello.member, _SIGNED_PROOF + agreed.transcript, proof[:SIGNATURE_BYTES])


# -- both --------------------------------------------------------------------------------------------------------------


def message_bytes_untrusted(data: bytes | bytearray, formats: tuple[int, ...]) -> int | None:
    """How many bytes the message at the beginning of `data` has; None while that is not known or not all is there.
    StreamFault if it is no message of these formats, or longer than a handshake may be."""
    if data and data[0] not in formats:
        raise StreamFault("stream_bad_hello", "its first byte is not one of a stream")
    if len(data) < PREFIX_BYTES:
        return None
    size = PREFIX_BYTES + int.from_bytes(data[1:PREFIX_BYTES], "big")
    if size > MAX_HANDSHAKE_BYTES:
        raise StreamFault("stream_bad_hello", f"{size} bytes")
    return size if len(data) >= size else None


def member_id_of(public_key: bytes) -> NodeId:
    """The id that a public key proves."""
    return NodeId(sha256(public_key).digest()[:NODE_ID_BYTES])


def check_signature(member: StreamMember, signed: bytes, signature: bytes) -> None:
    """StreamFault if the member did not sign that."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        Ed25519PublicKey.from_public_bytes(member.public_key).verify(signature, signed)
    except (InvalidSignature, ValueError):
        raise StreamFault("stream_unproven", f"{member.id.hex()} did not sign it") from None


def _sign(own: StreamSelf, signed: bytes) -> bytes:
    return ed25519_private_key(own.private_key).sign(signed)


def _prefix(form: int, length: int) -> bytes:
    return bytes((form,)) + length.to_bytes(LENGTH_BYTES, "big")


def _answer_key(key: bytes, hello: bytes, header: bytes) -> bytes:
    return derived_key(key, "answer", hash_of(hello, header))


def _who(member: StreamMember, other: NodeId) -> bytes:
    return _pack((
        member.cluster, member.id, member.public_key, member.boot_id, member.generation, *member.protocol, other,
    ))  # fmt: skip


def _member_untrusted(body: bytes) -> tuple[StreamMember, NodeId]:
    """Who says that it sends this, and which member it means. Its id is the hash of its key: nothing more is proven."""
    try:
        raw: Any = msgpack.unpackb(body, use_list=False, max_array_len=_MAX_ARRAY, max_map_len=0, max_ext_len=0)
        cluster, id, public_key, boot_id, generation, oldest, newest, other = known(raw, 8)
        for value, size in ((id, NODE_ID_BYTES), (boot_id, BOOT_ID_BYTES), (other, NODE_ID_BYTES)):
            if type(value) is not bytes or len(value) != size:
                raise ValueError(f"an id has {size} bytes")
        if type(public_key) is not bytes or len(public_key) != PUBLIC_KEY_BYTES or member_id_of(public_key) != id:
            raise ValueError("the id is not that of the key")
        if type(cluster) is not str or not 1 <= len(cluster.encode()) <= MAX_NAME_BYTES:
            raise ValueError("a cluster's name is 1 to 255 bytes")
        if type(generation) is not int or not 0 <= generation <= MAX_VERSION:
            raise ValueError("a generation is out of range")
        check_protocol(protocol := ProtocolRange(oldest, newest))
    except (ValueError, BadDatagram) as error:
        raise StreamFault("stream_bad_hello", str(error)) from None
    return StreamMember(NodeId(id), public_key, BootId(boot_id), generation, cluster, protocol), NodeId(other)


def _check_fits(own: StreamSelf, member: StreamMember) -> None:
    if member.cluster != own.member.cluster:
        raise StreamFault("stream_wrong_cluster", f"cluster '{member.cluster}', not '{own.member.cluster}'")
    if not own.member.protocol.meets(member.protocol):
        raise StreamFault(
            "stream_incompatible_version", f"protocol {member.protocol} there, {own.member.protocol} here"
        )


def _reason_of(body: bytes) -> str:
    try:
        (reason,) = known(msgpack.unpackb(body, use_list=False, max_array_len=_MAX_ARRAY), 1)
        return str(reason[:MAX_REASON_BYTES].decode("ascii"))
    except (ValueError, TypeError, AttributeError):
        return "no reason that this release can read"

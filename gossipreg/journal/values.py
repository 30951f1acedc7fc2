"""The configuration of a journal as bytes: the data of an entry of kind CONFIGURATION.

configuration           [[voter ...], [learner ...], [voter before ...]]
voter, learner          [replica id, node id, host]
"""

from collections.abc import Callable

import msgpack

from gossipreg.errors import BadDatagram
from gossipreg.journal.model import REPLICA_ID_BYTES, Configuration, ReplicaId, ReplicaPlace
from gossipreg.model import NODE_ID_BYTES, NodeId

MAX_REPLICAS = 16
"""Of one configuration, learners included."""
MAX_HOST_BYTES = 32
MAX_CONFIGURATION_BYTES = 4096
"""More than three lists of MAX_REPLICAS take."""

_pack: Callable[[object], bytes] = msgpack.Packer().pack


def encode_configuration(configuration: Configuration) -> bytes:
    return _pack((configuration.voters, configuration.learners, configuration.before))


def decode_configuration(data: bytes) -> Configuration:
    """The configuration of an entry that a leader of our cluster appended."""
    return decode_configuration_untrusted(data)


def decode_configuration_untrusted(data: bytes) -> Configuration:
    """BadDatagram("bad_configuration") where it is none."""
    if len(data) > MAX_CONFIGURATION_BYTES:
        raise BadDatagram("bad_configuration")
    try:
        voters, learners, before = msgpack.unpackb(
            data, use_list=False, max_array_len=MAX_REPLICAS, max_map_len=0, max_ext_len=0
        )
        configuration = Configuration(_places(voters), _places(learners), _places(before))
    except (ValueError, TypeError, msgpack.UnpackException) as error:
        raise BadDatagram("bad_configuration") from error
    replicas = [place.replica for place in configuration.places]
    if not configuration.voters or len(replicas) > MAX_REPLICAS or len(set(replicas)) != len(replicas):
        raise BadDatagram("bad_configuration")
    return configuration


def _places(raw: object) -> tuple[ReplicaPlace, ...]:
    if type(raw) is not tuple:
        raise ValueError("replicas are an array")
    places = []
    for replica, node, host in raw:
        fits = type(replica) is bytes and len(replica) == REPLICA_ID_BYTES
        if not fits or type(node) is not bytes or len(node) != NODE_ID_BYTES:
            raise ValueError("a replica has an id and a member")
        if type(host) is not bytes or not len(host) <= MAX_HOST_BYTES:
            raise ValueError("a host is a few bytes")
        places.append(ReplicaPlace(ReplicaId(replica), NodeId(node), host))
    return tuple(places)

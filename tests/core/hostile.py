"""A victim, the members that it knows, and an insider: a hostile process that has the key and sends anything.

The insider has a session for an id of its own, or none. It can invent members, make claims about others, and write rows
of others with a newer version; nothing else.
"""

from gossipreg.config import Config, lan
from gossipreg.core.node import Node
from gossipreg.model import Health, Liveness, NodeId, RegisteredService, Version
from tests.core.cluster import START
from tests.core.speaker import Speaker, a_node, sizes_of_parts

Content = list[tuple[int, tuple[int, bytes | None]]]


def a_cluster(config: Config = lan) -> tuple[Node, list[Speaker], Speaker]:
    """Return a victim with a service, three members, and the insider, which has a session and a row of its own."""
    node = a_node(config)
    node.register(RegisteredService("billing-1", "billing", "h", 1), Health.PASSING, START)
    members = [Speaker(seed) for seed in (1, 2, 3)]
    insider = Speaker(4)
    for one in (*members, insider):
        one.handshake(node, START)
    return node, members, insider


def entries(node: Node, id: NodeId) -> Content:
    row = node.table.rows.get(id)
    return [] if row is None or row.content is None else sorted(row.content.entries.items())


def versions(node: Node) -> dict[NodeId, tuple[Version, Liveness]]:
    return {id: (row.content_version, row.liveness) for id, row in node.table.rows.items()}


def state_of(node: Node) -> tuple[object, ...]:
    table = node.table
    return (
        table.fingerprint, versions(node), entries(node, node.id), node.inspect().sessions,
        [(id, session.source) for id in table.rows if (session := node.inspect().session(id)) is not None],
        sizes_of_parts(node),
    )  # fmt: skip


NODE, MEMBERS, INSIDER = a_cluster()

"""A cluster without its joins: members with equal tables, as if they had joined long ago.

Owns: how a whole table is put into a node without messages, shared with the other nodes. It writes to private parts of
`gossipreg.core`, because 10,000 joins take a hundred million merges. (The checkers read such parts, and write none.)
`tests/simulations/test_formed.py` holds that such a cluster equals one that grew by joins.

The first node makes the rows by merging every owner's full row. All nodes share them (`sharing.py`): a table copies
such a row before it changes it. Dicts and lists around the rows are copied for each node.
"""

from collections.abc import Sequence
from copy import copy

from gossipreg.core.node import Node
from gossipreg.model import NOTHING
from simulations.sharing import shared

_PAGE_BYTES = 1 << 30


def join_all(nodes: Sequence[Node], now: float) -> None:
    """Make one cluster of these new nodes, which know no other member yet."""
    first = nodes[0]
    for node in nodes[1:]:
        page = node.table.page(node.id, NOTHING, _PAGE_BYTES)
        assert page is not None, "an owner has its own row"
        first.table.merge_delta(page, from_owner=True, synced=False, now=now)
    for node in nodes:
        node._follow_table()
        node._membership.emit_members_changed()
        node._context.synced = True
        node.table.changes.note_other()
        node._was_synced = True
        node._reconnect._reached = True
        node._context.effects.clear()
        node._dissemination._queue.clear()
    rows = {id: shared(row) for id, row in first.table.rows.items()}
    for node in nodes:
        own = node.table.rows.pop(node.id)
        node.table.rows.update(rows)
        node.table.rows[node.id] = own  # in the place that it has in all tables
    for node in nodes[1:]:
        _adopt(node, first)
    for node in nodes:
        _bind_first(node, first)


def _adopt(node: Node, first: Node) -> None:
    table = node.table
    table.size_bytes = first.table.size_bytes
    hashes, known_hashes = table.hashes, first.table.hashes
    hashes.value = known_hashes.value
    hashes.bucket_hash = known_hashes.bucket_hash.copy()
    hashes._ids = known_hashes._ids.copy()
    names, known_names = node.names, first.names
    names._ids, names._names = known_names._ids.copy(), known_names._names.copy()
    ring = node.ring
    ring._ids = first.ring._ids.copy()
    ring._at = ring._ids.index(node.id)
    ring._neighbours.clear()
    peers, known = node._sessions, first._sessions
    peers._by_row, peers._boot_of = known._by_row.copy(), known._boot_of.copy()
    peers.forget(node.id)
    catalog, shown = node.catalog, first.catalog
    catalog._shown = {id: copy(one) for id, one in shown._shown.items()}
    for one in catalog._shown.values():
        one.instances = one.instances.copy()
    if node.id in catalog._shown:
        catalog._shown[node.id].content = table.own.content
    if first.id in catalog._shown:
        catalog._shown[first.id].content = None
    catalog._names = {name: instances.copy() for name, instances in shown._names.items()}
    catalog._index, catalog._clock = shown._index.copy(), shown._clock
    catalog._numbered = shown._numbered


def _bind_first(node: Node, first: Node) -> None:
    """Add the first node to the sessions of another node: the copied sessions are the first node's, which lack
    itself."""
    member = first.table.own.member
    assert member is not None, "an owner knows itself"
    if node is not first:
        node._sessions.bind_by_row(member.boot_id, first.id, first.table.own.liveness.generation, member.addresses)

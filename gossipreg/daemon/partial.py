"""Answers to `lookup` while the cluster's table is not known: marked as partial, or refused.

Owns the rule of the local socket: an answer with instances says that there may be more, and an empty answer becomes the
error `not_synced`. While no table was kept from the last run, a name is answered only if it is registered here.
"""

from collections.abc import Callable

from gossipreg.core.view import View
from gossipreg.errors import NotSynced
from gossipreg.model import CatalogInstance, fold_name
from gossipreg.wire.shapes import Shape


def not_synced(what: str, why: str) -> NotSynced:
    """The error for a request for `what`, which is not known for the reason `why`."""
    return NotSynced(f"this sidecar is not synced, so it does not know {what} yet: {why}")


def lookup_shapes(
    view: View,
    name: str,
    found: tuple[CatalogInstance, ...],
    shape: Callable[[CatalogInstance], Shape],
    why: Callable[[], str],
) -> list[Shape]:
    """Mark each instance found as partial. Raises NotSynced if there is none, or if no table is known and the name is
    not registered here."""
    if not found or (view.knowledge.refuses and not registered_here(view, name)):
        raise not_synced(f"where {name} is", why())
    return [{**shape(instance), "partial": True} for instance in found]


def registered_here(view: View, name: str) -> bool:
    return any(fold_name(one.service.name) == fold_name(name) for one in view.catalog.of_node(view.id))

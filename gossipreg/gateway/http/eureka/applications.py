"""Lists of instances as Eureka's clients read them: grouped by application, with the hash code of the whole registry.

Only passing instances are listed, as UP: clients and Prometheus use every instance of an answer, whatever its status.
"""

from collections.abc import Iterable, Iterator

from gossipreg.gateway.http.eureka.instances import Document, application_name, document_of, instance_id
from gossipreg.model import CatalogInstance, Health

Action = tuple[str, CatalogInstance]
"""ADDED, MODIFIED or DELETED, and the instance."""


def hash_code(instances: Iterable[CatalogInstance]) -> str:
    """`STATUS_count_` of each status in the registry. All listed are UP, so there is one status or none."""
    count = sum(1 for _ in instances)
    return f"UP_{count}_" if count else ""


def applications(actions: Iterable[Action], *, version: int, hash_code: str) -> Document:
    """The document of `apps`, `apps/delta` and `vips`. An empty action leaves `actionType` out."""
    by_name: dict[str, list[Document]] = {}
    for name, document in _documents(actions):
        by_name.setdefault(name, []).append(document)
    return {
        "versions__delta": str(version),
        "apps__hashcode": hash_code,
        "application": [{"name": name, "instance": by_name[name]} for name in sorted(by_name)],
    }


def application(name: str, instances: Iterable[CatalogInstance]) -> Document:
    """The document of one application."""
    return {"name": name.upper(), "instance": [one for _, one in _documents(("", one) for one in instances)]}


def _documents(actions: Iterable[Action]) -> Iterator[tuple[str, Document]]:
    """Each with its application's name. Eureka's clients tell the instances of an application apart by their ids, which
    here are unique on one sidecar only: the second of an id, by order of nodes, is shown as `ID@NODE`."""
    seen: set[tuple[str, str]] = set()
    ordered = sorted(actions, key=lambda one: (application_name(one[1]), instance_id(one[1]), one[1].node))
    for action, instance in ordered:
        name, id = application_name(instance), instance_id(instance)
        if (name, id) in seen:
            id = f"{id}@{instance.node_name}-{instance.node.hex()[:8]}"
        seen.add((name, id))
        yield name, document_of(instance, id=id, action=action)


def passing(instances: Iterable[CatalogInstance]) -> list[CatalogInstance]:
    return [one for one in instances if one.health is Health.PASSING]


def has_vip(instance: CatalogInstance, wanted: str, *, secure: bool) -> bool:
    """Whether the instance is reached by this VIP address; an instance may have several, with commas between."""
    document = document_of(instance)
    text = document.get("secureVipAddress", "") if secure else document["vipAddress"]
    return wanted.lower() in [one.strip().lower() for one in text.split(",")]

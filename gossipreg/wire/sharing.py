"""Equal parts of services exist once in memory: the instances of a service mostly have the same name, tags and meta.

Owns which parts those are. A service of which all but the id is shared takes two fifths less. Strings that nobody holds
any more are dropped by Python itself; of tags and meta the ones that were decoded last are remembered.
"""

from functools import lru_cache
from sys import intern

from gossipreg.model import RegisteredService

REMEMBERED = 1024
"""Different tags, and different meta, that are found again."""


def with_shared_parts(service: RegisteredService) -> RegisteredService:
    """An equal service, made of parts that other services hold too."""
    return RegisteredService(
        service.id,
        intern(service.name),
        intern(service.address),
        service.port,
        _shared_tags(service.tags),
        _shared_meta(service.meta),
        service.weight,
    )


@lru_cache(REMEMBERED)
def _shared_tags(tags: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(map(intern, tags))


@lru_cache(REMEMBERED)
def _shared_meta(meta: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    return tuple((intern(key), intern(text)) for key, text in meta)

"""How resources are put into responses, where a response need not hold all of them."""

from collections.abc import Collection, Iterator

from gossipreg.gateway.xds.model import Resource

GROUP_BYTES = 1 << 20
"""A gRPC client takes messages of 4 MiB at most. A larger resource goes by itself."""


def grouped(resources: list[Resource], alone: Collection[str]) -> Iterator[list[Resource]]:
    """The resources of each response. Those whose name is in `alone` have one each."""
    group: list[Resource] = []
    size = 0
    for one in resources:
        if one.name in alone:
            yield [one]
            continue
        if group and size + len(one.any) > GROUP_BYTES:
            yield group
            group, size = [], 0
        group.append(one)
        size += len(one.any)
    if group:
        yield group

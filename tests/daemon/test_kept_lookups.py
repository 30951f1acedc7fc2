"""A kept answer of a lookup has the bytes that would be encoded now."""

import tempfile
from pathlib import Path
from typing import Any

import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from gossipreg.daemon.socket_client import SocketClient, pack
from gossipreg.wire.shapes import instance_shape
from tests.daemon.conftest import ME, Sidecar, running

CHANGES = st.one_of(
    st.tuples(
        st.just("register"),
        st.fixed_dictionaries(
            {"name": st.sampled_from(["web", "WEB", "db"]), "id": st.sampled_from("abcd"), "port": st.integers(1, 3)},
            optional={"tags": st.just(["blue"]), "checks": st.just(["ttl:1h"]), "weight": st.integers(0, 2)},
        ),
    ),
    st.tuples(st.just("deregister"), st.fixed_dictionaries({"id": st.sampled_from("abcd")})),
    st.tuples(st.just("heartbeat"), st.fixed_dictionaries({"id": st.sampled_from("abcd")})),
    st.tuples(
        st.just("maint"),
        st.fixed_dictionaries({}, optional={"id": st.sampled_from("abcd"), "reason": st.sampled_from(["why", "x"])}),
    ),
)  # fmt: skip
QUESTIONS: list[dict[str, Any]] = [{"name": "web"}, {"name": "Web", "tags": ["blue"]}, {"name": "db"}]


@settings(max_examples=50, deadline=None)
@given(changes=st.lists(CHANGES, max_size=20))
def test_kept_lookups_are_the_bytes_of_fresh_ones(changes: list[tuple[str, dict[str, Any]]]) -> None:
    async def follow() -> None:
        with tempfile.TemporaryDirectory() as folder:
            async with running(Path(folder)) as sidecar:
                client = await sidecar.client()
                for method, params in changes:
                    await client.call(method, **params)
                    for question in QUESTIONS * 2:
                        assert sidecar.methods.lookups.lookup(question) == fresh(sidecar, question)

    trio.run(follow)


def fresh(sidecar: Sidecar, question: dict[str, Any]) -> bytes:
    found = sidecar.node.catalog.lookup(question["name"], tags=tuple(question.get("tags", ())))
    return pack([instance_shape(one) for one in found])


async def test_a_large_answer_is_encoded_once_a_change(sidecar: Sidecar) -> None:
    client = SocketClient(ME)
    for port in range(1, 601):
        await sidecar.methods.register({"name": "web", "port": port}, client)
    lookup = sidecar.methods.lookups.lookup
    first = lookup({"name": "web"})
    assert len(first) > 100_000
    assert lookup({"name": "web"}) is first
    await sidecar.methods.register({"name": "web", "port": 601}, client)
    second = lookup({"name": "web"})
    assert len(second) > len(first)
    assert lookup({"name": "WEB"}) is second

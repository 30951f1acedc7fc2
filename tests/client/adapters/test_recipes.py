"""The recipes of docs/client.md do what the page says."""

import asyncio
import re
import textwrap
from pathlib import Path
from typing import Any

import pytest
import trio

import gossipreg
from gossipreg.client.registry import Registry
from tests.client.adapters.servers import HttpInstance

PAGE = Path(gossipreg.__file__).parent / "docs" / "client.md"
RECIPES = {
    name: textwrap.dedent(code)
    for name, code in re.findall(r"<!-- recipe: (.+?) -->\n\n((?:    .*\n|\n)+)", PAGE.read_text())
}


def test_the_page_has_a_recipe_for_each_library() -> None:
    assert {*RECIPES} == {"httpx", "httpx, asyncio or trio", "requests", "aiohttp", "servers"}


@pytest.mark.parametrize(
    ("name", "run"),
    [
        ("httpx", None), ("requests", None), ("httpx, asyncio or trio", asyncio.run),
        ("httpx, asyncio or trio", trio.run), ("aiohttp", asyncio.run),
    ],
    ids=["httpx", "requests", "httpx-asyncio", "httpx-trio", "aiohttp"],
)  # fmt: skip
def test_a_recipe_reaches_the_service(name: str, run: Any, registry: Registry, instances: list[HttpInstance]) -> None:
    pytest.importorskip(name.split(",")[0])
    for one in instances:
        one.answers["/charge"] = 200
    names: dict[str, Any] = {"registry": registry}
    exec(RECIPES[name], names)
    try:
        if run is not None:
            assert run(lambda: names["charge"]()) if run is trio.run else run(names["charge"]())
    finally:
        for kind in ("client", "session"):
            if kind in names:
                names[kind].close()
    assert [path for one in instances for _, path, _, _ in one.seen] == ["/charge"]
    stats = registry.service("billing").stats()
    assert (stats["calls_succeeded"], stats["in_flight"]) == (1, 0)


def test_the_recipe_for_servers_wraps_both_kinds() -> None:
    names: dict[str, Any] = {"fastapi_app": object(), "flask_app": object()}
    exec(RECIPES["servers"], names)
    assert callable(names["asgi"])
    assert callable(names["wsgi"])

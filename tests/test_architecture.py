"""The house stands as it was drawn: which part imports which, what the pure part never does, how the core is wired.

The checkers are in `house_rules.py` and `wiring_rules.py`. Each is tried on a bad source too, so that it is known to be
able to fail: here, and in `test_wiring_rules.py`.
"""

import ast
import gc
import re
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

import pytest

from gossipreg.drops import DROPS, FAMILIES
from tests import house_rules
from tests.wiring_rules import Wiring, row_writes

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "gossipreg"
MAX_LINES = 400
PURE = (
    *("errors", "model", "drops", "durations", "sizes", "strict_json", "retry", "weights", "socket_path", "timers"),
    *("config", "wire"),
    *("journal", "streams", "events", "sagas", "history", "core"),
)

MAPPED = (
    *(
        "client",
        "client/picking",
        "client/watching",
        "client/adapters",
        "client/outbox",
        "client/events",
        "client/sagas",
    ),
    *(
        "journal",
        "streams",
        "events",
        "sagas",
        "history",
        "core",
        "core/table",
        "daemon",
        "daemon/checks",
        "daemon/deliveries",
        "daemon/history",
        "daemon/journals",
        "daemon/sagas",
        "daemon/streams",
    ),
    *("gateway/dns", "gateway/http", "net", "demo"),
    *("gateway/xds/server", "gateway/xds/streams", "gateway/xds/resources"),
)
"""Folders whose map names all their files."""

MAX_PARTS = 6
COMPOSERS = {"Node", "View", "NodeCommands", "NodeOrder", "NodeTimers"}
"""Node composes the parts; the others are its base classes and declare what it holds."""

NODE_FILES = ("node.py", "view.py", "commands.py", "order.py", "due.py")
MAY_REACH = ("simulations/inside.py", "simulations/formed.py")
"""What tests do to private parts stands in the first; the second makes whole clusters without a message."""
MAX_TEST_LINES = 400
MAX_TEST_NAME = 70

FILES = sorted([*PACKAGE.rglob("*.py"), *(ROOT / "simulations").rglob("*.py")])
SCRIPT_FILES = sorted((ROOT / "scripts").rglob("*.py"))
TEST_FILES = sorted((ROOT / "tests").rglob("*.py"))
ALL_FILES = [*FILES, *SCRIPT_FILES]


@pytest.fixture(scope="module", autouse=True)
def trees() -> Iterator[None]:
    """Keep millions of nodes for these tests alone, and collect no garbage meanwhile.

    Collections would take two thirds of the time, and with the trees left, each one in a later test takes a second.
    """
    gc.disable()
    yield
    tree.cache_clear()
    wiring.cache_clear()
    gc.enable()


@cache
def tree(path: Path) -> ast.Module:
    """Parsed when a test asks for it: every worker imports this file."""
    return ast.parse(path.read_text(), str(path))


def trees_with(paths: Iterable[Path], pattern: str) -> Iterator[tuple[Path, ast.Module]]:
    """Only those whose text has this pattern, without which there is nothing to find in them: parsing takes longest."""
    wanted = re.compile(pattern)
    return ((path, tree(path)) for path in paths if wanted.search(path.read_text()))


def dotted(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def is_pure(path: Path) -> bool:
    part = path.relative_to(ROOT).with_suffix("").parts[1]
    return path.is_relative_to(PACKAGE) and (part in PURE or path.is_relative_to(PACKAGE / "client" / "picking"))


CORE_FILES = [path for path in FILES if path.is_relative_to(PACKAGE / "core")]
PURE_FILES = [path for path in FILES if is_pure(path)]


@cache
def wiring() -> Wiring:
    return Wiring([tree(path) for path in CORE_FILES])


def listed(path: Path, faults: Iterator[house_rules.Fault]) -> list[str]:
    return [f"{path.relative_to(ROOT)}:{line}: {fault}" for line, fault in faults]


def test_every_part_of_the_house_is_looked_at() -> None:
    parts = {path.relative_to(PACKAGE).parts[0] for path in FILES if path.is_relative_to(PACKAGE)}
    assert parts >= {"errors.py", "wire", "core", "daemon", "client", "cli"}
    assert {path.name for path in PURE_FILES} >= {
        "errors.py",
        "config.py",
        "rpc.py",
        "node.py",
        "balancer.py",
        "__init__.py",
    }


def test_imports_run_one_way() -> None:
    faults = [
        fault
        for path in ALL_FILES
        for fault in listed(path, house_rules.import_faults(dotted(path), tree(path), PACKAGE))
    ]
    assert faults == []


def test_a_part_of_the_core_holds_few_others() -> None:
    held = {name: sorted(wiring().held_by(name)) for name in wiring().parts() if name not in COMPOSERS}
    assert {name: parts for name, parts in held.items() if len(parts) > MAX_PARTS} == {}, (
        "give it facts or values instead"
    )


def test_parts_of_the_core_hold_each_other_one_way() -> None:
    assert wiring().circles() == [], "let one of them return facts"


def test_parts_of_the_core_are_set_up_by_their_constructors() -> None:
    assert [fault for path in CORE_FILES for fault in listed(path, wiring().patches(tree(path)))] == []


def test_only_the_table_changes_rows() -> None:
    files = [path for path in FILES if path.is_relative_to(PACKAGE) and path.parent != PACKAGE / "core" / "table"]
    assert len(files) > 100
    assert [fault for path in files for fault in listed(path, row_writes(tree(path)))] == []


def test_core_and_wire_read_no_clock_socket_or_randomness() -> None:
    assert [fault for path in PURE_FILES for fault in listed(path, house_rules.purity_faults(tree(path)))] == []


@pytest.mark.parametrize(("files", "limit"), [(ALL_FILES, MAX_LINES), (TEST_FILES, MAX_TEST_LINES)])
def test_a_file_holds_one_idea_and_stays_short(files: list[Path], limit: int) -> None:
    lengths = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in files}
    assert {name: lines for name, lines in lengths.items() if lines > limit} == {}, "split it by ideas"


def test_a_name_of_a_test_is_a_short_claim() -> None:
    """Aim at 60 characters."""
    long = trees_with(TEST_FILES, rf"\bdef\s+test_\w{{{MAX_TEST_NAME - len('test_') + 1},}}")
    faults = [fault for path, tree in long for fault in listed(path, house_rules.long_test_names(tree, MAX_TEST_NAME))]
    assert faults == []


def test_tests_and_laboratory_leave_the_nodes_private_parts_alone() -> None:
    private = house_rules.private_names(tree(PACKAGE / "core" / name) for name in NODE_FILES)
    assert private >= {"_context", "_detector", "_begin", "_forget"}
    outside = [*TEST_FILES, *(path for path in FILES if not path.is_relative_to(PACKAGE))]
    judged = [path for path in outside if str(path.relative_to(ROOT)) not in MAY_REACH]
    naming = trees_with(judged, rf"\.\s*(?:{'|'.join(private)})\b")
    assert [fault for path, tree in naming for fault in listed(path, house_rules.reaches(tree, private))] == []


def test_class_names_are_unique_in_the_package() -> None:
    package = [(dotted(path), tree(path)) for path in FILES if path.is_relative_to(PACKAGE)]
    shared = house_rules.shared_class_names(package)
    assert not shared, "let each name say whose class it is"


@pytest.mark.parametrize("folder", MAPPED)
def test_the_map_of_a_folder_names_exactly_its_files(folder: str) -> None:
    package = PACKAGE / folder
    text = ast.get_docstring(ast.parse((package / "__init__.py").read_text())) or ""
    named = re.findall(r"^    (\w+) |;  (\w+):", text, re.MULTILINE)
    files = {path.stem for path in package.glob("*.py")} - {"__init__"}
    assert sorted(first or other for first, other in named) == sorted(files)


def test_the_map_of_the_core_names_its_rooms_from_the_lowest() -> None:
    text = ast.get_docstring(tree(PACKAGE / "core" / "__init__.py")) or ""
    assert tuple(re.findall(r"^    (\w+)/ ", text, re.MULTILINE)) == house_rules.ROOMS
    assert {*house_rules.ROOMS} == {path.parent.name for path in (PACKAGE / "core").glob("*/__init__.py")}


def test_the_rooms_of_xds_know_only_those_below() -> None:
    home = PACKAGE / "gateway" / "xds"
    assert {*house_rules.XDS_ROOMS} == {path.parent.name for path in home.glob("*/__init__.py")}
    faults = [
        listed(path, house_rules.xds_import_faults(dotted(path), tree(path), PACKAGE)) for path in home.glob("*/*.py")
    ]
    assert not any(faults), faults


def test_every_reason_for_a_drop_has_its_meaning() -> None:
    counted = {
        reason: f"{path.relative_to(ROOT)}:{line}"
        for path in FILES
        for line, reason in house_rules.drop_reasons(tree(path))
    }
    known = {*DROPS, *(f"{prefix}*" for prefix in FAMILIES)}
    assert {reason: where for reason, where in counted.items() if reason not in known} == {}, "give it a line in drops"
    assert known - counted.keys() == set(), "count it, or take it out of drops"


# -- the checkers can fail ---------------------------------------------------------------------------------------------


def test_a_class_name_in_two_modules_is_found() -> None:
    sources = [
        ("a", "class Peers: ...\nclass _Own: ..."),
        ("b", "class Peers: ...\nclass _Own: ..."),
        ("c", "class C: ..."),
    ]
    trees = [(module, ast.parse(source)) for module, source in sources]
    assert house_rules.shared_class_names(trees) == {"Peers": ["a", "b"]}


def test_each_way_to_reach_into_a_node_is_found() -> None:
    private = house_rules.private_names([ast.parse("class Node:\n    def _end(self): self._context = self.__dict__")])
    assert private == {"_end", "_context"}
    source = "node._end()\nown.node._context.now = 1\nself._context\nnode.inspect().now\nother._sealer"
    assert [line for line, _ in house_rules.reaches(ast.parse(source), private)] == [1, 2]


def test_a_long_name_of_a_test_is_found_in_classes_too() -> None:
    source = (
        f"class T:\n    async def test_{'a' * 10}(self): ...\ndef test_{'b' * 10}(): ...\ndef other_{'c' * 10}(): ..."
    )
    assert sorted(line for line, _ in house_rules.long_test_names(ast.parse(source), 14)) == [2, 3]
    assert list(house_rules.long_test_names(ast.parse(source), 15)) == []


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("gossipreg.core.node", "from gossipreg.daemon import pump"),
        ("gossipreg.core.node", "import gossipreg.cli.commands"),
        ("gossipreg.timers", "from gossipreg.core.table.row import Row"),
        ("gossipreg.journal.replica", "from gossipreg.core.node import Node"),
        ("gossipreg.core.table.row", "from gossipreg.core.session.channel import Channel"),
        ("gossipreg.core.session.channel", "from gossipreg.core.gossip import pulls"),
        ("gossipreg.core.gossip.pulls", "from gossipreg.core.failure.prober import Prober"),
        ("gossipreg.core.failure.prober", "from gossipreg.core.gossip.pulls import Pulls"),
        ("gossipreg.core.gossip.pulls", "from gossipreg.core.local.own_row import OwnRow"),
        ("gossipreg.core.local.own_row", "from gossipreg.core.view import View"),
        ("gossipreg.wire.codec", "from gossipreg.core import effects"),
        ("gossipreg.wire.codec", "from gossipreg.streams import frames"),
        ("gossipreg.streams.connection", "from gossipreg.core import effects"),
        ("gossipreg.wire.rpc", "from gossipreg.core.node import Node"),
        ("gossipreg.config", "from gossipreg.wire import codec"),
        ("gossipreg.net.accepting", "from gossipreg.wire import rpc"),
        ("gossipreg.net.listening", "from gossipreg.daemon import udp"),
        ("gossipreg.core.node", "from gossipreg.net import listening"),
        ("simulations.world", "from gossipreg.net.addresses import is_loopback"),
        ("simulations.world", "from gossipreg.client.connection import Client"),
        ("gossipreg.net.listening", "from gossipreg.config import Config"),
        ("gossipreg.model", "from gossipreg.config import Config"),
        ("gossipreg.model", "def f():\n    from gossipreg.config import Config"),
        ("gossipreg.daemon.main", "from gossipreg.client import Client"),
        ("gossipreg.daemon.main", "from gossipreg.gateway import dns"),
        ("gossipreg.daemon.main", "from gossipreg.cli import main"),
        ("gossipreg.client.connection", "from gossipreg.wire import codec"),
        ("gossipreg.client.connection", "from gossipreg.core.effects import Send"),
        ("gossipreg.client.connection", "from gossipreg.config import Config"),
        ("gossipreg", "from gossipreg.core.node import Node"),
        ("gossipreg.core.node", "from .effects import Send"),
        ("gossipreg.core.node", "from tests.core import cluster"),
        ("gossipreg.core.node", "import simulations.world"),
        ("simulations.world", "from gossipreg.daemon import pump"),
        ("simulations.world", "from scripts.tools.wait import wait_for"),
        ("gossipreg.core.node", "import scripts.tools.wait"),
        ("scripts.soaking.soak", "from tests.system.hosts import Hosts"),
        ("scripts.tools.wait", "from simulations.world import World"),
        ("scripts.tools.wait", "from tests.fuzz.targets import TARGETS"),
        ("scripts.tools.wait", "from scripts.soaking.world import World"),
    ],
)
def test_a_wrong_import_is_found(name: str, source: str) -> None:
    assert list(house_rules.import_faults(name, ast.parse(source), PACKAGE))


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("gossipreg.core.node", "from gossipreg.wire import codec\nfrom gossipreg.core.effects import Send"),
        (
            "gossipreg.core.local.own_row",
            "from gossipreg.core.gossip.pulls import Pulls\nimport gossipreg.core.context",
        ),
        ("gossipreg.core.context", "from gossipreg.timers import Timers"),
        ("gossipreg.core.inspect", "from gossipreg.core.view import View"),
        ("gossipreg.daemon.main", "import gossipreg\nfrom gossipreg import __version__"),
        ("gossipreg.cli.wait", "from gossipreg.client import Client"),
        ("gossipreg.client.connection", "from gossipreg.wire import rpc\nfrom gossipreg.errors import Busy"),
        ("gossipreg.socket_path", "from gossipreg.errors import Unreachable"),
        ("simulations.world", "from gossipreg.core.node import Node\nimport simulations.network"),
        ("simulations.world", "from gossipreg.client.picking.balancer import Balancer"),
        ("scripts.checks.fuzzing", "from tests.fuzz.targets import TARGETS\nfrom scripts.tools.wait import wait_for"),
        ("scripts.checks.mutations", "from simulations.selftest import ALL\nfrom gossipreg.gateway.dns import wire"),
    ],
)
def test_a_right_import_is_left_alone(name: str, source: str) -> None:
    assert list(house_rules.import_faults(name, ast.parse(source), PACKAGE)) == []


def test_a_new_part_of_the_house_needs_a_floor() -> None:
    with pytest.raises(AssertionError, match="no floor"):
        list(house_rules.import_faults("gossipreg.core.node", ast.parse("import gossipreg.attic"), PACKAGE))
    with pytest.raises(AssertionError, match=r"core\.attic stands on no floor"):
        list(house_rules.import_faults("gossipreg.core.node", ast.parse("import gossipreg.core.attic"), PACKAGE))


@pytest.mark.parametrize(
    ("source", "instead"),
    [
        ("import trio", "effect"),
        ("import socket", "effect"),
        ("from asyncio import sleep", "effect"),
        ("def f():\n    import time", "now"),
        ("from datetime import datetime", "now"),
        ("import secrets", "entropy"),
        ("import os\nos.urandom(8)", "entropy"),
        ("from os import urandom", "entropy"),
        ("import random\nrandom.choice([1])", "rng"),
        ("from random import shuffle", "rng"),
        ("import random\nrng = random.Random()", "rng"),
        ("from random import Random\nrng = Random()", "rng"),
        ("hash('a')", "hashlib"),
        ("open('a')", "effect"),
    ],
)
def test_a_banned_call_is_found_and_its_replacement_named(source: str, instead: str) -> None:
    faults = list(house_rules.purity_faults(ast.parse(source)))
    assert faults
    assert all(instead in fault for _, fault in faults)


def test_a_generator_that_is_handed_in_is_left_alone() -> None:
    source = "import os, random\ndef f(rng: random.Random) -> str:\n    random.Random(7)\n    return os.environ['A']"
    assert list(house_rules.purity_faults(ast.parse(source))) == []


@pytest.mark.parametrize(
    ("source", "reasons"),
    [
        ("raise BadDatagram('a', f'{x}')", ["a"]),
        ("raise BadDatagram('a' if x else 'b')", ["a", "b"]),
        ("raise StreamFault('a', f'{x}') from None", ["a"]),
        ("raise BadRequest('a', f'{x}')", ["a"]),
        ("raise Http2Fault('a', 1, f'{x}')", ["a"]),
        ("raise GrpcFault(3, f'{x}', 'a')", ["a"]),
        ("raise GrpcFault(3, f'{x}')", []),
        ("connections.cut(one, 'drop.a')", ["a"]),
        ("due = 3.0, 'drop.a'", ["a"]),
        ("due = 3.0, 'a'", []),
        ("raise BadDatagram(reason)", ["reason"]),
        ("self._context.count('drop.a')", ["a"]),
        ("context.count(f'drop.a_{x}')", ["a_*"]),
        ("context.count(f'drop.{error.reason}')", []),
        ("context.count('probes'); text.count(',')", []),
        ("self.dropped['a'] += 1", ["a"]),
        ("dropped[f'a_{x}'] = 1", ["a_*"]),
        ("transport._dropped[reason] += 1", ["reason"]),
    ],
)
def test_each_form_of_counting_a_drop_is_read(source: str, reasons: list[str]) -> None:
    assert [reason for _, reason in house_rules.drop_reasons(ast.parse(source))] == reasons

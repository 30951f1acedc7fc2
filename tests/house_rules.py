"""The rules of the house as checkers of source text; `test_architecture.py` applies them.

Each checker takes the syntax tree of one file and yields (line, fault). A fault names the rule, its reason, and what to
write instead.
"""

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path

Fault = tuple[int, str]

# -- names -------------------------------------------------------------------------------------------------------------


def shared_class_names(trees: Iterable[tuple[str, ast.AST]]) -> dict[str, list[str]]:
    """Each class name that more than one of these modules defines at its top level, with those modules."""
    modules: dict[str, list[str]] = {}
    for module, tree in trees:
        for node in ast.iter_child_nodes(tree):
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                modules.setdefault(node.name, []).append(module)
    return {name: where for name, where in modules.items() if len(where) > 1}


def long_test_names(tree: ast.AST, limit: int) -> Iterator[Fault]:
    """Test functions whose names have more characters than `limit`."""
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                if name.startswith("test_") and len(name) > limit:
                    yield node.lineno, f"{name} has {len(name)} characters: claim one thing in at most {limit}"


# -- private parts of the node -----------------------------------------------------------------------------------------


def private_names(trees: Iterable[ast.AST]) -> frozenset[str]:
    """The private attributes and methods that the classes of these files have."""
    names: set[str] = set()
    for tree in trees:
        for node in ast.walk(tree):
            match node:
                case ast.Attribute(value=ast.Name(id="self"), attr=name) | ast.FunctionDef(name=name):
                    names.add(name)
    return frozenset(name for name in names if name.startswith("_") and not name.startswith("__"))


def reaches(tree: ast.AST, private: frozenset[str]) -> Iterator[Fault]:
    """Uses of these private names on anything but `self`, or `super()` in a class that is one itself."""
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(value=ast.Name(id="self" | "cls") | ast.Call(func=ast.Name(id="super"))):
                pass
            case ast.Attribute(attr=name, lineno=line) if name in private:
                yield line, f"{name} is a private part of the node: ask node.inspect(), or act through an input"


# -- import direction --------------------------------------------------------------------------------------------------

WITH_SOCKETS = ("net", "daemon", "gateway", "demo", "cli")
FLOORS: tuple[tuple[str, ...], ...] = (
    ("quick_dataclass", "blake2", "sha2", "narrow_cryptography"),
    (
        *("errors", "model", "generation", "drops", "durations", "sizes", "strict_json", "retry", "weights"),
        *("tuning", "socket_path", "systemd_job", "callers", "rights", "timers", "extras", "trace_context"),
    ),
    ("config", "net", "feed", "tracing"),
    ("otlp",),
    ("wire",),
    ("journal", "streams", "history"),
    ("events", "sagas"),
    ("core.effects", "core.context"),
    ("core.table",),
    ("core.session",),
    ("core.gossip", "core.failure"),
    ("core.local",),
    (
        "core",
        "core.knowledge",
        "core.order",
        "core.inspect",
        "core.view",
        "core.dead_services",
        "core.followers",
        "core.commands",
        "core.due",
        "core.node",
        "core.journal_membership",
        "core.announced_events",
        "core.event_membership",
    ),
    ("sidecar_api",),
    ("daemon", "gateway"),
    ("demo",),
    ("cli",),
    ("__main__",),
)
"""From the ground up: a module imports from its own part and from floors below. The core has floors of its own: its
tools, its rooms, and the files that compose them."""
SHARED_FLOORS = tuple(parts for parts in FLOORS if {"model", "core.context", "core.node"} & {*parts})
"""Floors of single files, which may import each other."""
ROOMS = tuple(
    part.removeprefix("core.")
    for parts in FLOORS
    if parts not in SHARED_FLOORS
    for part in parts
    if part.startswith("core.")
)
"""The rooms of the core, from the lowest."""

XDS_ROOMS: dict[str, tuple[str, ...]] = {"resources": (), "streams": (), "server": ("streams",)}
"""The rooms of the xDS gateway, and those that each may import beside itself and `model`."""

CLIENT_MAY_IMPORT = (
    *(
        "errors",
        "model",
        "retry",
        "socket_path",
        "trace_context",
        "events.cloud_event",
        "sagas.saga_definition",
        "sagas.saga_model",
    ),
    *("wire.rpc", "trace_context", "client"),
)
PICKING = ("client.picking", "client.instance")
"""Of the client: the pure part, and the values that it picks from. The laboratory runs it as it is, and the sidecar
where it calls services for programs."""
MAY_PICK = ("simulations", "gateway", "daemon")


OUTSIDE = ("tests", "simulations", "scripts")
SCRIPTS_MAY_IMPORT = ("simulations", "tests.fuzz.targets")
"""Beside the package, and each other: the breaks of the laboratory's selftest, and the fuzz targets."""


def imports(tree: ast.AST, package: Path) -> Iterator[tuple[int, str]]:
    """(line, dotted name) of each import, also in functions and under TYPE_CHECKING: who imports, knows."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            for alias in node.names:
                part = Path(*f"{module}.{alias.name}".split(".")[1:])
                is_module = (package / part).is_dir() or (package / part).with_suffix(".py").is_file()
                yield node.lineno, f"{module}.{alias.name}" if is_module and module.startswith("gossipreg") else module


def import_faults(name: str, tree: ast.AST, package: Path) -> Iterator[Fault]:
    """`name` is the file's dotted name: `gossipreg.wire.rpc`, `simulations.world`; `package` the folder gossipreg."""
    part = _part(name.removeprefix("gossipreg."))
    for line, imported in imports(tree, package):
        if imported.startswith("."):
            yield line, f"relative import {imported}: write the full name, so that the direction can be read"
        if fault := _outside_fault(name, imported):
            yield line, f"imports {imported}: {fault}"
        if imported == "gossipreg" or not imported.startswith("gossipreg."):
            continue
        inner = imported.removeprefix("gossipreg.")
        if not _may_import(part, inner):
            yield line, f"{name} imports {imported}: {_direction(part)}"


def xds_import_faults(name: str, tree: ast.AST, package: Path) -> Iterator[Fault]:
    """`name` is the dotted name of a file in a room of the xDS gateway."""
    home = "gossipreg.gateway.xds."
    room = name.removeprefix(home).partition(".")[0]
    for line, imported in imports(tree, package):
        known = imported.removeprefix(home).partition(".")[0]
        if imported.startswith(home) and known not in ("model", room, *XDS_ROOMS[room]):
            yield line, f"imports {imported}: {room}/ may know model, {', '.join((room, *XDS_ROOMS[room]))}"


def _outside_fault(name: str, imported: str) -> str:
    """Why this file may not import that, where that is outside the package; empty where it may."""
    if name.startswith("scripts.tools."):
        return "the tools stand below all that use them" if _outside(imported, "scripts.tools") else ""
    if name.startswith("scripts."):
        fine = not _outside(imported, "scripts") or imported.startswith(SCRIPTS_MAY_IMPORT)
        return "" if fine else "what tests and scripts share stands in scripts/tools/"
    return "what ships needs no test" if _outside(imported, name.split(".")[0]) else ""


def _outside(imported: str, home: str) -> bool:
    return imported.split(".")[0] in OUTSIDE and not imported.startswith(home)


def _part(inner: str) -> str:
    """The part of the house: the first word, and in the core its room or its file."""
    return ".".join(inner.split(".")[: 2 if inner.startswith("core.") else 1])


def _may_import(part: str, inner: str) -> bool:
    target = _part(inner)
    if part == "scripts":
        return True
    if part == "client":
        return any(inner == allowed or inner.startswith(f"{allowed}.") for allowed in CLIENT_MAY_IMPORT)
    if part in ("gossipreg", "aio"):  # the package itself, and its half for loops, give out the client
        return target in ("client", "errors")
    if target == "client":
        return part in ("cli", "demo") or (part in MAY_PICK and inner.startswith(PICKING))
    if target == "net":
        return part in WITH_SOCKETS
    if part == "simulations":
        return _floor(target) <= _floor("core")
    if target == part or _floor(target) < _floor(part):
        return True
    return _floor(target) == _floor(part) and FLOORS[_floor(part)] in SHARED_FLOORS


def _floor(part: str) -> int:
    for number, parts in enumerate(FLOORS):
        if part in parts:
            return number
    raise AssertionError(f"gossipreg.{part} stands on no floor of the house: give it one in FLOORS")


def _direction(part: str) -> str:
    if part == "client":
        return f"the client knows {', '.join(CLIENT_MAY_IMPORT[:-1])} alone, so that programs load nothing else"
    if part == "simulations":
        return "simulations use the core and what is below it, so that they run without a network"
    order = " -> ".join(", ".join(parts) for parts in FLOORS)
    return f"imports run one way, {order}; move what both need to the lower one, or hand it in as an argument"


# -- what the pure part of the house must not use ----------------------------------------------------------------------

_EFFECT = "return an effect (core/effects.py): the daemon carries it out, and a simulation can"
_NOW = "take `now: float` as an argument: a seed can replay only what reads no clock"
_ENTROPY = "take `entropy: Callable[[int], bytes]` as an argument: a seed can replay only what draws from it"
_RNG = "take an `rng: random.Random` as an argument: the module's own generator is shared and not seeded"

BANNED_IMPORTS = {
    **dict.fromkeys(
        (
            "trio", "asyncio", "anyio", "socket", "_socket", "select", "selectors", "ssl", "subprocess", "threading",
            "multiprocessing", "concurrent", "signal", "sqlite3", "logging", "http", "urllib.request",
        ),
        _EFFECT,
    ),
    **dict.fromkeys(("time", "datetime", "sched", "calendar"), _NOW),
    **dict.fromkeys(("secrets", "uuid"), _ENTROPY),
}  # fmt: skip
BANNED_NAMES = {"os.urandom": _ENTROPY, "os.getrandom": _ENTROPY, "os.times": _NOW}
BANNED_CALLS = {
    "hash": "use hashlib with a fixed personalisation: hash() of text and bytes is salted per process",
    "open": _EFFECT,
    "input": _EFFECT,
}


def purity_faults(tree: ast.AST) -> Iterator[Fault]:
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                for alias in names:
                    yield from _banned_import(node.lineno, alias.name)
            case ast.ImportFrom(module=str(module), names=names, level=0):
                yield from _banned_import(node.lineno, module)
                for alias in names:
                    yield from _banned_name(node.lineno, f"{module}.{alias.name}")
            case ast.Attribute(value=ast.Name(id=module), attr=attr):
                yield from _banned_name(node.lineno, f"{module}.{attr}")
            case ast.Call(func=ast.Name(id=name)) if name in BANNED_CALLS:
                yield node.lineno, f"{name}() is banned here: {BANNED_CALLS[name]}"
            case ast.Call(func=ast.Name(id="Random") | ast.Attribute(attr="Random"), args=[], keywords=[]):
                yield node.lineno, f"Random() seeds itself: {_RNG}"


def _banned_import(line: int, module: str) -> Iterator[Fault]:
    for banned, instead in BANNED_IMPORTS.items():
        if module == banned or module.startswith(f"{banned}."):
            yield line, f"importing {module} is banned here: {instead}"


def _banned_name(line: int, name: str) -> Iterator[Fault]:
    if name in BANNED_NAMES:
        yield line, f"{name} is banned here: {BANNED_NAMES[name]}"
    elif name.startswith("random.") and name != "random.Random":
        yield line, f"{name} is banned here: {_RNG}"


# -- reasons of drops --------------------------------------------------------------------------------------------------


def drop_reasons(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """(line, reason) of each that is counted here; one that ends in something computed has a `*` there. What only hands
    on the reason of another place is left out."""
    for node in ast.walk(tree):
        match node:
            case (
                ast.Call(
                    func=ast.Name(id="BadDatagram" | "StreamFault" | "BadRequest" | "Http2Fault" | "OtherProtocol"),
                    args=[reason, *_],
                )
                | ast.Call(func=ast.Name(id="GrpcFault"), args=[_, _, reason, *_])
            ):
                yield from ((node.lineno, text) for text in _texts(reason))
            case (
                ast.Call(func=ast.Attribute(attr="count"), args=[reason])
                | ast.Call(func=ast.Attribute(attr="cut"), args=[_, reason])
                | ast.Tuple(elts=[_, ast.Constant(value=str()) as reason])
            ):
                for text in _texts(reason):
                    if text.startswith("drop.") and text != "drop.*":
                        yield node.lineno, text.removeprefix("drop.")
            case ast.Subscript(
                value=ast.Name(id="dropped" | "_dropped") | ast.Attribute(attr="dropped" | "_dropped"), slice=reason
            ):
                yield from ((node.lineno, text) for text in _texts(reason))


def _texts(node: ast.expr) -> list[str]:
    match node:
        case ast.Constant(value=str(text)):
            return [text]
        case ast.IfExp(body=body, orelse=orelse):
            return _texts(body) + _texts(orelse)
        case ast.JoinedStr(values=[ast.Constant(value=str(text)), *_]):
            return [f"{text}*"]
    return [ast.unparse(node)]

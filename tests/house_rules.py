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


# -- import direction --------------------------------------------------------------------------------------------------

WITH_SOCKETS = ("net", "daemon", "gateway", "cli")
FLOORS: tuple[tuple[str, ...], ...] = (
    ("errors", "model", "drops", "durations", "weights", "socket_path", "systemd_job", "callers", "rights"),
    ("config", "net"),
    ("wire",),
    ("core",),
    ("daemon", "gateway"),
    ("cli",),
    ("__main__",),
)
"""From the ground up: a module imports from its own part and from floors below."""

CLIENT_MAY_IMPORT = ("errors", "model", "socket_path", "wire.rpc", "wire.table", "client")


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
    part = name.removeprefix("gossipreg.").split(".")[0]
    for line, imported in imports(tree, package):
        if imported.startswith("."):
            yield line, f"relative import {imported}: write the full name, so that the direction can be read"
        if imported.split(".")[0] in ("tests", "simulations") and not name.startswith(imported.split(".")[0]):
            yield line, f"imports {imported}: what ships needs no test"
        if imported == "gossipreg" or not imported.startswith("gossipreg."):
            continue
        inner = imported.removeprefix("gossipreg.")
        if not _may_import(part, inner):
            yield line, f"{name} imports {imported}: {_direction(part)}"


def _may_import(part: str, inner: str) -> bool:
    target = inner.split(".")[0]
    if part == "client":
        return any(inner == allowed or inner.startswith(f"{allowed}.") for allowed in CLIENT_MAY_IMPORT)
    if part == "gossipreg":  # the package itself gives out the client and the exceptions
        return target in ("client", "errors")
    if target == "client":
        return part == "cli"
    if target == "net":
        return part in WITH_SOCKETS
    if part == "simulations":
        return _floor(target) <= _floor("core")
    return target == part or _floor(target) < _floor(part) or (_floor(target) == _floor(part) == 0)


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


# -- iterating over sets -----------------------------------------------------------------------------------------------

SET_TYPES = ("set", "frozenset", "Set", "AbstractSet", "MutableSet", "FrozenSet")
SET_METHODS = ("union", "intersection", "difference", "symmetric_difference", "copy")
IN_ORDER = ("list", "tuple", "iter", "enumerate", "map", "filter", "zip", "reversed", "next", "deque")
"""Called with a set, these give out its elements in its order."""
ORDERLESS = ("sorted", "set", "frozenset", "any", "all", "len")
"""A comprehension over a set is fine as the only argument of these."""
SET_RULE = "iterates over a set: its order differs between processes (text hashing is salted); use sorted(..) or a dict"


def set_attributes(trees: Iterable[ast.AST]) -> frozenset[str]:
    """Attributes that are annotated as, or assigned, a set anywhere in these files, less those that are something
    else elsewhere: who is who cannot be told from the name alone."""
    sets: set[str] = set()
    others: set[str] = set()
    for tree in trees:
        for node in ast.walk(tree):
            match node:
                case ast.AnnAssign(target=ast.Attribute(attr=attr), annotation=annotation):
                    (sets if _is_set_type(annotation) else others).add(attr)
                case ast.ClassDef(body=body):
                    for field in body:
                        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
                            (sets if _is_set_type(field.annotation) else others).add(field.target.id)
                case ast.Assign(targets=[ast.Attribute(attr=attr)], value=value):
                    if _SetScope({}, frozenset()).is_set(value):
                        sets.add(attr)
    return frozenset(sets - others)


def set_faults(tree: ast.AST, attributes: frozenset[str]) -> Iterator[Fault]:
    returning = {
        node.name: True
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and node.returns is not None and _is_set_type(node.returns)
    }
    yield from _scope_faults(tree, {}, attributes, returning)


def _scope_faults(
    scope: ast.AST, outer: dict[str, bool], attributes: frozenset[str], returning: dict[str, bool]
) -> Iterator[Fault]:
    names = dict(outer)
    own = list(_own_nodes(scope))
    known = _SetScope(names, attributes, returning)
    if isinstance(scope, ast.FunctionDef):
        for argument in (*scope.args.posonlyargs, *scope.args.args, *scope.args.kwonlyargs):
            names[argument.arg] = argument.annotation is not None and _is_set_type(argument.annotation)
    for node in own:
        match node:
            case ast.AnnAssign(target=ast.Name(id=name), annotation=annotation):
                names[name] = _is_set_type(annotation)
            case (
                ast.Assign(targets=[ast.Name(id=name)], value=value) | ast.NamedExpr(target=ast.Name(name), value=value)
            ):
                names[name] = known.is_set(value)
    fine = {id(inner) for node in own for inner in _orderless_arguments(node)}
    for node in own:
        if id(node) not in fine and any(known.is_set(iterated) for iterated in _iterated(node)):
            yield getattr(node, "lineno", 0), SET_RULE
        match node:
            case ast.Call(func=ast.Attribute(value=value, attr="pop"), args=[]) if known.is_set(value):
                yield node.lineno, f"takes an arbitrary element: {SET_RULE}"
    for node in own:
        if isinstance(node, ast.FunctionDef | ast.Lambda | ast.ClassDef):
            yield from _scope_faults(node, names, attributes, returning)


def _own_nodes(scope: ast.AST) -> Iterator[ast.AST]:
    """Nodes of this scope in the order of the text; inner functions and classes themselves, not what is in them."""
    for child in ast.iter_child_nodes(scope):
        yield child
        if not isinstance(child, ast.FunctionDef | ast.Lambda | ast.ClassDef):
            yield from _own_nodes(child)


def _orderless_arguments(node: ast.AST) -> Iterator[ast.AST]:
    match node:
        case ast.Call(func=ast.Name(id=name), args=[inner]) if name in ORDERLESS:
            yield inner
        case ast.SetComp():
            yield node


def _iterated(node: ast.AST) -> Iterator[ast.expr]:
    """What this node goes through in order."""
    match node:
        case ast.For(iter=iterated) | ast.YieldFrom(value=iterated) | ast.Starred(value=iterated):
            yield iterated
        case ast.ListComp() | ast.SetComp() | ast.DictComp() | ast.GeneratorExp():
            yield from (generator.iter for generator in node.generators)
        case ast.Assign(targets=[ast.Tuple() | ast.List()], value=value):
            yield value
        case ast.Call(func=ast.Name(id=name), args=args) if name in IN_ORDER:
            yield from args
        case ast.Call(func=ast.Name(id="min" | "max"), args=[value], keywords=keywords):
            if any(keyword.arg == "key" for keyword in keywords):  # ties are broken by the order
                yield value
        case ast.Call(func=ast.Attribute(attr="join" | "extend" | "fromkeys" | "from_iterable"), args=args):
            yield from args


class _SetScope:
    """What is known to be a set here: as far as a name, an annotation or an expression says so."""

    def __init__(
        self, names: dict[str, bool], attributes: frozenset[str], returning: dict[str, bool] | None = None
    ) -> None:
        self.names = names
        self.attributes = attributes
        self.returning = returning or {}

    def is_set(self, node: ast.expr) -> bool:
        match node:
            case ast.Set() | ast.SetComp():
                return True
            case ast.Name(id=name):
                return self.names.get(name, False)
            case ast.Attribute(attr=attr):
                return attr in self.attributes
            case ast.Call(func=ast.Name(id=name)):
                return name in ("set", "frozenset") or name in self.returning
            case ast.Call(func=ast.Attribute(value=value, attr=attr)):
                return attr in self.returning or (attr in SET_METHODS and self.is_set(value))
            case ast.BinOp(left=left, op=ast.BitOr() | ast.BitAnd() | ast.Sub() | ast.BitXor(), right=right):
                return any(self.is_set(side) or _is_keys(side) for side in (left, right))
            case ast.IfExp(body=body, orelse=orelse):
                return self.is_set(body) or self.is_set(orelse)
            case ast.BoolOp(values=values):
                return any(map(self.is_set, values))
            case ast.NamedExpr(value=value):
                return self.is_set(value)
        return False


def _is_keys(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in ("keys", "items")


def _is_set_type(annotation: ast.expr) -> bool:
    match annotation:
        case ast.Constant(value=str(text)):
            return text.split("[")[0].rpartition(".")[2] in SET_TYPES
        case ast.Subscript(value=value):
            return _is_set_type(value)
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name in SET_TYPES
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            return _is_set_type(left) or _is_set_type(right)
    return False


# -- reasons of drops --------------------------------------------------------------------------------------------------


def drop_reasons(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """(line, reason) of each that is counted here; one that ends in something computed has a `*` there. What only hands
    on the reason of another place is left out."""
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Name(id="BadDatagram"), args=[reason, *_]):
                yield from ((node.lineno, text) for text in _texts(reason))
            case ast.Call(func=ast.Attribute(attr="count"), args=[reason]):
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

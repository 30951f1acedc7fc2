"""The texts that an expression of the package can be, found in its syntax: for tests that compare them with the manual.

Owns how far an expression is followed: through names, parts of strings, tables, branches, what functions return, and
arguments that callers give. What cannot be followed is a HOLE in the text. Nothing of the package is run.
"""

import ast
from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import cached_property
from itertools import product
from pathlib import Path

HOLE = "\0"
DEPTH_MAX = 8
"""Names and calls that are followed one after the other; deeper expressions are a hole."""

Function = ast.FunctionDef | ast.AsyncFunctionDef
Texts = frozenset[str]
UNKNOWN: Texts = frozenset((HOLE,))


class Place:
    """A module, or a function in one: where names have their meaning."""

    def __init__(self, path: Path, module: ast.Module, function: Function | None = None) -> None:
        self.path = path
        self.module = module
        self.function = function


class Package:
    def __init__(self, root: Path, parts: Iterable[str] = ("",)) -> None:
        """Read these files of the package at `root`, and those below these folders."""
        self._paths = sorted(
            one for part in parts for one in ([root / part] if part.endswith(".py") else (root / part).rglob("*.py"))
        )

    def forget(self) -> None:
        """Drop what was read; the next question reads it again."""
        for name in ("places", "calls_by_name", "functions", "constants"):
            vars(self).pop(name, None)

    @cached_property
    def places(self) -> list[Place]:
        """Every module, and every function. They are read when a test first asks: every worker makes a Package."""
        found: list[Place] = []
        for path in self._paths:
            module = ast.parse(path.read_text())
            found.append(Place(path, module))
            found += [Place(path, module, node) for node in ast.walk(module) if isinstance(node, Function)]
        return found

    def calls(self) -> Iterator[tuple[ast.Call, Place]]:
        """All calls, each in its innermost function."""
        for place in self.places:
            for node in _own_nodes(place):
                if isinstance(node, ast.Call):
                    yield node, place

    @cached_property
    def calls_by_name(self) -> dict[str, list[tuple[ast.Call, Place]]]:
        """Calls by the last name of what is called, without the underscores of private attributes."""
        found: dict[str, list[tuple[ast.Call, Place]]] = defaultdict(list)
        for call, place in self.calls():
            found[last_name(call.func).lstrip("_")].append((call, place))
        return found

    @cached_property
    def functions(self) -> dict[str, list[Place]]:
        found: dict[str, list[Place]] = defaultdict(list)
        for place in self.places:
            if place.function is not None:
                found[place.function.name].append(place)
        return found

    @cached_property
    def constants(self) -> dict[str, list[tuple[ast.expr, Place]]]:
        """The expressions that names of modules are set to."""
        found: dict[str, list[tuple[ast.expr, Place]]] = defaultdict(list)
        for place in self.places:
            if place.function is None:
                for name, value in _assigned(place.module.body):
                    found[name].append((value, place))
        return found

    def texts(self, expression: ast.expr, place: Place, depth: int = 0) -> Texts:
        """All texts that the expression can be."""
        if depth > DEPTH_MAX:
            return UNKNOWN
        follow = depth + 1
        match expression:
            case ast.Constant(value=str(text)):
                return frozenset((text,))
            case ast.JoinedStr(values=values):
                return _joined(self.texts(value, place, follow) for value in values)
            case ast.FormattedValue(value=value, format_spec=None):
                return self.texts(value, place, follow)
            case ast.BinOp(left=left, op=ast.Add(), right=right):
                return _joined((self.texts(left, place, follow), self.texts(right, place, follow)))
            case ast.IfExp(body=body, orelse=other):
                return self.texts(body, place, follow) | self.texts(other, place, follow)
            case ast.Name(id=name):
                return self._of_name(name, place, follow)
            case ast.Subscript(value=ast.Name() | ast.Dict() as table):
                return self._of_table(table, place, follow)
            case ast.Call(func=ast.Name(id=name)) if name in self.functions:
                return self._returned(name, follow)
        return UNKNOWN

    def _of_name(self, name: str, place: Place, depth: int) -> Texts:
        if values := self._values(name, place):
            return _any(self.texts(value, at, depth) for value, at in values)
        if place.function is not None:
            arguments = place.function.args
            names = [one.arg for one in (*arguments.posonlyargs, *arguments.args)]
            if name in names:
                return self._given_by_callers(place.function, names, name, depth)
        return UNKNOWN

    def _values(self, name: str, place: Place) -> list[tuple[ast.expr, Place]]:
        """What the name is set to in the function, or else in a module."""
        if place.function is not None:
            local = [(value, place) for one, value in _assigned(ast.walk(place.function)) if one == name]
            given = [one.arg for one in ast.walk(place.function) if isinstance(one, ast.arg)]
            if local or name in given:
                return local
        return self.constants.get(name, [])

    def _given_by_callers(self, function: Function, names: list[str], name: str, depth: int) -> Texts:
        index = names.index(name) - (names[0] == "self")
        found: Texts = frozenset()
        for call, place in self.calls_by_name[function.name.lstrip("_")]:
            if len(call.args) > index:
                found |= self.texts(call.args[index], place, depth)
        return found or UNKNOWN

    def _of_table(self, table: ast.expr, place: Place, depth: int) -> Texts:
        """Any of the values of a table that is written out, here or as a constant of a module."""
        match table:
            case ast.Dict(values=values):
                return _any(self.texts(value, place, depth) for value in values)
            case ast.Name(id=name):
                return _any(self._of_table(value, at, depth + 1) for value, at in self._values(name, place)) or UNKNOWN
        return UNKNOWN

    def _returned(self, name: str, depth: int) -> Texts:
        return _any(
            self.texts(node.value, place, depth)
            for place in self.functions[name]
            for node in _own_nodes(place)
            if isinstance(node, ast.Return) and node.value is not None
        )


def last_name(expression: ast.expr) -> str:
    """`saw` of `self._troubles.saw`; empty if it has no name."""
    match expression:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
    return ""


def _any(all: Iterable[Texts]) -> Texts:
    return frozenset().union(*all)


def _joined(parts: Iterable[Texts]) -> Texts:
    return frozenset("".join(one) for one in product(*parts))


def _assigned(nodes: Iterable[ast.AST]) -> Iterator[tuple[str, ast.expr]]:
    """Each name that is set, and what it is set to; of several names set at once, each with its own."""
    for node in nodes:
        match node:
            case ast.Assign(targets=[ast.Tuple(elts=names)], value=ast.Tuple(elts=values)):
                yield from ((last_name(one), value) for one, value in zip(names, values, strict=True))
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                yield name, value
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                yield name, value
            case ast.NamedExpr(target=ast.Name(id=name), value=value):
                yield name, value


def _own_nodes(place: Place) -> Iterator[ast.AST]:
    """The nodes of a place that are in none of the functions within it."""
    waiting: list[ast.AST] = list(ast.iter_child_nodes(place.function or place.module))
    while waiting:
        node = waiting.pop()
        yield node
        if not isinstance(node, Function):
            waiting += ast.iter_child_nodes(node)

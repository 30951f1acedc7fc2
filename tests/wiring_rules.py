"""How the objects of the core may hold each other, as checkers of source text; `test_wiring.py` applies them.

A part is an object that acts: a class of the core that is neither a value (a frozen dataclass, a NamedTuple, an Enum),
nor a record (a mutable dataclass, or one of RECORDS), nor private to its file.
"""

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from tests.house_rules import Fault

RECORDS = ("Row", "Content", "OwnContent", "RowChange", "Peer")
"""Data that a node holds once for each member."""
EVERY_PART_HAS = ("Context", "Timers")
"""Not counted: settings, time, timers, counters."""
_VALUES = ("NamedTuple", "Enum", "IntEnum", "Exception")

Types = dict[str, list[str]]
"""For each attribute or variable, the names of the classes that it may be of."""


@dataclass(slots=True)
class Holder:
    bases: list[str]
    is_part: bool
    attributes: Types = field(default_factory=dict)


class Wiring:
    """The classes of these files, and what their attributes hold, as far as annotations and constructions say it."""

    def __init__(self, trees: Iterable[ast.AST]) -> None:
        classes = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
        self._holders = {node.name: _holder(node) for node in classes}

    def parts(self) -> list[str]:
        return [name for name in self._holders if self._is_part(name)]

    def held_by(self, name: str) -> set[str]:
        """The other parts that one object of this class holds, also in attributes of its base classes."""
        holder = self._holders.get(name)
        if holder is None:
            return set()
        held = {one for types in holder.attributes.values() for one in types if one != name and self._is_part(one)}
        return held.union(*map(self.held_by, holder.bases))

    def circles(self) -> list[list[str]]:
        """The parts that hold each other in a circle, each circle once: A holds B, B holds A."""
        found: dict[frozenset[str], list[str]] = {}
        done: set[str] = set()

        def visit(name: str, path: list[str]) -> None:
            if name in path:
                circle = path[path.index(name) :]
                found.setdefault(frozenset(circle), circle)
            elif name not in done:
                for other in sorted(self.held_by(name)):
                    visit(other, [*path, name])
                done.add(name)

        for name in self.parts():
            visit(name, [])
        return list(found.values())

    def patches(self, tree: ast.AST) -> Iterator[Fault]:
        """Assignments from outside: to any attribute of a part, and to an attribute that holds a part or a function."""
        for node in ast.walk(tree):
            if not isinstance(node, ast.ClassDef):
                continue
            for function in node.body:
                if isinstance(function, ast.FunctionDef):
                    for target in self._patched(node.name, function):
                        text = ast.unparse(target)
                        yield target.lineno, f"{text} is set from outside: hand it to the constructor, or return a fact"

    def _patched(self, inside: str, function: ast.FunctionDef) -> Iterator[ast.Attribute]:
        variables = self._variables(inside, function)
        for target in _targets(function):
            if isinstance(target, ast.Attribute) and not _is_self(target.value):
                owners = self._types(target.value, inside, variables)
                foreign = [owner for owner in owners if owner != inside]
                held = [one for owner in owners for one in self._attribute(owner, target.attr)]
                if not owners:
                    held = [one for holder in self._holders.values() for one in holder.attributes.get(target.attr, [])]
                if any(map(self._is_part, foreign)) or any(map(self._acts, held)):
                    yield target

    def _variables(self, inside: str, function: ast.FunctionDef) -> Types:
        """The types of the arguments, and of the variables that are other names for something."""
        variables = _arguments(function)
        for node in ast.walk(function):
            match node:
                case ast.Assign(targets=targets, value=value):
                    types = self._types(value, inside, variables)
                    variables |= {target.id: types for target in targets if isinstance(target, ast.Name) and types}
        return variables

    def _types(self, value: ast.expr, inside: str, variables: Types) -> list[str]:
        """The classes that `value` may be of; none if the text does not say it."""
        match value:
            case ast.Name(id="self"):
                return [inside]
            case ast.Name(id=name):
                return variables.get(name, [])
            case ast.Call(func=ast.Name(id=name)) if name in self._holders:
                return [name]
            case ast.Attribute(value=owner, attr=attr):
                return [one for type in self._types(owner, inside, variables) for one in self._attribute(type, attr)]
        return []

    def _attribute(self, name: str, attr: str) -> list[str]:
        holder = self._holders.get(name)
        if holder is None:
            return []
        return holder.attributes.get(attr) or [one for base in holder.bases for one in self._attribute(base, attr)]

    def _acts(self, name: str) -> bool:
        return name == "Callable" or self._is_part(name)

    def _is_part(self, name: str) -> bool:
        holder = self._holders.get(name)
        return holder is not None and holder.is_part and name not in EVERY_PART_HAS


# -- rows --------------------------------------------------------------------------------------------------------------

_CHANGES_CONTENT = ("apply", "put", "remove", "expire_tombstones")
_CHANGES_ROWS = ("pop", "clear", "update", "setdefault", "popitem")


def row_writes(tree: ast.AST) -> Iterator[Fault]:
    """Changes of a row, of its content, or of the rows of a table. A row is what is called `row` or `own`, what is
    annotated as Row, and what was taken out of `rows`."""
    names = {"row", "own", *_names_of_rows(tree)}
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Attribute(value=value, attr=method)):
                of_row = method in _CHANGES_CONTENT and _is_content(value, names)
                if of_row or (method in _CHANGES_ROWS and _is_rows(value)):
                    yield node.lineno, f"{ast.unparse(node.func)}() changes a row: {_BY_A_METHOD}"
            case ast.Delete(targets=targets):
                yield from (_row_write(target) for target in targets if _is_part_of_row(target, names))
            case ast.FunctionDef():
                yield from (_row_write(target) for target in _targets(node) if _is_part_of_row(target, names))


_BY_A_METHOD = "give the table a method for it (core/table/table.py), since only the table knows what follows"


def _row_write(target: ast.expr) -> Fault:
    return target.lineno, f"{ast.unparse(target)} is changed: {_BY_A_METHOD}"


def _is_part_of_row(target: ast.expr, names: set[str]) -> bool:
    match target:
        case ast.Attribute(value=value):
            return _is_row(value, names) or _is_content(value, names)
        case ast.Subscript(value=value):
            return _is_rows(value)
    return False


def _is_row(value: ast.expr, names: set[str]) -> bool:
    match value:
        case ast.Name(id=name):
            return name in names
        case ast.Attribute(attr=name):
            return name in ("row", "own")
    return _is_taken_out(value)


def _is_content(value: ast.expr, names: set[str]) -> bool:
    match value:
        case ast.Attribute(value=owner, attr="content" | "shadow"):
            return _is_row(owner, names)
        case ast.Name(id="content" | "shadow"):
            return True
    return False


def _is_rows(value: ast.expr) -> bool:
    """`table.rows` and `self._table.rows`, and not a local variable, which may be a dictionary of anything."""
    return isinstance(value, ast.Attribute) and value.attr == "rows"


def _is_taken_out(value: ast.expr) -> bool:
    """`rows[id]`, `rows.get(id)`, `node.row(id)`."""
    match value:
        case ast.Subscript(value=rows) | ast.Call(func=ast.Attribute(value=rows, attr="get")):
            return _is_rows(rows) or (isinstance(rows, ast.Name) and rows.id == "rows")
        case ast.Call(func=ast.Name(id="Row") | ast.Attribute(attr="row")):
            return True
    return False


def _names_of_rows(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        match node:
            case ast.arg(arg=name, annotation=ast.expr() as annotation) if "Row" in _names(annotation):
                yield name
            case ast.AnnAssign(target=ast.Name(id=name), annotation=annotation) if "Row" in _names(annotation):
                yield name
            case ast.Assign(targets=targets, value=value) if _is_taken_out(value):
                yield from (target.id for target in targets if isinstance(target, ast.Name))
            case ast.NamedExpr(target=ast.Name(id=name), value=value) if _is_taken_out(value):
                yield name
            case ast.For(target=target, iter=ast.Call(func=ast.Attribute(value=rows, attr="values" | "items"))):
                names = target.elts[-1:] if isinstance(target, ast.Tuple) else [target]
                if _is_rows(rows):
                    yield from (name.id for name in names if isinstance(name, ast.Name))


# -- what the text of a class says -------------------------------------------------------------------------------------


def _holder(node: ast.ClassDef) -> Holder:
    bases = [name for base in node.bases for name in _names(base)]
    dataclass_like = any("dataclass" in ast.unparse(one) for one in node.decorator_list)
    is_data = dataclass_like or node.name in RECORDS or node.name.startswith("_") or bool({*bases} & {*_VALUES})
    holder = Holder(bases, is_part=not is_data)
    for one in node.body:
        match one:
            case ast.AnnAssign(target=ast.Name(id=name), annotation=annotation):
                holder.attributes[name] = _names(annotation)
            case ast.FunctionDef():
                _note_attributes(holder.attributes, one)
    return holder


def _note_attributes(attributes: Types, function: ast.FunctionDef) -> None:
    """Note the attributes that this method sets on its own object: `self.x = argument`, `= Class(...)`, `: Class`."""
    arguments = _arguments(function)
    for node in ast.walk(function):
        match node:
            case ast.Assign(targets=targets, value=value):
                for target in targets:
                    if isinstance(target, ast.Attribute) and _is_self(target.value):
                        attributes.setdefault(target.attr, []).extend(_made_of(value, arguments))
            case ast.AnnAssign(target=ast.Attribute(value=owner, attr=attr), annotation=annotation) if _is_self(owner):
                attributes[attr] = _names(annotation)


def _made_of(value: ast.expr, arguments: Types) -> list[str]:
    match value:
        case ast.Name(id=name):
            return arguments.get(name, [])
        case ast.Call(func=ast.Name(id=name)):
            return [name]
        case ast.Lambda():
            return ["Callable"]
        case ast.IfExp(body=body, orelse=orelse):
            return _made_of(body, arguments) + _made_of(orelse, arguments)
        case ast.BoolOp(values=values):
            return [one for part in values for one in _made_of(part, arguments)]
    return []


def _arguments(function: ast.FunctionDef) -> Types:
    arguments = (*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs)
    return {one.arg: [] if one.annotation is None else _names(one.annotation) for one in arguments}


def _targets(function: ast.FunctionDef) -> Iterator[ast.expr]:
    for node in ast.walk(function):
        match node:
            case ast.Assign(targets=targets):
                for target in targets:
                    yield from target.elts if isinstance(target, ast.Tuple) else [target]
            case ast.AnnAssign(target=target) | ast.AugAssign(target=target):
                yield target


def _names(annotation: ast.expr) -> list[str]:
    """The classes that this annotation names itself; not those inside a container."""
    match annotation:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return [name]
        case ast.Constant(value=str(text)):
            return _names(ast.parse(text, mode="eval").body)
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            return _names(left) + _names(right)
        case ast.Subscript(value=value):
            return _names(value)
    return []


def _is_self(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id == "self"

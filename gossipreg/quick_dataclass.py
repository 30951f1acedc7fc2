"""`dataclass`, as the standard library has it, made in a fifth of the time.

A sidecar has some 150 dataclasses with slots. The standard library compiles six methods for each, which took a quarter
of the CPU time of a start. Here `__init__`, comparing and hashing are compiled at their first use, and all classes
share the other methods. A frozen value is also made faster, since each field is set by its own slot. A frozen class
without fields has one instance, which is compared and hashed as any object is, without a call of Python: the timers of
the core are names of that kind.

Owns the methods. The fields, the slots, `dataclasses.replace` and all else are the standard library's. What is not made
here (a class without slots, one that extends a dataclass, an order, `InitVar`) is made by the standard library alone.
"""

import dataclasses
import sys
from collections.abc import Callable
from dataclasses import MISSING, Field, FrozenInstanceError
from reprlib import recursive_repr
from typing import TYPE_CHECKING, Any

if sys.version_info >= (3, 14):
    from annotationlib import get_annotations
else:

    def get_annotations(cls: type) -> dict[str, Any]:
        """As of `inspect`, which takes half a MiB."""
        annotations: dict[str, Any] = vars(cls).get("__annotations__", {})
        return annotations


Fields = tuple[Field[Any], ...]
Method = Callable[..., Any]

if TYPE_CHECKING:
    from dataclasses import dataclass as dataclass
else:

    def dataclass(
        *, frozen: bool = False, slots: bool = False, eq: bool = True, kw_only: bool = False, **more: Any
    ) -> Callable[[type], type]:
        """See `dataclasses.dataclass`."""

        def make(cls: type) -> type:
            if slots and not more and not _is_special(cls):
                return _make(cls, frozen=frozen, eq=eq, kw_only=kw_only)
            return dataclasses.dataclass(frozen=frozen, slots=slots, eq=eq, kw_only=kw_only, **more)(cls)

        return make


_OF_AN_INSTANCE = ("__new__", "__init__", "__post_init__", "__eq__", "__hash__")
"""A class that has one of these itself is made as any other, also if it has no fields."""


def _is_special(cls: type) -> bool:
    """Whether it has an `InitVar`, or extends a dataclass."""
    extends = any(dataclasses.is_dataclass(one) for one in cls.__mro__[1:])
    return extends or any("InitVar" in str(one) for one in get_annotations(cls).values())


def _make(cls: type, *, frozen: bool, eq: bool, kw_only: bool) -> type:
    if cls.__doc__ is None:
        cls.__doc__ = cls.__name__  # else the standard library makes one of the signature, which takes long
    own = set(cls.__dict__)
    if "__eq__" in own and cls.__dict__["__hash__"] is None:
        own.discard("__hash__")  # Python put it there because of `__eq__`
    made: type = dataclasses.dataclass(init=False, repr=False, eq=False, slots=True, kw_only=kw_only)(cls)
    params = vars(made)["__dataclass_params__"]
    params.init = params.repr = True
    params.eq, params.frozen = eq, frozen  # whoever extends it has to be frozen too
    fields = dataclasses.fields(made)
    methods: dict[str, Any] = {"__init__": _LaterInit(made, fields, frozen), "__repr__": _repr}
    if frozen and eq and not fields and own.isdisjoint(_OF_AN_INSTANCE):
        del methods["__init__"]
        methods["__new__"] = _only(made)
        eq = False
    if frozen:
        methods |= {"__setattr__": _refuse_to_set, "__delattr__": _refuse_to_delete}
        methods |= {"__getstate__": _state, "__setstate__": _set_state}
    if eq:
        methods |= {"__eq__": _eq(made, fields), "__hash__": _hash(made, fields) if frozen else None}
    for name, method in methods.items():
        if name not in own:
            setattr(made, name, method)
    return made


# -- compiled ----------------------------------------------------------------------------------------------------------


class _LaterInit:
    """In the place of `__init__` until somebody asks for it: most classes have no instance in an idle sidecar."""

    __slots__ = ("_cls", "_fields", "_frozen")

    def __init__(self, cls: Any, fields: Fields, frozen: bool) -> None:
        self._cls, self._fields, self._frozen = cls, fields, frozen

    def __get__(self, instance: object, owner: type | None = None) -> Any:
        method: Any = _init(self._cls, self._fields, self._frozen)
        self._cls.__init__ = method
        return method.__get__(instance, owner)


def _init(cls: Any, fields: Fields, frozen: bool) -> Method:
    """A frozen class refuses to have an attribute set, so there each field is set by its slot."""
    given: dict[str, Any] = {"_factory": _FACTORY}
    first, by_name, lines = ["self"], list[str](), list[str]()
    for field in fields:
        name, value = field.name, field.name
        if field.default is not MISSING:
            given[f"_default_{name}"] = field.default
        if field.default_factory is not MISSING:
            given[f"_make_{name}"] = field.default_factory
        if field.init:
            default = f"=_default_{name}" if field.default is not MISSING else ""
            if field.default_factory is not MISSING:
                default, value = "=_factory", f"_make_{name}() if {name} is _factory else {name}"
            (by_name if field.kw_only else first).append(name + default)
        elif field.default_factory is not MISSING:
            value = f"_make_{name}()"
        elif field.default is not MISSING:
            value = f"_default_{name}"
        else:
            continue
        if frozen:
            given[f"_set_{name}"] = getattr(cls, name).__set__
            lines.append(f"_set_{name}(self, {value})")
        else:
            lines.append(f"self.{name} = {value}")
    if hasattr(cls, "__post_init__"):
        lines.append("self.__post_init__()")
    parameters = ", ".join([*first, *(["*", *by_name] if by_name else [])])
    method = _compiled(cls, "__init__", parameters, lines or ["pass"], given)
    method.__annotations__ = {field.name: field.type for field in fields if field.init} | {"return": None}
    return method


def _only(cls: Any) -> Method:
    """`__new__` of a class of which one instance is enough."""
    only = object.__new__(cls)

    def new(asked_for: type, *given: object, **named: object) -> object:
        if asked_for is not cls:  # a class that extends it, and may have fields
            return object.__new__(asked_for)
        if given or named:
            raise TypeError(f"{cls.__name__}() takes no arguments")
        return only

    return new


def _eq(cls: Any, fields: Fields) -> Method:
    names = [field.name for field in fields if field.compare]

    def compare(self: object, other: object) -> Any:
        lines = [
            "if other.__class__ is not self.__class__: return NotImplemented",
            f"return {_tuple('self', names)} == {_tuple('other', names)}",
        ]
        cls.__eq__ = _compiled(cls, "__eq__", "self, other", lines, {})
        return cls.__eq__(self, other)

    return compare


def _hash(cls: Any, fields: Fields) -> Method:
    names = [field.name for field in fields if (field.compare if field.hash is None else field.hash)]

    def hashed(self: object) -> Any:
        cls.__hash__ = _compiled(cls, "__hash__", "self", [f"return hash({_tuple('self', names)})"], {})
        return cls.__hash__(self)

    return hashed


def _tuple(of: str, names: list[str]) -> str:
    return f"({''.join(f'{of}.{name}, ' for name in names)})"


def _compiled(cls: type, name: str, parameters: str, lines: list[str], given: dict[str, Any]) -> Method:
    """A method with these lines, in which the names in `given` stand for values."""
    body = "".join(f"\n  {line}" for line in lines)
    found: dict[str, Any] = {}
    exec(
        f"def create({', '.join(given)}):\n def {name}({parameters}):{body}\n return {name}",
        sys.modules[cls.__module__].__dict__,
        found,
    )
    method: Method = found["create"](**given)
    method.__qualname__ = f"{cls.__qualname__}.{name}"
    return method


class _Factory:
    def __repr__(self) -> str:
        return "<factory>"


_FACTORY = _Factory()
"""Stands for a parameter that is not given and has a default factory."""


# -- shared ------------------------------------------------------------------------------------------------------------


@recursive_repr()
def _repr(self: Any) -> str:
    shown = (f"{one.name}={getattr(self, one.name)!r}" for one in dataclasses.fields(self) if one.repr)
    return f"{type(self).__qualname__}({', '.join(shown)})"


def _refuse_to_set(self: object, name: str, value: object) -> None:  # noqa: ARG001
    raise FrozenInstanceError(f"cannot assign to field {name!r}")


def _refuse_to_delete(self: object, name: str) -> None:  # noqa: ARG001
    raise FrozenInstanceError(f"cannot delete field {name!r}")


def _state(self: Any) -> list[Any]:
    return [getattr(self, one.name) for one in dataclasses.fields(self)]


def _set_state(self: Any, state: list[Any]) -> None:
    for one, value in zip(dataclasses.fields(self), state, strict=True):
        object.__setattr__(self, one.name, value)

"""`import trio` without what a plain sidecar never uses: TLS, DTLS, processes, paths, and the modules of the standard
library behind them. It is for the command `join` alone.

A module of `LATER` is found as ever, and is run when somebody asks for a name in it. The `LazyLoader` of the standard
library runs a module at its second `import` already, which looks at `__spec__`. trio's package takes names out of its
modules at once (`from ._ssl import SSLStream`): until it is loaded it gets placeholders, which are removed then, and it
finds the real ones by `__getattr__`.

A module that a release of trio does not have, or does not import, changes nothing. If a release can do nothing with
placeholders, it is loaded in the usual way.
"""

import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.machinery import ModuleSpec, PathFinder
from threading import RLock
from types import ModuleType
from typing import Any

OF_TRIO = {f"trio.{name}" for name in ("_dtls", "_highlevel_ssl_helpers", "_path", "_ssl", "_subprocess")}
LATER = OF_TRIO | {"ctypes.util", "idna", "inspect", "logging", "platform", "traceback"}
_TAKERS = ("trio", "trio.lowlevel")
"""Modules that take names out of those `OF_TRIO` and have no code that uses them."""


def _signature(called: object) -> object:
    """In place of `inspect.signature`: attrs asks for the annotations of a converter, and can do without."""
    raise ValueError(f"no signature of {called!r} while trio is loaded")


def _find_library(name: str) -> str:
    """In place of `ctypes.util.find_library`, which starts a process: trio wants to give names to threads."""
    return f"lib{name}.so.0"


def _python_implementation() -> str:
    """In place of `platform.python_implementation`, as far as libraries compare it."""
    return {"cpython": "CPython", "pypy": "PyPy"}.get(sys.implementation.name, sys.implementation.name)


class _LaterLogger:
    """In place of a logger of trio, which writes to it only after a fault in a program."""

    def __init__(self, name: str | None = None) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        import logging

        return getattr(logging.getLogger(self._name), attribute)


_MEANWHILE: dict[str, dict[str, Any]] = {
    "inspect": {"signature": _signature},
    "ctypes.util": {"find_library": _find_library},
    "platform": {"python_implementation": _python_implementation},
    "logging": {"getLogger": _LaterLogger},
}
"""What these modules have while trio is loaded, so that they need not be run."""


def load_trio() -> None:
    """Load trio, unless it is loaded already."""
    if "trio" in sys.modules:
        return
    finder: Any = _LaterFinder()  # as the import system takes it: a class of typeshed would load importlib.abc
    sys.meta_path.insert(0, finder)
    try:
        import_module("trio")
        _take_out()
        _replace_placeholders()
    except Exception:  # a release of trio that does more with these names than to pass them on
        for name in [name for name in sys.modules if name.partition(".")[0] == "trio" or name in LATER]:
            del sys.modules[name]
        finder.later = frozenset()
        import_module("trio")
    finally:
        sys.meta_path.remove(finder)
        _LaterModule.placing = False


class _Placeholder:
    def __init__(self, module: ModuleType, name: str) -> None:
        self.module, self.name = module, name


class _LaterModule(ModuleType):
    placing = True
    """Whether trio is being loaded."""

    def __getattr__(self, name: str) -> Any:
        if name == "__path__":  # `import` asks every module whether it is a package
            raise AttributeError(name)
        if _LaterModule.placing and self.__name__ in OF_TRIO:
            return _Placeholder(self, name)
        vars(self)["__spec__"].loader.run(self)
        return ModuleType.__getattribute__(self, name)


class _LaterLoader:
    def __init__(self, real: Any) -> None:
        self._real, self._lock, self._running = real, RLock(), False

    def create_module(self, spec: ModuleSpec) -> None:
        """A plain module."""

    def exec_module(self, module: ModuleType) -> None:
        """Not yet."""
        module.__class__ = _LaterModule
        vars(module).update(_MEANWHILE.get(module.__name__, {}))

    def run(self, module: ModuleType) -> None:
        """Run the module. Another thread waits for it; this one, in a circle of imports, gets what there is so far."""
        with self._lock:
            if self._running or type(module) is ModuleType:
                return
            self._running = True
            try:
                self._real.exec_module(module)
            finally:
                self._running = False
            module.__class__ = ModuleType
            vars(module)["__spec__"].loader = module.__loader__ = self._real


class _LaterFinder:
    def __init__(self) -> None:
        self.later = frozenset(LATER)

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        spec = PathFinder.find_spec(name, path, target) if name in self.later else None
        if spec is not None and spec.loader is not None:
            loader: Any = _LaterLoader(spec.loader)
            spec.loader = loader
        return spec


def _take_out() -> None:
    """Remove what was there meanwhile: the real one is found from now on."""
    for module, names in _MEANWHILE.items():
        there = vars(sys.modules[module]) if module in sys.modules else {}
        for name in [name for name, value in names.items() if there.get(name) is value]:
            del there[name]


def _replace_placeholders() -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "trio"]:
        names = vars(sys.modules[name])
        held = {key: value for key, value in names.items() if isinstance(value, _Placeholder)}
        if held and name not in _TAKERS:
            raise ImportError(f"{name} needs {', '.join(held)}")
        if held:
            _find_later(name, names, held)


def _find_later(module: str, names: dict[str, Any], held: dict[str, _Placeholder]) -> None:
    """Take out these names of the module, and find each when it is asked for."""
    otherwise = names.get("__getattr__")

    def find(name: str) -> Any:
        if name in held:
            names[name] = getattr(held[name].module, held[name].name)
            return names[name]
        if otherwise is not None:
            return otherwise(name)
        raise AttributeError(f"module {module!r} has no attribute {name!r}")

    for name in held:
        del names[name]
    names["__getattr__"] = find

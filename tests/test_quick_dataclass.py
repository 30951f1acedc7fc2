"""A quick dataclass is what the standard library makes of the same class."""

import copy
import dataclasses
import inspect
import pickle
import typing
from collections.abc import Callable
from dataclasses import FrozenInstanceError, field
from operator import eq, lt
from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossipreg import quick_dataclass

Made = Callable[..., Any]
quick: Made = quick_dataclass.dataclass
"""As one of any options: the types know the standard library's only."""


def both(options: dict[str, Any], define: Callable[[Made], type]) -> tuple[Any, Any]:
    """The class, made by us and by the standard library."""
    return define(quick(**options)), define(dataclasses.dataclass(**options))


def point(make: Made) -> type:
    @make
    class Point:
        """Two fields, and all that a field may have."""

        x: int
        y: "str" = "why"
        hidden: list[int] = field(default_factory=list, repr=False)
        beside: int = field(default=7, compare=False)
        late: int = field(default=9, kw_only=True)
        fixed: int = field(default=3, init=False)
        made: dict[str, int] = field(default_factory=dict, init=False, hash=False)
        shared: ClassVar[int] = 5

    return Point


def told(call: Callable[..., Any], *args: Any, **options: Any) -> Any:
    """What a call gives, or the kind of its error."""
    try:
        return call(*args, **options)
    except Exception as error:
        return type(error)


OPTIONS = st.fixed_dictionaries(
    {"slots": st.just(True)}, optional=dict.fromkeys(("frozen", "eq", "kw_only"), st.booleans())
)
ARGUMENTS = st.tuples(
    st.lists(st.integers(0, 2), max_size=4),
    st.dictionaries(st.sampled_from(["x", "y", "hidden", "beside", "late", "fixed", "nothing"]), st.integers(0, 2)),
)


@given(options=OPTIONS, first=ARGUMENTS, second=ARGUMENTS)
def test_values_are_made_shown_and_compared_alike(options: dict[str, Any], first: Any, second: Any) -> None:
    ours, theirs = both(options, point)
    found = []
    for cls in (ours, theirs):
        one, two = (told(cls, *args, **named) for args, named in (first, second))
        names = ("x", "y", "hidden", "beside", "late", "fixed", "made")
        compared = [told(eq, one, two) for _ in range(2)] if options.get("eq", True) else [one is two]
        hashed = told(hash, one) if options.get("eq", True) else None
        state = [told(getattr, one, name) for name in names]
        shown = repr(one).partition(".<locals>.")[2]
        found.append((compared, hashed, state, shown, told(setattr, one, "x", 4), cls.__match_args__))
    assert found[0] == found[1]


@given(options=OPTIONS)
def test_signatures_fields_and_slots_are_those_of_the_standard_library(options: dict[str, Any]) -> None:
    ours, theirs = both(options, point)
    assert str(inspect.signature(ours)) == str(inspect.signature(theirs))
    assert typing.get_type_hints(ours.__init__) == typing.get_type_hints(theirs.__init__)
    assert [str(one) for one in dataclasses.fields(ours)] == [str(one) for one in dataclasses.fields(theirs)]
    assert ours.__slots__ == theirs.__slots__
    assert (ours.__hash__ is None) == (theirs.__hash__ is None)
    assert ours.__doc__ == theirs.__doc__
    assert repr(ours.__dataclass_params__) == repr(theirs.__dataclass_params__)


def test_a_frozen_class_is_extended_by_a_frozen_one_only() -> None:
    with pytest.raises(TypeError, match="cannot inherit non-frozen"):

        @quick(slots=True)
        class Loose(Kept):
            c: int


@quick_dataclass.dataclass(frozen=True, slots=True)
class Kept:
    a: int
    b: tuple[int, ...] = ()


@quick_dataclass.dataclass(frozen=True, slots=True)
class KeptBelow(Kept):
    c: int = 3

    def __post_init__(self) -> None:
        if self.c < 0:
            raise ValueError("negative")


def test_frozen_values_are_copied_pickled_and_replaced() -> None:
    for one in (Kept(1, (2,)), KeptBelow(1, (2,), 4)):
        assert copy.copy(one) == copy.deepcopy(one) == pickle.loads(pickle.dumps(one)) == one
        assert dataclasses.replace(one, a=5).a == 5
        with pytest.raises(FrozenInstanceError):
            one.a = 2  # type: ignore[misc]
        with pytest.raises(FrozenInstanceError):
            del one.a
    with pytest.raises(ValueError, match="negative"):
        KeptBelow(1, c=-1)
    assert Kept(1) != KeptBelow(1)
    assert Kept.__doc__ == "Kept"


@quick_dataclass.dataclass(frozen=True, slots=True)
class Nothing:
    """No fields."""


@quick_dataclass.dataclass(frozen=True, slots=True)
class NothingElse:
    """No fields either."""


@dataclasses.dataclass(frozen=True)
class MoreThanNothing(Nothing):
    a: int = 1


def test_a_frozen_class_without_fields_has_one_instance() -> None:
    one = Nothing()
    assert copy.copy(one) is copy.deepcopy(one) is pickle.loads(pickle.dumps(one)) is Nothing() is one
    assert dataclasses.replace(one) is one
    assert one != NothingElse()
    assert {one: 1, NothingElse(): 2} == {NothingElse(): 2, Nothing(): 1}
    assert repr(one) == "Nothing()"
    assert MoreThanNothing(2) != MoreThanNothing(3)
    assert Nothing.__eq__ is object.__eq__, "compared without a call of Python"
    assert Nothing.__hash__ is object.__hash__
    with pytest.raises(TypeError):
        Nothing(1)  # type: ignore[call-arg]
    with pytest.raises(FrozenInstanceError):
        one.a = 2


def test_an_equality_of_the_class_itself_needs_no_field() -> None:
    @quick_dataclass.dataclass(frozen=True, slots=True)
    class Alike:
        def __eq__(self, other: object) -> bool:
            return isinstance(other, int)

        __hash__ = None  # type: ignore[assignment]

    assert Alike() == 3
    assert Alike() is not Alike()


def test_methods_of_the_class_itself_stay() -> None:
    def define(make: Made) -> type:
        @make
        class Own:
            a: int

            def __repr__(self) -> str:
                return "own"

            def __eq__(self, other: object) -> bool:
                return True

        return Own

    for options in ({"slots": True, "frozen": True}, {"slots": True}):
        ours, theirs = both(options, define)
        assert repr(ours(1)) == repr(theirs(1)) == "own"
        assert ours(1) == ours(2)
        assert told(hash, ours(1)) == told(hash, theirs(1))

    def hashed(make: Made) -> type:
        @make
        class Hashed:
            a: int

            def __hash__(self) -> int:
                return 42

        return Hashed

    assert [hash(one(1)) for one in both({"slots": True, "frozen": True}, hashed)] == [42, 42]


def test_a_value_that_holds_itself_can_be_shown() -> None:
    @quick_dataclass.dataclass(slots=True)
    class Loop:
        inner: Any = None

    one = Loop()
    one.inner = one
    assert "..." in repr(one)


@pytest.mark.parametrize("options", [{}, {"slots": True, "order": True}, {"frozen": True}])
def test_what_is_not_made_here_is_made_by_the_standard_library(options: dict[str, Any]) -> None:
    def define(make: Made) -> type:
        @make
        class Other:
            a: int = 1

        return Other

    ours, theirs = both(options, define)
    assert repr(ours()).partition("<locals>")[2] == repr(theirs()).partition("<locals>")[2]
    assert told(lt, ours(1), ours(2)) == told(lt, theirs(1), theirs(2))


def test_a_field_that_only_the_init_takes_is_left_to_the_standard_library() -> None:
    @quick_dataclass.dataclass(slots=True)
    class Scaled:
        a: int
        scale: dataclasses.InitVar[int] = 2

        def __post_init__(self, scale: int) -> None:
            self.a *= scale

    assert (Scaled(3).a, Scaled(3, 5).a) == (6, 15)


def test_init_is_compiled_for_the_first_instance() -> None:
    @quick_dataclass.dataclass(frozen=True, slots=True)
    class Late:
        a: int

    class Below(Late):
        def __init__(self) -> None:
            super().__init__(7)

    assert not inspect.isfunction(vars(Late)["__init__"])
    assert Below().a == 7
    assert inspect.isfunction(vars(Late)["__init__"])
    assert Late(1) == Late(a=1)
    with pytest.raises(TypeError, match=r"Late.__init__\(\) missing 1 required positional argument: 'a'"):
        Late()  # type: ignore[call-arg]

"""Which events a pattern means, one by one and by the index of many."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule

from gossipreg.errors import BadParams
from gossipreg.events.patterns import PatternIndex, check_group, check_pattern, check_type, matches

TOKENS = st.sampled_from(["a", "b", "c"])
TYPES = st.lists(TOKENS, min_size=1, max_size=4).map(tuple)
PATTERNS = st.builds(
    lambda tokens, rest: (*tokens, ">") if rest or not tokens else tuple(tokens),
    st.lists(st.sampled_from(["a", "b", "*"]), max_size=4),
    st.booleans(),
)


@pytest.mark.parametrize(
    ("pattern", "type", "result"),
    [
        ("order.created", "order.created", True),
        ("order.created", "order.Created", False),
        ("order.*", "order.paid", True),
        ("order.*", "order", False),
        ("order.*", "order.item.added", False),
        ("*.created", "order.created", True),
        ("order.>", "order.item.added", True),
        ("order.>", "order", False),
        (">", "order", True),
        ("*.>", "order", False),
        ("*.*.>", "a.b.c.d", True),
    ],
)
def test_a_pattern_means_these_types(pattern: str, type: str, result: bool) -> None:
    assert matches(check_pattern(pattern), check_type(type)) is result
    index: PatternIndex[str] = PatternIndex()
    index.add(check_pattern(pattern), "it")
    assert index.find(check_type(type)) == (["it"] if result else [])


@pytest.mark.parametrize("text", ["", ".", "a.", ".a", "a..b", "a b", "a\n", "x" * 256, "\ud800" * 90])
def test_what_is_no_type_is_no_pattern_either(text: str) -> None:
    with pytest.raises(BadParams):
        check_type(text)
    with pytest.raises(BadParams):
        check_pattern(text)


@pytest.mark.parametrize("text", ["order.*", "order.>", "*", ">"])
def test_an_event_has_a_whole_type(text: str) -> None:
    check_pattern(text)
    with pytest.raises(BadParams, match="whole type"):
        check_type(text)


@pytest.mark.parametrize("text", ["order*", "*order", "a.b>", ">a", "or*er.x", "**", ">>"])
def test_mark_within_a_token_is_no_silent_literal(text: str) -> None:
    for check in (check_pattern, check_type):
        with pytest.raises(BadParams, match="within a token"):
            check(text)


@pytest.mark.parametrize("name", ["order.*", ">", "a*b"])
def test_group_that_looks_like_a_pattern_is_refused(name: str) -> None:
    with pytest.raises(BadParams, match="as patterns have"):
        check_group(name)


def test_the_rest_stands_at_the_end() -> None:
    with pytest.raises(BadParams, match="write it last"):
        check_pattern("order.>.paid")


@given(st.text(max_size=40))
def test_any_text_is_a_type_or_refused_in_one_line(text: str) -> None:
    try:
        tokens = check_type(text)
    except BadParams as error:
        line = str(error)
    else:
        line = ".".join(tokens)
        assert line == text
    assert "\n" not in line


class Index(RuleBasedStateMachine):
    """The index finds what a look at every pattern finds."""

    patterns = Bundle("patterns")

    def __init__(self) -> None:
        super().__init__()
        self.index: PatternIndex[int] = PatternIndex()
        self.model: set[tuple[tuple[str, ...], int]] = set()

    @rule(target=patterns, pattern=PATTERNS, value=st.integers(0, 3))
    def add(self, pattern: tuple[str, ...], value: int) -> tuple[tuple[str, ...], int]:
        self.index.add(pattern, value)
        self.model.add((pattern, value))
        return pattern, value

    @rule(entry=patterns)
    def remove(self, entry: tuple[tuple[str, ...], int]) -> None:
        self.index.remove(*entry)
        self.model.discard(entry)

    @rule(pattern=PATTERNS, value=st.integers(0, 3))
    def remove_another(self, pattern: tuple[str, ...], value: int) -> None:
        self.index.remove(pattern, value)
        self.model.discard((pattern, value))

    @rule(type=TYPES)
    def find(self, type: tuple[str, ...]) -> None:
        found = self.index.find(type)
        assert len(found) == len(set(found))
        assert set(found) == {value for pattern, value in self.model if matches(pattern, type)}

    @invariant()
    def nothing_is_left_of_what_was_removed(self) -> None:
        if not self.model:
            assert not self.index._root.branches


TestIndex = Index.TestCase

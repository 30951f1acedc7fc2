"""Regular expressions: as Python has them where both understand them, and never slow."""

import re
import time
import uuid
from itertools import pairwise

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from gossipreg.gateway.http.automaton import PATTERN_MAX, STEPS_MAX, BadPattern, Work
from gossipreg.gateway.http.pattern import KEPT_MAX, Pattern

ATOMS = st.sampled_from(["a", "b", ".", "[ab]", "[^a]", "[a-c]", r"\d", r"\w", r"\s", r"\D", r"\.", "c", "-"])
REPEATS = st.sampled_from(["", "*", "+", "?", "{2}", "{0}", "{1,2}", "{2,}", "{0,0}", "{0,1}", "*?", "+?"])
EXPRESSIONS = st.recursive(
    st.tuples(ATOMS, REPEATS).map("".join),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map("".join),
        st.tuples(inner, inner).map("|".join),
        st.tuples(inner, REPEATS).map(lambda both: f"({both[0]}){both[1]}"),
        inner.map(lambda one: f"(?:{one})"),
        inner.map(lambda one: f"^{one}"),
        inner.map(lambda one: f"{one}$"),
    ),
    max_leaves=6,
)


@given(EXPRESSIONS, st.text("abc-1 .\n", max_size=12))
def test_it_finds_what_python_finds(expression: str, text: str) -> None:
    assume(not (text.endswith("\n") and "$" in expression))  # Python's $ is before a last line end too, RE2's is not
    try:
        pattern = Pattern(expression)
    except BadPattern as error:
        assert "complicated" in str(error)  # noqa: PT017
        return
    assert pattern.found_in(text) is (re.search(expression, text, re.ASCII) is not None)


@given(st.text("ab()[]{}|*+?.^$\\-,019nd:", max_size=30) | st.text(max_size=30), st.text(max_size=10))
def test_any_text_is_an_expression_or_refused_with_a_reason(expression: str, text: str) -> None:
    try:
        pattern = Pattern(expression)
    except BadPattern as error:
        assert str(error)  # noqa: PT017
    else:
        assert pattern.found_in(text) in (True, False)


@pytest.mark.parametrize(
    "expression",
    ["(a", "a)", "[a", "[]", "*a", "a**", "a{2}{3}", "a{3,2}", "a{1001}", "a{", "a{x}", "\\", "\\b", "\\pL", "(?i)a",
     "(?P<n>a)", "[[:alpha:]]", "[b-a]", "(" * 40 + ")" * 40, "a" * (PATTERN_MAX + 1), "((a{1000}){1000})"],
)  # fmt: skip
def test_an_unknown_construct_is_refused_never_ignored(expression: str) -> None:
    with pytest.raises(BadPattern):
        Pattern(expression)


@pytest.mark.parametrize("expression", ["(a*)*b", "(a|a)*b", "(a|aa)+b", "a*a*a*a*a*a*b", "(.*)(.*)(.*)(.*)b"])
def test_expressions_that_hold_python_for_hours_take_no_time(expression: str) -> None:
    pattern = Pattern(expression)
    start = time.process_time()
    assert not pattern.found_in("a" * 4096)
    assert time.process_time() - start < 5


COSTLY = ["([ab]{20}){30}$", "(a*){100}(b*){100}(.*){50}x", "(.{0,30}b){20}c"]


@pytest.mark.parametrize("expression", COSTLY)
def test_an_expression_of_many_states_is_refused_at_once(expression: str) -> None:
    pattern = Pattern(expression)
    texts = (f"{number:b}".replace("0", "a").replace("1", "b") * 20 for number in range(1 << 20, (1 << 20) + 10_000))
    start = time.process_time()
    try:
        for text in texts:
            pattern.found_in(text)
    except BadPattern as error:
        assert "too long" in str(error)  # noqa: PT017
    assert time.process_time() - start < 5


def test_common_expressions_are_held_against_any_number_of_texts() -> None:
    work = Work()
    pattern = Pattern("^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$", work)
    assert all(pattern.found_in(str(uuid.UUID(int=number << 64 | number * 7919))) for number in range(20_000))
    assert not pattern.found_in("x" + str(uuid.UUID(int=1)))
    assert work.steps > STEPS_MAX * 0.9


def test_kept_sets_of_a_pattern_are_bounded_and_may_be_forgotten() -> None:
    work = Work()
    pattern = Pattern("[^x]{20}x", work)
    kept = [0]
    for number in range(0x4E00, 0x4E00 + KEPT_MAX // 4):  # each character is 20 more that lead on
        work.steps = STEPS_MAX
        assert pattern.found_in(chr(number) * 20 + "x")
        assert not pattern.found_in(chr(number) * 19 + "x")
        kept.append(pattern._kept)
    assert max(kept) <= KEPT_MAX
    assert sum(after < before for before, after in pairwise(kept)) > 3, "forgotten several times"

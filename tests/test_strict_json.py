"""JSON that goes on as it was given, and what only Python takes for JSON."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossipreg.strict_json import RepeatedName, json_text, loads_strict

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda some: st.lists(some) | st.dictionaries(st.text(), some),
    max_leaves=10,
)


@given(JSON, st.booleans(), st.sampled_from([None, 1, "\t"]))
def test_text_in_one_line_means_the_same(value: object, ascii: bool, indent: int | str | None) -> None:
    data = json.dumps(value, ensure_ascii=ascii, indent=indent).encode(errors="surrogatepass")
    try:
        data.decode()
    except UnicodeDecodeError:  # half of a surrogate pair
        return
    text = json_text(data)
    assert "\n" not in text
    assert text.isascii()
    assert text.isprintable()
    assert json.loads(text) == value == loads_strict(text)


@pytest.mark.parametrize("text", ["[" + "9" * 5000 + "]", "1e999", "0.10000000000000000555", '{"a": 1, "a": 2}'])
def test_numbers_and_names_stay_as_they_were_written(text: str) -> None:
    assert json_text(text.encode()) == text


@pytest.mark.parametrize("data", [b"NaN", b"[Infinity]", b"-Infinity", b"{bad", b"", b'"\xff"'])
def test_what_is_no_json_is_refused(data: bytes) -> None:
    for read in (loads_strict, json_text):
        with pytest.raises(ValueError):  # noqa: PT011  # of two kinds, with the texts of the parser
            read(data)


def test_infinity_written_as_a_number_is_no_value() -> None:
    with pytest.raises(ValueError, match="too large"):
        loads_strict(b'{"n": 1e999}')


@pytest.mark.parametrize("text", ['{"a": 1, "a": 2}', '[{"b": {"c": 0, "a": 1, "a": 1}}]', '{"a": 1, "\\u0061": 1}'])
def test_a_name_that_stands_twice_is_refused_where_people_write(text: str) -> None:
    assert loads_strict(text) is not None
    with pytest.raises(RepeatedName, match=r"^the name 'a' twice in one object: leave one of them out$"):
        loads_strict(text, unique=True)


@given(JSON)
def test_names_that_stand_once_are_taken(value: object) -> None:
    assert loads_strict(json.dumps(value), unique=True) == value


def test_many_names_and_one_twice_are_refused_at_once() -> None:
    """The search must not compare each name with all others: that would be minutes here."""
    text = "{" + "".join(f'"n{number}": 0, ' for number in range(200_000)) + f'"{"x" * 100}": 1, "{"x" * 100}": 2}}'
    with pytest.raises(RepeatedName, match=r"'x{59}\.\.\. twice"):
        loads_strict(text, unique=True)

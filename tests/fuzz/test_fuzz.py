"""The fuzz targets on their corpus, on what is near it, and on anything; for longer: `scripts/check --fuzz`."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.examples import examples
from tests.fuzz.targets import TARGETS, corpus


@pytest.mark.parametrize("target", TARGETS)
def test_the_corpus_and_what_is_near_it_fail_nowhere(target: str) -> None:
    inputs = corpus(target)
    assert inputs
    for data in inputs:
        TARGETS[target](data)

    @settings(max_examples=examples(300))
    @given(st.sampled_from(inputs), st.integers(0, 4096), st.integers(0, 20), st.binary(max_size=20))
    def near(data: bytes, at: int, gone: int, put: bytes) -> None:
        at %= len(data) + 1
        TARGETS[target](data[:at] + put + data[at + gone :])

    @settings(max_examples=examples(200))
    @given(st.binary(max_size=2000))
    def anything(data: bytes) -> None:
        TARGETS[target](data)

    near()
    anything()


def test_a_target_can_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    """A parser that lets another exception out is seen."""

    def broken(*_: object, **__: object) -> None:
        raise KeyError("oh")

    monkeypatch.setattr("tests.fuzz.targets.parse_check_untrusted", broken)
    with pytest.raises(KeyError):
        TARGETS["check"](b"tcp://h:1")

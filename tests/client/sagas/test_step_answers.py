"""What a program gets of a step's answer."""

import pytest

from gossipreg.client.sagas.saga_answers import StepAnswer
from tests.client.sagas.saga_sidecar import step_answer


def test_json_of_an_answer_that_is_cut_says_so() -> None:
    answer = StepAnswer.read_untrusted("pay", step_answer(body=b'{"id": 1, "pad": "xx', cut=True))
    assert (answer.ok, answer.body[:9]) == (True, b'{"id": 1,'), "the step is done all the same"
    with pytest.raises(
        ValueError, match="the answer of step pay is no JSON: it was longer than 20 bytes and is kept cut"
    ):
        answer.json()

"""The page on declared sagas says what the code does: its example, its fields, its table of answers."""

import re
from pathlib import Path

import pytest

from gossipreg import model
from gossipreg.sagas.saga_definition import DEFINITION_FIELDS, SagaDefinition, check_input, read_definition
from gossipreg.sagas.step_outcome import StepOutcome, after_outcome, step_outcome, undo_outcome
from gossipreg.sagas.step_template import STEP_FIELDS

PAGE = (Path(model.__file__).parent / "docs" / "saga-definitions.md").read_text()
WORDS = {StepOutcome.DONE: "done", StepOutcome.REFUSED: "refused", StepOutcome.AGAIN: "again"}


def example() -> SagaDefinition:
    lines = PAGE[PAGE.index("    # order.toml") :].partition("<!-- -->")[0].splitlines()
    return read_definition("\n".join(line[4:] for line in lines).encode(), toml=True)


def test_the_example_is_a_definition() -> None:
    assert [(step.name, step.needs) for step in example().steps] == [
        ("reserve", ()), ("pay", ("reserve",)), ("mail", None),
    ]  # fmt: skip
    check_input(example(), b'{"sku": "a", "count": 2, "cents": 450, "customer": 7}')


@pytest.mark.parametrize("field", sorted(STEP_FIELDS | DEFINITION_FIELDS))
def test_every_field_stands_on_the_page(field: str) -> None:
    assert f"`{field}`" in PAGE or f"`[[{field}]]`" in PAGE


def rows() -> dict[str, list[str]]:
    table = PAGE[PAGE.index("| answer |") :].partition("\n\n")[0].splitlines()[2:]
    return {cells[0]: cells[1:] for row in table if (cells := [cell.strip() for cell in row.strip("|").split("|")])}


def test_the_table_of_answers_is_that_of_the_code() -> None:
    named = {int(status) for answer in rows() for status in re.findall(r"\b\d{3}\b", answer)}
    for answer, cells in rows().items():
        if answer.startswith("every other"):
            statuses = [*({*range(400, 500)} - named)]
        elif answer[1:3] == "xx":
            statuses = [*range(int(answer[0]) * 100, int(answer[0]) * 100 + 100)]
        else:
            statuses = [int(status) for status in re.findall(r"\b\d{3}\b", answer)]
        assert statuses
        for status in statuses:
            found = [
                WORDS[step_outcome(status, sent=True, first=True)], WORDS[step_outcome(status, sent=True, first=False)],
                WORDS[undo_outcome(status, sent=True)].replace("done", "undone"),
                WORDS[after_outcome(status, sent=True)],
            ]  # fmt: skip
            assert found == cells, status

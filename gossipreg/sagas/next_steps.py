"""Which steps of a declared saga are next.

Owns: the rule. Never knows: how a saga is kept: whoever leads it hands in what it knows of its steps.
"""

from collections.abc import Mapping
from typing import Protocol

from gossipreg.sagas.saga_definition import SagaDefinition
from gossipreg.sagas.saga_model import BegunSaga, SagaRef, StepIntent, StepResult, StepState
from gossipreg.sagas.saga_templates import TemplateValues
from gossipreg.sagas.step_intent import intent_of
from gossipreg.sagas.step_order import allows_commit, has_failed


class StepSeen(Protocol):
    """A step as whoever leads its saga knows it."""

    @property
    def intent(self) -> StepIntent: ...

    @property
    def state(self) -> StepState: ...

    @property
    def result(self) -> StepResult | None: ...


class SagaSeen(Protocol):
    @property
    def begun(self) -> BegunSaga: ...

    @property
    def steps(self) -> Mapping[str, StepSeen]: ...


def ready(definition: SagaDefinition, ref: SagaRef, saga: SagaSeen) -> list[StepIntent]:
    """The steps that are to be intended now: those whose needs allow a commit; and once all steps do, what comes after
    the commit, which is recorded before it. Nothing, once a step has failed.

    Raises CannotRender and TooLarge where a step cannot be written with the values that there are: the saga can only be
    aborted, with this text as the reason."""
    if any(has_failed(step.state, step.intent.options) for step in saga.steps.values()):
        return []
    allowed = {name for name, step in saga.steps.items() if allows_commit(step.state, step.intent.options)}
    all_allow = all(step.name in allowed for step in definition.steps if not step.options.after)
    results = {name: step.result for name, step in saga.steps.items() if step.result is not None}
    return [
        intent_of(step, TemplateValues(ref, step.name, saga.begun.input, results))
        for step in definition.steps
        if step.name not in saga.steps and (all_allow if step.options.after else allowed.issuperset(step.needs or ()))
    ]


def is_complete(definition: SagaDefinition, saga: SagaSeen) -> bool:
    """All its steps allow a commit, and what comes after the commit is intended: it may commit."""
    seen = {name: allows_commit(step.state, step.intent.options) for name, step in saga.steps.items()}
    return all(step.name in seen if step.options.after else seen.get(step.name, False) for step in definition.steps)

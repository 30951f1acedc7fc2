"""The mutations of sagas: see `mutations_table.py`, which has those of the core."""

from scripts.checks.mutation import Mutation

SAGA_MUTATIONS = [
    Mutation(
        "saga_is_committed_beside_an_open_step",
        "if decision is Decision.COMMIT and saga.not_done:",
        "if decision is Decision.COMMIT and not saga:",
        likely="machine",
    ),
    Mutation(
        "refused_step_that_is_not_optional_lets_commit",
        "return self.state is StepState.DONE or (self.state is StepState.REFUSED and self.intent.options.optional)",
        "return self.state is StepState.DONE or self.state is StepState.REFUSED",
        likely="machine",
    ),
    Mutation(
        "unknown_step_lets_commit_if_optional",
        "return self.state is StepState.DONE or (self.state is StepState.REFUSED and self.intent.options.optional)",
        "return self.state is StepState.DONE or (self.state > StepState.DONE and self.intent.options.optional)",
        likely="machine",
    ),
    Mutation(
        "decided_saga_takes_a_step",
        """
        if saga.state is not SagaState.RUNNING:
            raise _NoSense(decided(saga))
        if intent.name in saga.steps:
        """,
        "if intent.name in saga.steps:",
        likely="machine",
    ),
    Mutation(
        "saga_is_decided_twice",
        """
        if saga.state is not SagaState.RUNNING:
            raise _NoSense(decided(saga))
        if decision is Decision.COMMIT and saga.not_done:
        """,
        "if decision is Decision.COMMIT and saga.not_done:",
        likely="machine",
    ),
    Mutation(
        "step_is_intended_anew_with_another_command",
        """
        if intent.name in saga.steps:
            raise _NoSense("the step is intended already")
        """,
        "",
        likely="machine",
    ),
    Mutation(
        "refused_step_is_undone",
        "_BECOME_UNDOING = (StepState.INTENDED, StepState.DONE, StepState.UNKNOWN)",
        "_BECOME_UNDOING = (StepState.INTENDED, StepState.DONE, StepState.UNKNOWN, StepState.REFUSED)",
        likely="machine",
    ),
    Mutation(
        "step_without_an_answer_is_not_undone",
        "_BECOME_UNDOING = (StepState.INTENDED, StepState.DONE, StepState.UNKNOWN)",
        "_BECOME_UNDOING = (StepState.DONE, StepState.UNKNOWN)",
        likely="machine",
    ),
    Mutation(
        "replica_that_starts_forgets_what_is_to_be_undone",
        """
        if saga.state is SagaState.ABORTED:
            saga.begin_undo()
        """,
        "pass",
        likely="histories",
    ),
    Mutation(
        "what_comes_after_the_commit_is_done_before",
        "(SagaState.COMMITTED, StepState.AFTER): frozenset({StepState.AFTER_DONE, StepState.SKIPPED}),",
        "(SagaState.RUNNING, StepState.AFTER): frozenset({StepState.AFTER_DONE, StepState.SKIPPED}),",
        likely="machine",
    ),
    Mutation(
        "late_answer_takes_the_place_of_the_first",
        "if known in (StepState.DONE, StepState.REFUSED) or known is result.state:",
        "if known is result.state:",
        likely="machine",
    ),
    Mutation(
        "steps_of_a_conflict_join_the_other_saga",
        "at.not_begun.add(begun.id)",
        "pass",
        likely="machine",
    ),
    Mutation(
        "open_saga_of_another_input_is_the_same",
        "same = (open.begun.name, open.begun.input) == (begun.name, begun.input)",
        "same = open.begun.name == begun.name",
        likely="machine",
    ),
    Mutation(
        "ended_saga_of_another_input_is_the_same",
        "return (self.name, self.digest) == (begun.name, input_digest(begun.input))",
        "return self.name == begun.name",
        likely="machine",
    ),
    Mutation(
        "ended_sagas_expire_by_wall_time",
        "while self._order and led_ms - self._by_id[self._order[0]].led_ms > self._kept_ms:",
        "while self._order and led_ms - self._by_id[self._order[0]].ended_wall_ms > self._kept_ms:",
        likely="ended",
    ),
    Mutation(
        "order_of_ended_sagas_is_lost_at_a_start",
        "sagas = sorted((_decode(key[1:].decode(), value) for key, value in found), key=lambda saga: saga.number)",
        "sagas = [_decode(key[1:].decode(), value) for key, value in found]",
        likely="histories",
    ),
    Mutation(
        "story_of_a_forgotten_saga_stays_on_the_disk",
        """
        self.stories_bytes -= self._by_id[self._stories.popleft()].story_bytes
        records.remove(story_key(id))
        """,
        "self.stories_bytes -= self._by_id[self._stories.popleft()].story_bytes",
        likely="ended",
    ),
    Mutation(
        "bytes_of_ended_sagas_count_as_open",
        """
        self.size_bytes -= _size(key, records.get(key))
        records.remove(key)
        """,
        "records.remove(key)",
        likely="machine",
    ),
    Mutation(
        "any_number_of_sagas_is_open",
        "if step_bytes is None and len(self._open.by_id) >= saga_model.MAX_OPEN_SAGAS:",
        "if step_bytes is None and len(self._open.by_id) < 0:",
        likely="machine",
    ),
    Mutation(
        "person_gives_up_one_step_alone",
        "all_open = not name or note.decision is HandDecision.GIVE_UP",
        "all_open = not name",
        likely="ended",
    ),
    Mutation(
        "decision_rewrites_every_step",
        """
        if saga.open_steps:
            self._open.write_decision(saga, at.records)
        """,
        """
        if saga.open_steps:
            self._open.write_decision(saga, at.records)
            self._changed(saga, saga.open_steps, wall_ms, at)
        """,
        likely="machine",
    ),
    Mutation(
        "bad_change_spoils_its_entry",
        "return UnreadChange(saga, str(error))",
        "raise",
        likely="codec",
    ),
    Mutation(
        "commit_whose_call_was_abandoned_is_not_made",
        "if call is None or isinstance(call.asked, _DECIDES):",
        "if call is None:",
        likely="abandoned_calls",
    ),
    Mutation(
        "step_that_was_abandoned_is_not_missed",
        "if not call.joined:",
        "if call.joined:",
        likely="abandoned_calls",
    ),
    Mutation(
        "leader_waits_on_after_the_time_of_a_call",
        "return [] if call is None else [*_tell_leader(ticket, call), *self._give_up(ticket, call)]",
        "return [] if call is None else self._give_up(ticket, call)",
        likely="abandoned_calls",
    ),
]

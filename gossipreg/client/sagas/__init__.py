"""Sagas in a program: take their steps, and have what takes part in them done once. `docs/sagas-clients.md`.

    saga_step      SagaStep: a step as a program writes it, and its template
    saga_answers   StepAnswer, SagaStory: what the sidecar answers
    saga_call      one call about a saga: what each failed attempt says of its outcome. No I/O
    saga_lines     the connections of one saga
    saga_caller    makes calls, for threads
    keeper         the thread that looks after the connections of sagas whose program is busy
    program_saga   the rules of a saga by code, for threads and loops
    saga           Saga: the block of a program, for threads
    running        the call that begins a declared saga, and what its failure says
    saga_handle    SagaHandle: a saga that somebody has begun; wait, show
    of_registry    all of it for one registry
    aio_saga       AsyncSaga: the block of a program, for asyncio and trio
    aio_caller     makes calls, for asyncio and trio
    aio_together   several tasks that end together
    aio_of_registry  all of it for one registry, for asyncio and trio
    participant_answer  ParticipantAnswer: what a participant answers to a step or an undo
    participant_rules   its three rules, as statements on its table. No I/O
    participant    Participant, AsyncParticipant: the rules in the participant's own transaction

It is loaded when a program begins a saga, or takes part in one, for the first time.
"""

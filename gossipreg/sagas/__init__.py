"""Sagas: business transactions over several services that finish or are undone, whoever dies.

A saga is a record in the journal of the sidecar where it began. Pure: messages, answers, applied entries and the time
come in, effects go out.

    saga_model       what a saga and its steps are, and the bounds of each
    saga_entries     the entry of a journal that is about sagas: a list of changes
    saga_codec       that entry as bytes, and the arrays of the values in it
    saga_facts       what an applied entry has changed
    saga_effects     what the sagas of a sidecar ask of the world
    saga_messages    what sidecars say to each other about sagas
    saga_message_codec   those messages as bytes
    saga_tuning      the settings
    saga_templates   texts that are filled in from the input, and from the results of earlier steps
    saga_secrets     `secret:NAME` in the value of a header
    request_rules    what may stand in a command: service, method, path, headers
    command_template   a command as it is written, with templates: from a map, to a map
    command_rendering  a command with its values
    step_template    a step as it is written: from a map, to a map
    step_intent      a step with its values: what is recorded before its first attempt, and its undo
    step_order       which steps come before which
    step_outcome     what the answer to an attempt means: one table
    undo_order       what may be undone now
    definition_rules what the steps of a definition may say of each other
    saga_definition  a declared saga: TOML or JSON, value, bytes
    next_steps       which steps of a declared saga are next
    open_saga        a saga and its steps as the state machine shows them, and the records of those that are open
    open_sagas       the open sagas of a journal: memory and records in step
    ended_sagas      those that have ended and are remembered
    saga_story       the story of an ended one, for people and programs
    step_moves       how a step may move from one state to another, as a table
    machine          the state machine of one journal's sagas
    saga_reasons     what it says of a change that makes no sense
    final_step       the step that cannot be undone is the last that a program takes

At whoever leads a journal:

    journal_sagas    what follows from what, from `Established` until `Deposed`
    saga_context     what its parts share
    live_sagas       sagas that run, with what is on its way into the journal
    saga_room        how many sagas may be open, and of how many bytes
    step_checks      whether a saga may take a step of its program
    running_sagas    from the beginning to the decision
    declared_sagas   those that go on by themselves
    decided_sagas    undo, and what comes after a commit
    step_commands    the commands of steps as they are sent, and the result that is recorded of an answer
    step_trials      what is known of the attempts of a step that is not settled
    command_attempts   when each attempt is made, and which are under way
    change_batch     what is to be committed: entries of many changes
    saga_sizes       what a change takes in an entry
    committed_changes  what follows once it is committed
    program_leases   where the programs are
    early_words      where they are, as members say before the journal is led here
    saga_calls       what a program or a person asks: methods and parameters, checked
    waiting_calls    calls whose answer waits for something
    saga_replies     what a call begins, and when it is answered
    decided_replies  the answers about sagas that are decided
    held_answers     answers that wait for a proof of leadership
    saga_order       the orders of lists of sagas, and where their pages begin
    saga_questions   show and list
    saga_shapes      sagas as maps

At every sidecar:

    sagas            all sagas of a sidecar
    saga_membership  what it has to know of the cluster and of its journals
    saga_forwarding  calls on their way to whoever leads
    saga_survey      questions to all that lead a journal
    member_surveys   the answer of a member that leads some
    local_programs   the programs that are connected here
"""

"""Sagas: business transactions over several services that finish or are undone, whoever dies.

A saga is a record in the journal of the sidecar where it began. Pure: messages, answers, applied entries and the time
come in, effects go out.

    saga_model       what a saga and its steps are, and the bounds of each
    saga_entries     the entry of a journal that is about sagas: a list of changes
    saga_facts       what an applied entry has changed
    saga_effects     what the sagas of a sidecar ask of the world
    saga_messages    what sidecars say to each other about sagas
    saga_tuning      the settings
"""

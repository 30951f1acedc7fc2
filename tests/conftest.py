"""Hypothesis without a deadline: the machine may be busy, and durations are measured, not asserted."""

from hypothesis import settings

settings.register_profile("busy", deadline=None)
settings.load_profile("busy")

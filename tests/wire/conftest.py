"""Properties without a deadline: the machine may be busy, and what a codec takes is measured, not asserted."""

from hypothesis import settings

settings.register_profile("wire", deadline=None)
settings.load_profile("wire")

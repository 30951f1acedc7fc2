"""The sidecar, as the files of this gateway call it: see `sidecar_api.py`."""

from gossipreg.sidecar_api import Registrations
from gossipreg.sidecar_api import SidecarApi as Outside

__all__ = ["Outside", "Registrations"]

"""What was chosen for the journals of this sidecar."""

from dataclasses import dataclass
from pathlib import Path

from gossipreg.journal.tuning import JournalTuning


@dataclass(frozen=True, slots=True)
class JournalSetup:
    tuning: JournalTuning
    host: bytes
    """Which machine this is: see `AnnouncedHost`."""
    foreign_space_bytes: int
    """For copies of other members' journals; 0: it takes none."""
    folder: Path | None
    """The data directory; None: it keeps nothing, so it has no replicas."""

    @property
    def takes_copies(self) -> bool:
        """Whether others may ask for copies."""
        return self.folder is not None and self.foreign_space_bytes > 0

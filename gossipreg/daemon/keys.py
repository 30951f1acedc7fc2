"""The cluster's keys: where they come from, and what is wrong with them in one line that never shows a key."""

from pathlib import Path
from typing import TYPE_CHECKING

from gossipreg.daemon.settings import Settings
from gossipreg.errors import BadConfig, CannotStart

if TYPE_CHECKING:
    from gossipreg.wire.seal import Keyring

MAX_KEY_FILE_BYTES = 64 * 1024


def read_keyring(settings: Settings) -> "Keyring | None":
    """From the key file, else from the variable; None where neither is given. Raises CannotStart."""
    if settings.key_file is not None:
        source = f"key file {settings.key_file}"
        text = _read(settings.key_file)
    elif settings.key is not None:
        source, text = "GOSSIPREG_KEY", settings.key
    else:
        return None
    from gossipreg.wire.seal import Keyring  # a sidecar without a key seals nothing

    try:
        return Keyring.parse_untrusted(text)
    except BadConfig as error:
        raise CannotStart(f"{source}: {error}") from None


def _read(path: str) -> str:
    try:
        with Path(path).open("rb") as file:
            data = file.read(MAX_KEY_FILE_BYTES + 1)
        if len(data) > MAX_KEY_FILE_BYTES:
            raise CannotStart(f"key file {path}: over {MAX_KEY_FILE_BYTES} bytes, that is no key file")
        return data.decode("utf-8-sig")  # editors on Windows put a mark first
    except OSError as error:
        raise CannotStart(f"key file {path}: {error.strerror}; make one with `gossipreg keygen`") from None
    except ValueError:
        raise CannotStart(f"key file {path}: not base64; make one with `gossipreg keygen`") from None

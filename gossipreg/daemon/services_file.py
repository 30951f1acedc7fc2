"""The file of `join --services`: several services in TOML, each with the parameters of `register`.

    [[service]]
    name = "billing"
    port = 8080
    tags = ["v2"]
    meta = { path = "/api" }
    checks = ["http://127.0.0.1:8080/health,interval=5s,fails=3"]

Every fault is one CannotStart with the file, the service concerned and what to do; then nothing of the file is used.
"""

import os
import stat
from typing import Any

from gossipreg.daemon.params import registration_untrusted
from gossipreg.errors import BadParams, CannotStart, cannot_start
from gossipreg.model import MAX_ROW_BYTES, MAX_SERVICES_A_ROW

MAX_BYTES = 2 * MAX_ROW_BYTES
"""No row could hold more, however it is written."""


def read_services(path: str) -> tuple[dict[str, Any], ...]:
    """The parameters of each service in the file. Raises CannotStart."""
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise CannotStart(f"--services {path}: not a regular file")
        with open(path, "rb") as file:
            data = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        number, why = (error.errno, error.strerror) if isinstance(error, OSError) else (None, error)
        raise cannot_start(f"--services {path}: {why}", number) from None
    return parse_services_untrusted(data, f"--services {path}")


def parse_services_untrusted(data: bytes, where: str) -> tuple[dict[str, Any], ...]:
    """`where` begins each message. Raises CannotStart only."""
    import tomllib  # not for a sidecar without such a file

    if len(data) > MAX_BYTES:
        raise CannotStart(f"{where}: more than {MAX_BYTES} bytes")
    try:
        found = tomllib.loads(data.decode("utf-8-sig"))  # editors on Windows put a mark first
    except UnicodeDecodeError as error:
        raise CannotStart(f"{where}: not UTF-8 at byte {error.start}") from None
    except (tomllib.TOMLDecodeError, RecursionError, ValueError) as error:
        raise CannotStart(f"{where}: not TOML: {' '.join(str(error).split())[:200]}") from None
    services = found.pop("service", [])
    if found:
        raise CannotStart(f"{where}: {next(iter(found))[:80]!r} is unknown: write each service under [[service]]")
    if type(services) is not list or not all(type(one) is dict for one in services):
        raise CannotStart(f"{where}: 'service' is not a list of tables: write each under [[service]]")
    if len(services) > MAX_SERVICES_A_ROW:
        raise CannotStart(f"{where}: {len(services)} services: one sidecar takes at most {MAX_SERVICES_A_ROW}")
    _check(services, where)
    return tuple(services)


def _check(services: list[dict[str, Any]], where: str) -> None:
    ids: dict[str, int] = {}
    for number, params in enumerate(services, 1):
        named = f"{where}: service {number} ({params.get('name', 'without a name')!r:.60})"
        try:
            id = registration_untrusted("service", params, default_host="localhost").service.id
        except BadParams as error:
            raise CannotStart(f"{named}: {error}") from None
        if id in ids:
            raise CannotStart(f"{named}: service {ids[id]} has the id {id!r} too: give one of them an `id` of its own")
        ids[id] = number

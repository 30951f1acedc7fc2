"""A registration that lives as long as this process: for `register --attach` and `exec`.

The sidecar takes the service out when the connection ends, however this process ended. When the sidecar ends, this
process goes on and registers again with the next sidecar.
"""

import os
import select
from typing import TYPE_CHECKING, Any, Self

from gossipreg.cli.options import Chosen
from gossipreg.cli.output import printable, say
from gossipreg.errors import RequestError, Unreachable
from gossipreg.retry import Retry

if TYPE_CHECKING:
    from gossipreg.client import Attachment

RETRY = Retry(0.1, 5.0, growth=1.6)
"""The waits between attempts to reach a sidecar."""
TAKE_OUT_S = 0.2
"""The least time to wait until the service is out: a living sidecar needs less, even on a busy machine."""
TRY_S = 2.0
"""The longest try to register again: meanwhile signals and the end of the program go unnoticed."""


class Attached:
    def __init__(self, chosen: Chosen, params: dict[str, Any]) -> None:
        """`params`: those of the method `register` of the local socket."""
        self._chosen = chosen
        self._params = params
        self._attachment: Attachment | None = None

    def register(self, timeout_s: float = 10.0) -> dict[str, Any]:
        """Register; return the sidecar's answer. Raises Unreachable, or the error that the sidecar answered with."""
        self._attachment = self._chosen.client(timeout_s).attach(**self._params)
        return self._attachment.result

    def keep(self, *until: int) -> bool:
        """Stay registered until one of these descriptors is readable, or until an interrupt if there are none. Returns
        False if another client took the service out or registered it anew; stderr says so."""
        watched: list[Any] = list(until)
        while True:
            if self._attachment is None and not self._again(watched):
                return True
            assert self._attachment is not None
            try:
                if self._taken_out(self._attachment):
                    return False
                readable, _, _ = select.select([self._attachment, *watched], [], [])
                if readable != [self._attachment]:
                    return True
            except (Unreachable, RequestError):
                self.close()
                say("the sidecar ended; this service is registered again as soon as a sidecar answers")

    def _taken_out(self, attachment: "Attachment") -> bool:
        """Whether the sidecar has notified us that the registration ended. Raises the error that ends the
        connection."""
        while (told := attachment.notified()) is not None:
            method, params = told
            if method == "detached":
                id, why = printable(params.get("id")), printable(params.get("why"))
                say(f"{id} {why}: it no longer depends on this process")
                return True
        return False

    def _again(self, watched: list[Any]) -> bool:
        """Register with the next sidecar. Returns False if a descriptor became readable first."""
        wait_s, said = RETRY.first_s, ""
        while True:
            try:
                self.register(TRY_S)
            except (Unreachable, RequestError) as error:
                # A sidecar that is leaving refuses, and the next one may accept: so a refusal is tried again too.
                if isinstance(error, RequestError) and str(error) != said:
                    said = str(error)
                    say(f"not registered: {printable(said)}; trying again")
                if select.select(watched, [], [], wait_s)[0]:
                    return False
                wait_s = RETRY.after(wait_s)
            else:
                return True

    def take_out(self, bound_s: float) -> bool:
        """End the registration and wait, at most `bound_s`, until the sidecar has taken the service out. Its
        maintenance stays. Returns False if nothing was registered."""
        if self._attachment is None:
            return False
        self._attachment.take_out(max(bound_s, TAKE_OUT_S))
        self._attachment = None
        return True

    def environment(self) -> dict[str, str]:
        """The variables that tell the program of `exec` where the sidecar is."""
        try:
            return {"GOSSIPREG_SOCKET": os.path.abspath(self._chosen.client().path)}
        except (Unreachable, RequestError):
            return {}

    def close(self) -> None:
        if self._attachment is not None:
            self._attachment.close()
            self._attachment = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

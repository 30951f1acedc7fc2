"""Admission of registrations: read the parameters of `register`, and refuse what may not be registered here."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from gossipreg.daemon.aliases import refuse_circle
from gossipreg.daemon.checks.spec import CheckSpec
from gossipreg.daemon.params import Registration, registration_untrusted
from gossipreg.errors import Refused


class Admission:
    def __init__(
        self, host: Callable[[], str], checks_of: Callable[[str], Iterable[CheckSpec]], *, allow_cmd_checks: bool
    ) -> None:
        """`host()` is the default address of a service; `checks_of(id)` gives the checks of a service that is
        registered here."""
        self._host = host
        self._checks_of = checks_of
        self._allow_cmd_checks = allow_cmd_checks

    def read(self, params: Mapping[str, Any], *, trusted: bool, who: str = "this user") -> Registration:
        """Raises RequestError."""
        registration = registration_untrusted("register", dict(params), default_host=self._host())
        for check in registration.checks:
            self.check(check, trusted=trusted, who=who)
        refuse_circle(registration.service.id, registration.checks, self._checks_of)
        return registration

    def check(self, check: CheckSpec, *, trusted: bool, who: str = "this user") -> None:
        """Raise Refused for a check that this user may not set, or that this sidecar cannot run."""
        shown = f"the check {check.shown[:60]!r}"
        if check.kind == "cmd" and not (trusted or self._allow_cmd_checks):
            raise Refused(f"a command that {who} sets as a check needs --allow-cmd-checks, since the sidecar's user "
                          f"runs it; {shown} is refused")  # fmt: skip
        if check.kind not in ("grpc", "grpcs"):
            return
        from gossipreg.daemon.checks import grpc  # most sidecars have no such check

        if not grpc.available():
            from gossipreg.extras import install_command

            raise Refused(f"{shown} needs the library h2 beside the sidecar: {install_command('grpc')}")

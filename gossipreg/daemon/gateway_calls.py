"""The methods of the local socket for gateways: the same code, the same rights, the result as JSON has it.

A gateway's caller has no connection to the local socket, so a method that belongs to one (`watch`, `subscribe`, `ack`)
is unknown here, and `register` with `attach` is refused.
"""

from collections.abc import Callable
from inspect import isawaitable
from typing import Any

from gossipreg.callers import Caller
from gossipreg.daemon.json_form import json_value
from gossipreg.daemon.methods import Methods
from gossipreg.daemon.socket_client import Params, SocketClient
from gossipreg.errors import GossipregError, Refused, UnknownMethod


class GatewayCalls:
    def __init__(self, methods: Methods, bug: Callable[[str, Exception], None]) -> None:
        self._methods = methods
        self._bug = bug

    async def ask(self, method: str, params: Params, caller: Caller) -> Any:
        """The result, in values that JSON has. Raises GossipregError, as the method does."""
        handler, command = self._methods.handlers.get(method), self._methods.commands.get(method)
        if handler is None and command is None:
            raise UnknownMethod(f"no method {method[:80]!r} without a connection to the local socket")
        if params.get("attach"):
            raise Refused("attach needs a connection to the local socket: register without it")
        self._methods.rights.check(method, caller, params)
        try:
            if handler is not None:
                answer = handler(params)
            else:
                assert command is not None
                answer = command(params, SocketClient(caller))
            return json_value(await answer if isawaitable(answer) else answer)
        except GossipregError:
            raise
        except Exception as error:
            self._bug(f"method {method[:80]}", error)
            raise Refused("this failed inside the sidecar, and its log says how: please report it") from error

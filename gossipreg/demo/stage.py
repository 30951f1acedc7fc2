"""Which part carries out which command."""

import trio

from gossipreg.demo.cast import Cast
from gossipreg.demo.host_faults import HostFaults
from gossipreg.demo.hosts import DemoHost, language
from gossipreg.demo.layout import ProgramPlan
from gossipreg.demo.link_faults import LinkFaults
from gossipreg.demo.trade import Draw, Trade
from gossipreg.demo.typed_commands import HELP, TypedCommand, parse


class DemoStage:
    def __init__(self, cast: Cast, draw: Draw) -> None:
        self._cast = cast
        self._hosts = HostFaults(cast)
        self._links = LinkFaults(cast)
        self._trade = Trade(cast, draw)
        self._names = [host.name for host in cast.hosts]
        self._programs = [program.name for host in cast.hosts for program in host.plan.programs]

    async def perform(self, line: str) -> bool:
        """Carry out a line; False if it was `quit`. Raises BadParams."""
        command = parse(line, self._names, self._programs)
        if command is None:
            return True
        if command.verb == "quit":
            return False
        await self._carry_out(command)
        return True

    async def _carry_out(self, command: TypedCommand) -> None:
        match command.verb:
            case "kill":
                await self._hosts.kill(command.names[0])
            case "restart":
                await self._hosts.restart(command.names[0])
            case "pause":
                await self._hosts.pause(command.names[0])
            case "resume":
                await self._hosts.resume(command.names[0])
            case "cut":
                await self._links.cut(command.names)
            case "heal":
                await self._links.heal()
            case "load":
                await self._trade.load(command.number)
            case "orders":
                self._trade.orders()
            case "order":
                await self._trade.order()
            case "fail-payment":
                await self._trade.fail_payment()
            case "books":
                await self._trade.books()
            case "wait":
                await trio.sleep(command.number)
            case "status":
                self._cast.teller.show("status", self._status(), hosts=self._states())
            case "help":
                self._cast.teller.show("help", [f"{form:<14}{text}" for form, text in HELP])

    def _states(self) -> dict[str, str]:
        return {host.name: _state(host) for host in self._cast.hosts}

    def _status(self) -> list[str]:
        lines = [f"{'HOST':<8}{'STATE':<14}{'PAGE':<32}PROGRAMS"]
        for host in self._cast.hosts:
            programs = ", ".join(_program(host, program) for program in host.plan.programs)
            lines.append(f"{host.name:<8}{_state(host):<14}{host.page:<32}{programs}")
        cut = [f"{one} - {other}" for one, other in self._cast.links.cut_pairs]
        lines.append(f"links cut: {', '.join(cut) or 'none'}")
        orders = self._cast.orders
        lines.append(
            f"orders: {len(orders.created)} confirmed, {len(orders.refused)} refused, {len(orders.unanswered)} without "
            f"an answer; {self._cast.crowd.rate:g} a second now"
        )
        lines.append(f"commands of gossipreg work too: gossipreg --socket {self._cast.hosts[0].socket} members")
        return lines


def _state(host: DemoHost) -> str:
    if host.sidecar_pid is None:
        return "dead"
    return "stands still" if host.is_paused else "runs"


def _program(host: DemoHost, program: ProgramPlan) -> str:
    return f"{program.name} ({language(program) if host.runs(program.name) else 'dead'})"

"""Kill, restart, pause and resume a host or a program, and tell when the others see it."""

import trio

from gossipreg.demo.cast import BOUND_S, Cast
from gossipreg.demo.hosts import DemoHost
from gossipreg.demo.layout import ProgramPlan
from gossipreg.demo.lookout import answers, answers_with, answers_without, sees_alive, sees_gone
from gossipreg.demo.teller import enumerated
from gossipreg.errors import BadParams

NOT_DEAD_S = 2.0
"""A sidecar that stands still for a second or two is not declared dead: README, "What it promises"."""


class HostFaults:
    def __init__(self, cast: Cast) -> None:
        self._cast = cast
        self._paused_at: dict[str, float] = {}

    async def kill(self, name: str) -> None:
        """Raises BadParams if it does not run."""
        if name in (host.name for host in self._cast.hosts):
            await self._kill_host(self._cast.host(name))
        else:
            await self._kill_program(*self._cast.program(name))

    async def _kill_host(self, host: DemoHost) -> None:
        if host.sidecar_pid is None:
            raise BadParams(f"kill {host.name}: it does not run; `restart {host.name}` starts it")
        programs = [program for program in host.plan.programs if host.runs(program.name)]
        observers, since = self._cast.beside(host.name), trio.current_time()
        host.kill()
        what = enumerated(["its sidecar", *(program.name for program in programs)])
        self._cast.teller.tell("killed", f"{host.name} is killed (SIGKILL): {what}.", host=host.name)
        found: dict[str, float] = {}
        gone: dict[str, float] = {}

        async def members() -> None:
            found.update(await self._cast.lookout.wait(observers, sees_gone(host.name), BOUND_S, since))

        async def answers(program: ProgramPlan) -> None:
            question = answers_without(program.service, program.name)
            for observer, seconds in (await self._cast.lookout.wait(observers, question, BOUND_S, since)).items():
                gone[observer] = max(seconds, gone.get(observer, 0.0))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(members)
            for program in programs:
                nursery.start_soon(answers, program)
        self._cast.report("death_known", found, observers, f"that {host.name} is dead", host=host.name)
        if programs and observers and len(gone) == len(observers):
            names = enumerated([program.name for program in programs])
            text = f"From {max(gone.values()):.1f} s after the kill on, no lookup there answers with {names}."
            self._cast.teller.tell("answers_without", text, seconds=round(max(gone.values()), 2))

    async def _kill_program(self, host: DemoHost, program: ProgramPlan) -> None:
        if not host.runs(program.name):
            raise BadParams(f"kill {program.name}: it does not run; `restart {program.name}` starts it")
        self._refuse_paused(host, f"kill {program.name}")
        observers, since = self._cast.lookout.observers(), trio.current_time()
        observers = [name for name in observers if name in self._cast.links.side_of(host.name, observers)]
        host.kill_program(program.name)
        text = f"{program.name} is killed; its sidecar lives, and finds out by its health check."
        self._cast.teller.tell("program_killed", text, program=program.name)
        question = answers_without(program.service, program.name)
        found = await self._cast.lookout.wait(observers, question, BOUND_S, since)
        claim = f"that {program.name} does not answer"
        self._cast.report("program_out", found, observers, claim, whom="sidecars", program=program.name)

    def _refuse_paused(self, host: DemoHost, what: str) -> None:
        if host.is_paused:
            raise BadParams(f"{what}: {host.name} stands still; `resume {host.name}` first")

    async def restart(self, name: str) -> None:
        """Start it; what runs of it is killed first."""
        if name in (host.name for host in self._cast.hosts):
            host = self._cast.host(name)
            self._refuse_paused(host, f"restart {name}")
            if host.sidecar_pid is not None:
                await self._kill_host(host)
            since = trio.current_time()
            self._cast.start(host)
            self._cast.teller.tell("started", f"{name} starts again, with its data directory.", host=name)
            names = [name, *self._cast.beside(name)]
            runs = await self._cast.lookout.wait([name], answers, BOUND_S, since)
            found = await self._cast.lookout.wait(names, sees_alive(names), BOUND_S, since)
            self._cast.report("alive_known", found, names[1:], f"that {name} is alive", host=name)
            if runs:
                text = f"The start of its process took {runs[name]:.1f} s of that."
                self._cast.teller.tell("runs", text, host=name, seconds=round(runs[name], 2))
            await self._answered_with(host, host.plan.programs, since)
        else:
            host, program = self._cast.program(name)
            if host.sidecar_pid is None:
                raise BadParams(f"restart {name}: its host is dead; `restart {host.name}` starts both")
            self._refuse_paused(host, f"restart {name}")
            if host.runs(name):
                await self._kill_program(host, program)
            since = trio.current_time()
            host.start_program(program)
            self._cast.teller.tell("started", f"{name} starts again.", program=name)
            await self._answered_with(host, (program,), since)

    async def _answered_with(self, host: DemoHost, programs: tuple[ProgramPlan, ...], since: float) -> None:
        """Wait until lookups answer with these programs again."""
        names = [host.name, *self._cast.beside(host.name)]
        late = 0.0
        for program in programs:
            question = answers_with(program.service, [program.name])
            found = await self._cast.lookout.wait(names, question, BOUND_S, since)
            late = max([late, *found.values()])
            if len(found) < len(names):
                self._cast.report("answers_with", found, names, f"{program.name} again", host=host.name)
                return
        again = enumerated([program.name for program in programs])
        text = f"Lookups answer with {again} again after {late:.1f} s, once the health checks have passed."
        self._cast.teller.tell("answers_with", text, seconds=round(late, 2), host=host.name)

    async def pause(self, name: str) -> None:
        """Raises BadParams if it does not run, or stands still."""
        host = self._cast.host(name)
        if not host.answers:
            raise BadParams(f"pause {name}: it {'stands still' if host.is_paused else 'does not run'} already")
        host.pause()
        self._paused_at[name] = trio.current_time()
        text = f"{name} stands still: its sidecar and its programs, as when a virtual machine is moved."
        self._cast.teller.tell("paused", text, host=name)

    async def resume(self, name: str) -> None:
        """Raises BadParams if it does not stand still."""
        host, observers = self._cast.host(name), self._cast.beside(name)
        if not host.is_paused:
            raise BadParams(f"resume {name}: it does not stand still")
        said_dead = [one for one in observers if await self._cast.lookout.holds(one, sees_gone(name))]
        since = trio.current_time()
        stood_s = since - self._paused_at.pop(name, since)
        host.resume()
        if said_dead and stood_s < NOT_DEAD_S:
            self._cast.faults.append(f"{name} was declared dead though it stood still for {stood_s:.1f} s only")
        verdict = f"{len(said_dead)} of {len(observers)} others had declared it dead" if said_dead else (
            "nobody had declared it dead"
        )  # fmt: skip
        text = f"{name} goes on after {stood_s:.1f} s; {verdict}."
        self._cast.teller.tell("resumed", text, host=name, seconds=round(stood_s, 2), declared_dead_by=said_dead)
        names = [name, *observers]
        found = await self._cast.lookout.wait(names, sees_alive(names), BOUND_S, since)
        self._cast.report("alive_known", found, names[1:], f"that {name} is alive", host=name)

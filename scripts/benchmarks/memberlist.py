"""memberlist, through whatever program speaks for it.

A program for memberlist holds one member and is started as

    PROGRAM --name NAME --bind HOST:PORT [--join HOST:PORT]

with memberlist's DefaultLANConfig. It reads commands from stdin and at once writes what happens to stdout, a line each:

    stdin   update TEXT      make TEXT this member's metadata (UpdateNode)
            leave            leave gracefully (Leave, Shutdown), then end
            end of file      end
    stdout  ready            once it can be joined and reads commands; before its own --join is done
            here NAME TEXT   NotifyJoin or NotifyUpdate: a member, itself too, with its metadata (may be empty)
            gone NAME        NotifyLeave

`memberlist_member.go` is such a program; its head says how it is built.
"""

from scripts.benchmarks.cluster import Failed, Member
from scripts.benchmarks.peers import PeerCluster


class MemberlistCluster(PeerCluster):
    kind = "memberlist"

    def arguments(self, name: str, port: int, seed: int | None) -> list[str]:
        join = [] if seed is None else ["--join", f"127.0.0.1:{seed}"]
        return ["--name", name, "--bind", f"127.0.0.1:{port}", *join]

    def line(self, member: Member, line: bytes, at: float) -> None:
        match line.decode(errors="replace").split(" ", 2):
            case ["ready"]:
                member.ready_at = at
            case ["here", subject, *text]:
                self.views.tell(member.name, subject, "".join(text), at)
            case ["gone", subject]:
                self.views.tell(member.name, subject, None, at)
            case _:
                raise Failed(f"{self.program} wrote {line[:80]!r}: see the head of scripts/benchmarks/memberlist.py")

    def update(self, member: Member, number: int) -> str:
        self._tell(member, f"update {number}")
        return str(number)

    def leave(self, member: Member) -> None:
        self._tell(member, "leave")

    def _tell(self, member: Member, line: str) -> None:
        assert member.process.stdin is not None
        member.process.stdin.write(line.encode() + b"\n")

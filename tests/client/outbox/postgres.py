"""A real PostgreSQL server for tests: its own folder, a unix socket and no port, the settings that make it quick."""

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PEERS = Path(__file__).parents[3] / ".venv" / "peers"
QUICK = ("fsync=off", "full_page_writes=off", "listen_addresses=", "max_connections=40", "shared_buffers=16MB")


def server_programs() -> Path | None:
    """The folder of `postgres` and `initdb`, of this machine or of what `scripts/test` has fetched; None: there is none
    that our user may run."""
    found = shutil.which("postgres")
    folders = [Path(found).resolve().parent] if found else []
    for root in (Path("/"), PEERS):
        folders += sorted(root.glob("usr/lib/postgresql/*/bin"), reverse=True)
    return next((folder for folder in folders if (folder / "initdb").exists() and _runs(folder)), None)


def _runs(folder: Path) -> bool:
    """Another user may not reach a clone below a home directory."""
    try:
        answered = subprocess.run(
            [folder / "postgres", "--version"],
            user=_user(),
            env=_environment(),
            cwd="/",
            capture_output=True,
            timeout=60,
        )
    except OSError:
        return False
    return answered.returncode == 0


def _user() -> str | None:
    """The server refuses to run as root."""
    return "nobody" if os.geteuid() == 0 else None


def _environment() -> dict[str, str]:
    libraries = [str(path) for path in PEERS.glob("usr/lib/*-linux-gnu")]
    return {"PATH": os.environ["PATH"], "LC_ALL": "C", "LD_LIBRARY_PATH": ":".join(libraries)}


@contextmanager
def postgres_server(programs: Path) -> Iterator[str]:
    """Run a server, and give what psycopg needs to connect."""
    folder = Path(tempfile.mkdtemp(prefix="gossipreg-pg-"))
    if user := _user():
        shutil.chown(folder, user)

    def start(program: str, *arguments: str, output: int) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [programs / program, "-D", folder / "data", *arguments],
            user=user, cwd=folder, env=_environment(), stdout=output, stderr=subprocess.STDOUT,
        )  # fmt: skip

    try:
        with start("initdb", "-E", "UTF8", "-U", "test", "-A", "trust", "--no-sync", output=subprocess.PIPE) as made:
            said = made.communicate(timeout=120)[0]
        assert made.returncode == 0, said.decode()
        settings = [part for setting in QUICK for part in ("-c", setting)]
        with (
            open(folder / "log", "wb") as log,
            start("postgres", "-k", str(folder), *settings, output=log.fileno()) as server,
        ):
            try:
                yield f"host={folder} user=test dbname=postgres"
            finally:
                server.send_signal(signal.SIGQUIT)  # at once: nothing is kept
                server.wait(60)
    finally:
        shutil.rmtree(folder)

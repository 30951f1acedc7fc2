"""A build of gossipreg: a tree, and an interpreter that finds this tree and the dependencies that it names.

Owns the cache folder. A revision is taken out of git once; an environment is made once for each tree and set of
dependencies. Both builds get the versions of dependencies that are installed beside this program, where they name the
same ones, so a ratio compares gossipreg alone.
"""

import fcntl
import hashlib
import os
import subprocess
import sys
import tomllib
import venv
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from packaging.requirements import Requirement

from scripts.benchmarks.cluster import Failed

ROOT = Path(__file__).resolve().parents[3]
OURS = "ours"


@dataclass(frozen=True, slots=True)
class Build:
    name: str
    tree: Path
    python: Path

    @property
    def interpreter(self) -> list[str]:
        """Runs a module of this build, whatever the folder and the environment variables are."""
        return [str(self.python), "-I"]

    @property
    def command(self) -> list[str]:
        """Takes the place of `gossipreg`."""
        return [*self.interpreter, "-m", "gossipreg.cli"]


def cache() -> Path:
    """Where revisions and environments are kept."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "gossipreg-bench"


def ours() -> Build:
    """The tree that this program is in, with what is not committed yet."""
    return _build(OURS, ROOT)


def of_revision(revision: str) -> Build:
    """The tree of this revision. Raises Failed where git does not know it."""
    tree = tree_of(revision)
    return _build(tree.name[:8], tree)


def tree_of(revision: str) -> Path:
    """The folder with the tree of this revision, which has the name of the commit. Raises Failed where git does not
    know it."""
    found = _git("rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}")
    if found.returncode != 0:
        raise Failed(f"--against {revision}: git knows no such revision in {ROOT}")
    sha = found.stdout.decode().strip()
    tree = cache() / sha
    if not (tree / "pyproject.toml").exists():
        archive = _git("archive", sha, "--", "gossipreg", "pyproject.toml")
        if archive.returncode != 0:
            raise Failed(f"--against {revision}: git archive failed: {archive.stderr.decode().strip()}")
        partly = cache() / f"{sha}.{os.getpid()}"
        partly.mkdir(parents=True)
        subprocess.run(["tar", "-x", "-C", str(partly)], input=archive.stdout, check=True)
        partly.rename(tree)
    return tree


def _git(*arguments: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, check=False)


def _build(name: str, tree: Path) -> Build:
    """The tree with an environment that has its dependencies; Failed says where they cannot be had."""
    wanted = [_pinned(one) for one in tomllib.loads((tree / "pyproject.toml").read_text())["project"]["dependencies"]]
    key = hashlib.sha256("\n".join([sys.version, str(tree), *wanted]).encode()).hexdigest()[:16]
    folder = cache() / f"env-{key}"
    python = folder / "bin" / "python"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / f"{key}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "complete").exists():
            _make(folder, python, tree, wanted)
    subprocess.run([str(python), "-I", "-m", "compileall", "-qq", str(tree / "gossipreg")], check=False)
    return Build(name, tree, python)


def _pinned(dependency: str) -> str:
    """The dependency in the version that is installed here, if it allows that version."""
    requirement = Requirement(dependency)
    try:
        installed = version(requirement.name)
    except PackageNotFoundError:
        return dependency
    return f"{requirement.name}=={installed}" if requirement.specifier.contains(installed) else dependency


def _make(folder: Path, python: Path, tree: Path, wanted: list[str]) -> None:
    print(f"  making an environment for {tree} (once)", file=sys.stderr, flush=True)
    venv.create(folder, clear=True)
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--disable-pip-version-check"]
    done = subprocess.run([*pip, *wanted], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Failed(f"pip cannot install {' '.join(wanted)}: {(done.stderr.splitlines() or ['?'])[-1]}")
    packages = subprocess.run(
        [str(python), "-I", "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    (Path(packages.stdout.strip()) / "tree.pth").write_text(f"{tree}\n")
    (folder / "complete").touch()

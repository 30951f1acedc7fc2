"""`scripts/check --fuzz`: everything that reads what others wrote, on inputs that are drawn for as long as asked.

Each target gets its share of the time in a process of its own. An input that fails is kept in the corpus, and the
command that repeats it is printed. Without atheris, inputs are drawn without guidance.
"""

import random
import shutil
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).parents[2]
CORPUS = ROOT / "tests" / "fuzz" / "corpus"


def targets() -> list[str]:
    """The names of all targets."""
    return sorted(path.name for path in CORPUS.iterdir())


def fuzz(chosen: list[str], seconds: float) -> int:
    """Run these targets, or all; they share the seconds. The exit code."""
    names = chosen or targets()
    return max([_run(name, seconds / len(names)) for name in names])


def once(target: str, path: Path) -> int:
    """Run a target on this file: an input that fails raises."""
    from tests.fuzz.targets import TARGETS

    TARGETS[target](path.read_bytes())
    return 0


def _run(target: str, seconds: float) -> int:
    print(f"{target}: {seconds:.0f} s", flush=True)
    how = "drawn" if find_spec("atheris") is None else "guided"
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "scripts.checks.fuzzing", how, target, folder, str(seconds)]
        ended = subprocess.run(command, capture_output=True, text=True, check=False)
        said = ended.stderr.splitlines()
        print("  " + next((line for line in reversed(said) if "exec/s" in line or "inputs" in line), "").strip())
        if ended.returncode == 0:
            return 0
        print(*said[-40:], sep="\n")
        for crash in Path(folder).glob("failed-*"):
            kept = CORPUS / target / crash.name
            shutil.copy(crash, kept)
            print(f"FAILED. To repeat: scripts/check --fuzz {target} --input {kept.relative_to(ROOT)}")
    return 1


def guided(target: str, folder: str, seconds: str) -> None:
    """Let atheris draw, guided by the lines that an input reaches. It needs the package to be imported here first."""
    import atheris

    with atheris.instrument_imports(include=["gossipreg"]):
        from tests.fuzz.targets import TARGETS
    whole = max(1, int(float(seconds)))
    flags = [f"-max_total_time={whole}", "-timeout=20", "-rss_limit_mb=2048", "-max_len=4096", "-print_final_stats=1"]
    corpus = Path(folder) / "corpus"
    corpus.mkdir()
    atheris.Setup(
        ["fuzz", *flags, f"-artifact_prefix={folder}/failed-", str(corpus), str(CORPUS / target)],
        TARGETS[target],
    )
    atheris.Fuzz()


def drawn(target: str, folder: str, seconds: str) -> None:
    """Draw inputs near those of the corpus."""
    from tests.fuzz.targets import TARGETS, corpus

    rng, end, inputs = random.Random(), time.monotonic() + float(seconds), 0
    while time.monotonic() < end:
        data = bytearray(rng.choice(corpus(target)))
        for _ in range(rng.randrange(1, 8)):
            at = rng.randrange(len(data) + 1)
            data[at : at + rng.randrange(3)] = rng.randbytes(rng.randrange(3))
        try:
            TARGETS[target](bytes(data))
        except BaseException:
            Path(folder, f"failed-{rng.randrange(1 << 32):x}").write_bytes(data)
            raise
        inputs += 1
    print(f"{inputs} inputs", file=sys.stderr)


if __name__ == "__main__":
    {"guided": guided, "drawn": drawn}[sys.argv[1]](*sys.argv[2:])

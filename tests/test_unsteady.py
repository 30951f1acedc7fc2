"""A test that fails and passes alone is named as unsteady; one that fails twice, or anything else, stays a failure."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unsteady import UNSTEADY_MAX

ROOT = Path(__file__).parent.parent
ONCE = """
import pathlib
def once(name, times=1):
    '''Fails so many times.'''
    path = pathlib.Path(__file__).with_name("failed-" + name)
    before = len(path.read_text()) if path.exists() else 0
    path.write_text("x" * (before + 1))
    assert before >= times, "not yet: " + name
"""


class Project:
    """A folder of tests, and the two runs of `scripts/test` over it."""

    def __init__(self, folder: Path, outside: Path) -> None:
        self._folder = folder
        self.failed = outside / "failed"
        (folder / "pytest.ini").write_text("[pytest]\naddopts = -q\n")

    def write(self, source: str, name: str = "test_a.py") -> None:
        (self._folder / name).write_text(ONCE + source)

    def _run(self, *arguments: str) -> tuple[int, str]:
        ended = subprocess.run(
            [sys.executable, "-m", "pytest", "-p", "tests.unsteady", "-p", "no:cacheprovider", *arguments],
            cwd=self._folder, env={**os.environ, "PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        return ended.returncode, ended.stdout + ended.stderr

    def first(self, *arguments: str) -> tuple[int, str]:
        return self._run(f"--note-failed={self.failed}", *arguments)

    def again(self) -> tuple[int, str]:
        return self._run(f"--failed-again={self.failed}")


@pytest.fixture
def project(tmp_path: Path) -> Project:
    (tmp_path / "project").mkdir()
    return Project(tmp_path / "project", tmp_path)


@pytest.mark.parametrize("workers", [(), ("-p", "xdist", "-n", "1")])
def test_a_test_that_fails_once_is_named_with_its_failure(project: Project, workers: tuple[str, ...]) -> None:
    project.write("def test_a(): once('a')\ndef test_b(): pass\n")
    code, out = project.first(*workers)
    assert (code, "not yet: a" in out) == (1, True), out
    code, out = project.again()
    assert code == 0, out
    assert "1 passed" in out
    assert "unsteady: test_a.py::test_a failed as above, and passed alone: mend it first" in out
    assert "AssertionError: not yet: a" in out


def test_a_test_that_fails_twice_stays_a_failure(project: Project) -> None:
    project.write("def test_a(): once('a', 9)\ndef test_b(): once('b')\n")
    assert project.first()[0] == 1
    code, out = project.again()
    assert code == 1
    assert "unsteady: test_a.py::test_b failed as above" in out
    assert "unsteady: test_a.py::test_a" not in out


def test_a_fixture_that_fails_twice_stays_a_failure(project: Project) -> None:
    """Its test passes each time, before the fixture is left."""
    project.write("import pytest\n@pytest.fixture\ndef f():\n    yield\n    once('f', 9)\ndef test_a(f): pass\n")
    assert project.first()[0] == 1
    code, out = project.again()
    assert (code, "unsteady: " in out) == (1, False), out


def test_a_test_that_is_skipped_the_second_time_has_not_passed(project: Project) -> None:
    project.write("import pytest\ndef test_a():\n    once('a')\n    pytest.skip('')\n")
    assert project.first()[0] == 1
    code, out = project.again()
    assert (code, "unsteady: " in out) == (1, False), out


def test_ids_with_odd_characters_are_found_again(project: Project) -> None:
    odd = ["", "a b::c/d[e]*$HOME", "-k'\"@\\ä\n\ud800["]
    source = f"import pytest\n@pytest.mark.parametrize('x', {odd!r})\ndef test_a(x): once(str({odd!r}.index(x)))\n"
    project.write(source, "test_a b.py")
    code, out = project.first()
    assert (code, out.count("\nFAILED ")) == (1, len(odd)), out
    code, out = project.again()
    assert (code, out.count("mend it first")) == (0, len(odd)), out


def test_more_failures_than_may_be_unsteady_are_not_run_again(project: Project) -> None:
    project.write("".join(f"def test_{number}(): once('{number}')\n" for number in range(UNSTEADY_MAX + 1)))
    assert project.first()[0] == 1
    assert not project.failed.exists()


@pytest.mark.parametrize("workers", [(), ("-p", "xdist", "-n", "1")])
def test_an_error_of_the_collection_is_not_run_again(project: Project, workers: tuple[str, ...]) -> None:
    project.write("def test_a(): once('a')\n")
    project.write("import no_such_module\n", "test_b.py")
    code, out = project.first(*workers, "--continue-on-collection-errors")
    assert (code, "not yet: a" in out, "no_such_module" in out) == (1, True, True), out
    assert not project.failed.exists()


def test_an_interrupted_run_is_not_run_again(project: Project) -> None:
    project.write("def test_a(): once('a')\ndef test_b(): raise KeyboardInterrupt\n")
    assert project.first()[0] == 2
    assert not project.failed.exists()


def test_a_run_that_passes_leaves_nothing_to_run_again(project: Project) -> None:
    project.write("def test_a(): pass\n")
    assert project.first()[0] == 0
    assert not project.failed.exists()


def test_a_crashed_worker_fails_its_test_which_is_run_again(project: Project) -> None:
    project.write("import os\ndef test_a():\n    try: once('a')\n    except AssertionError: os._exit(3)\n")
    code, out = project.first("-p", "xdist", "-n", "1")
    assert (code, "crashed" in out) == (1, True), out
    code, out = project.again()
    assert (code, "crashed" in out) == (0, True), out

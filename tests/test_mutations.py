"""The mutations of the core: each one's lines stand in the core, and the command says what a broken core fails."""

import ast
import re
from collections import Counter
from pathlib import Path
from textwrap import dedent

import pytest

from scripts.checks import mutations
from scripts.checks.mutation import Mutation
from scripts.checks.mutations import Result, apply, compared, first_failure, kept, mutated, places, written
from scripts.checks.mutations_table import MUTATIONS

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_lines_of_a_mutation_stand_once_in_the_core(mutation: Mutation) -> None:
    found = places(ROOT, mutation)
    at = [f"{place.path.name}:{place.line + 1}" for place in found]
    assert len(found) == 1, f"change it in scripts/checks/mutations_table.py too: its lines stand at {at or 'no place'}"
    source = found[0].path.read_text()
    broken = mutated(source, found[0], mutation)
    compile(broken, mutation.name, "exec")
    assert ast.dump(ast.parse(broken)) != ast.dump(ast.parse(source)), "it changes nothing"


def test_names_of_mutations_are_claims_and_unique() -> None:
    names = [mutation.name for mutation in MUTATIONS]
    assert [name for name, count in Counter(names).items() if count > 1] == []
    assert [name for name in names if not re.fullmatch(r"[a-z_]{1,60}", name)] == []


# -- the command ------------------------------------------------------------------------------------------------------

DOUBLE = Mutation("double_is_triple", "return 2 * n", "return 3 * n", likely="double")
GUARD = Mutation(
    "negative_numbers_are_taken",
    """
    if n < 0:
        raise ValueError
    """,
    "",
    likely="double",
)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A core of one function, with a test of half of what it promises."""
    files = {
        "gossipreg/__init__.py": "",
        "gossipreg/core/__init__.py": "",
        "gossipreg/core/double.py": """
            def double(n):
                if n < 0:
                    raise ValueError
                return 2 * n
            """,
        "tests/core/test_double.py": """
            from gossipreg.core.double import double

            def test_double_of_one_is_two():
                assert double(1) == 2
            """,
        "tests/simulations/test_other.py": "def test_nothing(): pass",
    }
    for name, source in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(source).lstrip("\n"))
    return tmp_path


def test_a_test_that_sees_a_mutation_is_named(tree: Path) -> None:
    assert first_failure(tree) is None
    apply(tree, DOUBLE)
    assert first_failure(tree) == "tests/core/test_double.py::test_double_of_one_is_two"


def test_a_mutation_that_no_test_sees_survives(tree: Path) -> None:
    apply(tree, GUARD)
    assert (tree / "gossipreg/core/double.py").read_text() == "def double(n):\n    return 2 * n\n"
    assert first_failure(tree) is None


def test_a_core_that_cannot_be_imported_is_caught(tree: Path) -> None:
    (tree / "gossipreg/core/double.py").write_text("raise SystemError")
    assert first_failure(tree) == "tests/core/test_double.py"


@pytest.mark.parametrize("source", ["return 3 * n\n", "return 2 * n\nreturn 2 * n\n"], ids=["gone", "twice"])
def test_lines_that_do_not_stand_once_are_an_error(tree: Path, source: str) -> None:
    (tree / "gossipreg/core/double.py").write_text(source)
    with pytest.raises(LookupError, match="double_is_triple"):
        apply(tree, DOUBLE)


def test_lines_are_found_in_another_file_at_another_depth(tree: Path) -> None:
    (tree / "gossipreg/core/double.py").unlink()
    moved = tree / "gossipreg/core/room/triple.py"
    moved.parent.mkdir()
    moved.write_text("if True:\n    if n < 0:\n        raise ValueError\n    pass\n")
    apply(tree, GUARD)
    assert moved.read_text() == "if True:\n    pass\n"


def test_lines_within_longer_lines_are_not_found(tree: Path) -> None:
    (tree / "gossipreg/core/double.py").write_text("return 2 * n + 1\nif x: return 2 * n\n")
    assert places(tree, DOUBLE) == []


def test_likely_test_files_run_first_and_digests_never(tree: Path) -> None:
    (tree / "tests/simulations/test_digest.py").write_text("def test_other_bytes(): assert False")
    assert mutations.in_order(tree, "other") == ["tests/simulations/test_other.py", "tests/core/test_double.py"]


def test_left_out_and_deselected_tests_are_there() -> None:
    path, name = mutations.DESELECTED.split("::")
    assert f"def {name}(" in (ROOT / path).read_text()
    assert all((ROOT / "tests/simulations" / name).exists() for name in mutations.LEFT_OUT)


def test_results_are_compared_by_caught_and_survived_alone() -> None:
    before = kept(written([Result("a", "x::test_old"), Result("b", None), Result("c d", "x::test")]))
    assert before == {"a": True, "b": False, "c d": True}
    now = [Result("a", "y::test_new"), Result("b", None), Result("c d", None), Result("e", None)]
    assert compared(now, before) == [
        "no test catches b; none did before",
        "no test catches c d; one did before",
        "no test catches e",
        "1 of 4 caught; before: 2 of 3",
    ]


def test_the_file_has_a_result_of_every_mutation() -> None:
    results = [name for name in kept(mutations.KEPT.read_text()) if not name.startswith("selftest: ")]
    assert results == [mutation.name for mutation in MUTATIONS]

"""One word, one meaning: no constant and no function of the sagas, or of their client, is defined in two files."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgpack import packb, unpackb

import gossipreg
from gossipreg.errors import BadParams
from gossipreg.sagas import saga_tuning
from gossipreg.sagas.saga_calls import BeginAsked, read_call
from gossipreg.sagas.saga_codec import pack_begun, unpack_begun
from gossipreg.sagas.saga_model import MAX_TRACEPARENT_BYTES, BegunSaga, SagaKind

PACKAGE = Path(gossipreg.__file__).parent


def defined(file: Path) -> Iterator[str]:
    """The public constants and functions of a file; no variables of types."""
    for node in ast.parse(file.read_text()).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name
        targets = (
            node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        )
        yield from (one.id for one in targets if isinstance(one, ast.Name) and one.id.isupper() and len(one.id) > 1)


@pytest.mark.parametrize("folder", ["sagas", "client/sagas", "daemon/sagas"])
def test_a_name_is_defined_in_one_file(folder: str) -> None:
    files: dict[str, list[str]] = {}
    for file in sorted((PACKAGE / folder).glob("*.py")):
        for name in {*defined(file)}:
            if not name.startswith("_"):
                files.setdefault(name, []).append(file.name)
    assert len(files) > 5
    assert {name: where for name, where in files.items() if len(where) > 1} == {}


def test_a_call_takes_the_traceparent_that_a_journal_keeps() -> None:
    text = "t" * MAX_TRACEPARENT_BYTES
    asked = read_call("begin", packb({"name": "order", "id": "s1", "traceparent": text}), saga_tuning.default)
    assert isinstance(asked, BeginAsked)
    begun = BegunSaga("s1", "order", SagaKind.BY_CODE, b"null", 1000, b"", 0, asked.traceparent)
    assert unpack_begun("s1", unpackb(packb(pack_begun(begun)), use_list=False)).traceparent == text
    with pytest.raises(BadParams, match=f"at most {MAX_TRACEPARENT_BYTES}"):
        read_call("begin", packb({"name": "order", "traceparent": text + "t"}), saga_tuning.default)

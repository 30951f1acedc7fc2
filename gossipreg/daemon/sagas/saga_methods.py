"""The methods of the local socket about sagas. Most of their parameters go to the leader of the saga's journal as they
are, and are checked there (`sagas/saga_calls.py`).

Owns: who may do what, which connection is a saga's program, and the forms in which people write JSON. Never knows: what
a call does.

Whoever may publish may begin sagas, and take their steps. The steps of a saga, its commit and its abort are for the
user whose program has it; operators may do all that, and decide by hand.
"""

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from gossipreg.daemon import params as check
from gossipreg.daemon.params import Check, take_untrusted
from gossipreg.daemon.partial import not_synced
from gossipreg.daemon.sagas.local_sagas import LocalSagas, SagaMethod
from gossipreg.daemon.sagas.saga_answer import SagaAnswer, raise_error, unreadable
from gossipreg.daemon.socket_client import Params, SocketClient, pack
from gossipreg.errors import BadParams, NotFound
from gossipreg.journal.message_forms import cut_text
from gossipreg.journal.model import JOURNAL_ID_BYTES, JournalId
from gossipreg.model import NodeId
from gossipreg.sagas.saga_calls import NEEDS_NO_PROGRAM
from gossipreg.sagas.saga_definition import definition_untrusted, encode_definition, read_definition
from gossipreg.sagas.saga_model import MAX_TEXT_BYTES, SagaRef, read_saga

MAX_WHO_BYTES = 128


def _any(name: str, value: Any) -> Any:
    """Checked where the call is carried out."""
    del name
    return value


def _json(name: str, value: Any) -> bytes:
    """JSON as bytes or text, or any other value."""
    if type(value) in (bytes, str):
        return value.encode() if type(value) is str else value
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise BadParams(f"{name} has no form in JSON: {error}") from None


def _definition(name: str, value: Any) -> bytes:
    """As `encode_definition` gives it, or TOML or JSON as text, or a map."""
    if type(value) is bytes:
        return value
    if type(value) is dict:
        return encode_definition(definition_untrusted(value))
    if type(value) is not str:
        raise BadParams(f"{name} is of type {type(value).__name__}: give TOML or JSON as text, or a map")
    return encode_definition(read_definition(value.encode(), toml=not value.lstrip().startswith("{")))


def _journal(name: str, value: Any) -> JournalId:
    try:
        raw = bytes.fromhex(value) if type(value) is str else b""
    except ValueError:
        raw = b""
    if len(raw) != JOURNAL_ID_BYTES or len(value) != 2 * JOURNAL_ID_BYTES:
        raise BadParams(
            f"{name} is {str(value)[:80]!r}: give its {2 * JOURNAL_ID_BYTES} hex digits, as saga-journal does"
        )
    return JournalId(raw)


def _why(name: str, value: Any) -> str:
    return check.text(name, value, most_bytes=MAX_TEXT_BYTES)


_BEGIN: dict[str, Check] = {
    "name": _any, "id": _any, "input": _json, "timeout_ms": _any, "traceparent": _any, "tracestate": _any,
    "strict": _any,
}  # fmt: skip
_RUN: dict[str, Check] = {
    "definition": _definition, "id": _any, "input": _json, "traceparent": _any, "tracestate": _any,
    "journal": _journal,
}  # fmt: skip
_STEP: dict[str, Check] = {"saga": _any, "step": _any}
_SAGA: dict[str, Check] = {"saga": _any}
_ABORT: dict[str, Check] = {"saga": _any, "reason": _any}
_SHOW: dict[str, Check] = {"saga": _any, "program": check.boolean}
_LIST: dict[str, Check] = {"state": _any, "limit": _any, "after": _any, "newest": _any, "since_ms": _any}
_WAIT: dict[str, Check] = {"saga": _any, "until": _any, "timeout_ms": _any}
_HAND: dict[str, Check] = {"saga": _any, "step": _any, "why": _why}


async def begin(sagas: LocalSagas, params: Params, client: SocketClient) -> bytes:
    """{name, id, input, timeout_ms, traceparent, tracestate, strict} -> {saga, id, state, copies, takeover, exists},
    and `decision` where it was begun before"""
    given = take_untrusted("saga-begin", params, _BEGIN, "name")
    sagas.programs.check_room(client)
    answer = await sagas.ask("begin", given, client)
    begun = _begun(answer)
    saga = read_saga(begun["saga"])
    if saga is None:
        raise unreadable("begin")
    if not begun["exists"]:
        sagas.programs.spoke(client, saga)
    return pack(begun)


async def run(sagas: LocalSagas, params: Params, client: SocketClient) -> bytes:
    """{definition, id, input, traceparent, tracestate, journal} -> as `begin`. `journal`: not in that of this sidecar,
    but in this one, whoever leads it."""
    given = take_untrusted("saga-run", params, _RUN, "definition")
    where: JournalId | None = given.pop("journal", None)
    return pack(_begun(await sagas.ask("run", given, client, where)))


async def journal(sagas: LocalSagas, params: Params, client: SocketClient) -> bytes:
    """{} -> {journal}: where sagas that are begun at this sidecar are. Who begins one writes it down before, so that a
    repeat at another sidecar is the same saga."""
    take_untrusted("saga-journal", params, {})
    return pack({"journal": (await sagas.own_journal(client)).hex()})


_OF_ONE_THAT_EXISTS = ("decision", "copies", "takeover")


def _begun(answer: SagaAnswer) -> dict[str, Any]:
    """A saga that exists is an answer, which says how it stands. Raises RequestError."""
    exists = answer.code == "exists"
    if not exists:
        raise_error(answer)
    named = answer.texts(("saga", "id", "state"))
    if exists:
        told: dict[str, Any] = {name: answer.fields[name] for name in _OF_ONE_THAT_EXISTS if name in answer.fields}
        return {"decision": None, **named, **told, "exists": True}
    return {**answer.fields, "exists": False}


def _of_program(method: str, allowed: Mapping[str, Check], *required: str, ends: bool = False) -> SagaMethod:
    """A call of a saga's program. `ends`: after its answer the saga needs none."""

    async def call(sagas: LocalSagas, params: Params, client: SocketClient) -> bytes:
        given = take_untrusted(f"saga-{method}", params, dict(allowed), "saga", *required)
        saga = _saga(given["saga"])
        _check_owner(sagas, method, saga, client, sagas.programs.uid(saga))
        sagas.programs.check_room(client, saga)
        sagas.programs.spoke(client, saga)
        return _answered(sagas, saga, await sagas.ask(method, given, client), ends=ends)

    return call


async def abort(sagas: LocalSagas, params: Params, client: SocketClient) -> bytes:
    """{saga, reason} -> {state}. If another user than its program aborts a saga, the reason says who it was."""
    given = take_untrusted("saga-abort", params, _ABORT, "saga")
    saga = _saga(given["saga"])
    _check_owner(sagas, "abort", saga, client, sagas.programs.uid(saga))
    by_hand = not sagas.programs.is_of(client, saga)
    if by_hand:
        reason = check.text("reason", given.get("reason", ""), most_bytes=MAX_TEXT_BYTES, least_bytes=0)
        given["reason"] = _with_who(reason, _who(sagas, client))
    result = _answered(sagas, saga, await sagas.ask("abort", given, client), ends=True)
    if by_hand:
        sagas.audit.record("saga-abort", str(saga), client.caller)
    return result


def _who(sagas: LocalSagas, client: SocketClient) -> str:
    return cut_text(f"{client.caller} at {sagas.name}", MAX_WHO_BYTES)


def _with_who(reason: str, who: str) -> str:
    if not reason:
        return f"aborted by {who}"
    by = f" (by {who})"
    return cut_text(reason, MAX_TEXT_BYTES - len(by.encode())) + by


def _answered(sagas: LocalSagas, saga: SagaRef, answer: SagaAnswer, *, ends: bool) -> bytes:
    if answer.code in NEEDS_NO_PROGRAM or (ends and not answer.code):
        sagas.programs.forget(saga)
    return _result(answer)


def _check_owner(sagas: LocalSagas, method: str, saga: SagaRef, client: SocketClient, uid: int | None) -> None:
    """Raises NotAllowed. Where nobody knows whose saga it is, whoever is its program may go on; to abort it is for
    operators."""
    if uid is None and method == "abort":
        sagas.rights.check("saga-abort of a saga that has no program here", client.caller)
    sagas.rights.check_owner(f"saga-{method}", str(saga), uid, client.caller)


async def show(sagas: LocalSagas, params: Params, client: SocketClient) -> bytes:
    """{saga, program} -> the story; `program`: this connection is where its steps are taken"""
    given = take_untrusted("saga-show", params, _SHOW, "saga")
    if given.pop("program", False):
        saga = _saga(given["saga"])
        _check_owner(sagas, "show", saga, client, sagas.programs.uid(saga))
        sagas.programs.check_room(client, saga)
        answer = await sagas.ask("show", given, client)
        if not answer.code and answer.fields.get("state") == "running":
            sagas.programs.spoke(client, saga)
        return _result(answer)
    answer = await sagas.ask("show", given, client)
    if answer.code == NotFound.code and not sagas.synced:
        raise not_synced(f"whether there is a saga {given['saga']!r}", sagas.why_not_synced)
    return _result(answer)


async def list_(sagas: LocalSagas, params: Params, client: SocketClient) -> bytes:
    """{state, limit, after, newest, since_ms} -> {sagas: [short story ...] of all journals, unanswered: names of
    members that lead journals and did not say what is in them, and a text about each journal that nobody leads, more:
    whether there are sagas behind the last one, next: `after` of the next page}"""
    answer = await sagas.ask("list", take_untrusted("saga-list", params, _LIST), client)
    raise_error(answer)
    told = answer.fields
    members = sorted(sagas.member_name(NodeId(one)) for one in told["unanswered"] if isinstance(one, bytes))
    texts = [one for one in told["unanswered"] if isinstance(one, str)]
    unknown = [] if sagas.synced else [_NOT_SYNCED]
    return pack({**told, "unanswered": [*members, *unknown, *texts]})


_NOT_SYNCED = "this sidecar is not synced and does not know the journals of others (`gossipreg info`)"


async def wait(sagas: LocalSagas, params: Params, client: SocketClient) -> bytes:
    """{saga, until, timeout_ms} -> the story, when it is decided or has ended, or at the end of the time"""
    return _result(await sagas.ask("wait", take_untrusted("saga-wait", params, _WAIT, "saga"), client))


def _by_hand(verb: str, method: str, *required: str) -> SagaMethod:
    """What a person decides: {saga, step, why}. The journal keeps who it was."""

    async def call(sagas: LocalSagas, params: Params, client: SocketClient) -> bytes:
        given = take_untrusted(verb, params, _HAND, "saga", *required)
        answer = await sagas.ask(method, {**given, "who": _who(sagas, client)}, client)
        raise_error(answer)
        by = sagas.audit.record(verb, str(given["saga"]), client.caller)
        sagas.reports.by_hand(method, str(given["saga"]), str(given.get("step", "")), given.get("why", ""), by)
        return answer.result

    return call


def _saga(value: Any) -> SagaRef:
    saga = read_saga(value) if type(value) is str else None
    if saga is None:
        raise BadParams(f"saga is {str(value)[:80]!r}: give the whole name, JOURNAL.ID, as saga-begin answered it")
    return saga


def _result(answer: SagaAnswer) -> bytes:
    raise_error(answer)
    return answer.result


METHODS: dict[str, Callable[[LocalSagas, Params, SocketClient], Awaitable[bytes]]] = {
    "saga-begin": begin, "saga-run": run, "saga-step": _of_program("step", _STEP, "step"),
    "saga-after": _of_program("after", _STEP, "step"), "saga-commit": _of_program("commit", _SAGA, ends=True),
    "saga-abort": abort, "saga-show": show, "saga-list": list_, "saga-wait": wait,
    "saga-retry": _by_hand("saga-retry", "retry"), "saga-skip": _by_hand("saga-skip", "skip", "step", "why"),
    "saga-give-up": _by_hand("saga-give-up", "give_up", "why"), "saga-journal": journal,
}  # fmt: skip

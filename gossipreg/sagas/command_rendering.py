"""A command with its values: what is sent, and what a journal keeps.

Owns: where a value may stand, and in which form. Never knows: how a template is written (`saga_templates.py`).

A value comes from an input or from another service, so it must not change what the command means: in a path it is
percent-encoded, never empty and no `..`; in a header it has no control characters and names no secret; in JSON it
stays the value that it is.
"""

from urllib.parse import quote

from gossipreg.errors import BadParams, TooLarge
from gossipreg.sagas.command_template import CommandTemplate, in_utf8, refs_within_text, with_holes
from gossipreg.sagas.request_rules import check_header, check_path
from gossipreg.sagas.saga_model import MAX_BODY_BYTES, MAX_HEADER_BYTES, MAX_PATH_BYTES, SagaCommand
from gossipreg.sagas.saga_secrets import secret_names
from gossipreg.sagas.saga_templates import (
    CannotRender,
    JsonRenderer,
    TemplateRef,
    TemplateValues,
    parse_template,
    read_json_untrusted,
    render_text,
    short,
    write_json,
)


def render_command(command: CommandTemplate, values: TemplateValues, what: str) -> SagaCommand:
    """Raises CannotRender for a value that is not there or does not fit, TooLarge; `what` begins the text of errors."""
    try:
        path = _path(command.path, values, what)
        headers = tuple((name, _header(name, value, values, what)) for name, value in command.headers)
        return SagaCommand(command.service, command.method, path, headers, _body(command, values, what))
    except CannotRender:
        raise
    except BadParams as error:
        raise CannotRender(str(error)) from None


def check_values(command: CommandTemplate, values: TemplateValues, what: str) -> None:
    """Whether the values that are known before the saga begins fit where they stand. Raises BadParams, TooLarge. What
    needs a result is left to the step."""
    if not _needs_result(command.path, what):
        _path(command.path, values, what)
    for name, value in command.headers:
        if not _needs_result(value, what):
            _header(name, value, values, what)
    for ref in refs_within_text(command):
        if ref.source == "input":
            text = render_text((ref,), values, f"{what}: body", MAX_BODY_BYTES)
            if command.text:
                in_utf8(text, what)


def _needs_result(text: str, what: str) -> bool:
    return any(isinstance(part, TemplateRef) and part.step for part in parse_template(text, what))


def _path(path: str, values: TemplateValues, what: str) -> str:
    found, in_query = "", False
    for part in parse_template(path, what):
        if isinstance(part, TemplateRef):
            text = render_text((part,), values, f"{what}: path", MAX_PATH_BYTES)
            if not text and not in_query:
                raise CannotRender(f"{what}: path: {short(part)} is empty, so the path would mean something else")
            found += quote(in_utf8(text, what), safe="")
        else:
            found += part
            in_query = in_query or "?" in part
    check_path(found, what)
    return found


def _header(name: str, value: str, values: TemplateValues, what: str) -> str:
    template = parse_template(value, what)
    text = render_text(template, values, f"{what}: header {name}", MAX_HEADER_BYTES).strip(" \t")
    if secret_names(text) != secret_names(with_holes(template)):
        raise CannotRender(f"{what}: header {name}: a value names a secret, which only the step itself may do")
    check_header(name, text, what)
    return text


def _body(command: CommandTemplate, values: TemplateValues, what: str) -> bytes:
    if command.data:
        return command.data
    if command.json:
        value = read_json_untrusted(command.json.encode(), what)
        text = write_json(JsonRenderer(values, f"{what}: json", MAX_BODY_BYTES).render(value))
    else:
        text = render_text(parse_template(command.text, what), values, f"{what}: body", MAX_BODY_BYTES)
    body = in_utf8(text, what)
    if len(body) > MAX_BODY_BYTES:
        raise TooLarge(f"{what}: the body has {len(body)} bytes with its values filled in: at most {MAX_BODY_BYTES}")
    return body

"""The story of a saga as JSON: what stands in it as bytes becomes a value, text, or base64."""

import json
from base64 import b64encode
from typing import Any


def story_json(story: dict[str, Any]) -> dict[str, Any]:
    """`input` is its value; each step's `body` is text, or `body_base64` where it is none."""
    steps = [_without_bytes(step, "body") for step in story["steps"]]
    return {**story, "input": _value(story["input"]), "steps": steps}


def _value(data: bytes) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return None  # left out of an answer that was too long


def _without_bytes(given: dict[str, Any], name: str) -> dict[str, Any]:
    data = given[name]
    try:
        return {**given, name: data.decode()}
    except UnicodeDecodeError:
        rest = {key: value for key, value in given.items() if key != name}
        return {**rest, f"{name}_base64": b64encode(data).decode()}

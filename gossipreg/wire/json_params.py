"""The parameters of a method in JSON, as HTTP requests carry them."""

import json
import re
from typing import Any

from gossipreg.errors import BadParams
from gossipreg.strict_json import RepeatedName, unique_names
from gossipreg.wire.rpc import BYTES_A_CONTAINER, COUNTED_FROM_BYTES, params_untrusted

LONE_SURROGATE = re.compile("[\ud800-\udfff]")
"""Half of a character: JSON can write it, Unicode text cannot have it."""


def params_of_untrusted(body: bytes) -> dict[str, Any]:
    """The parameters in the body of a request; an empty body has none. Raises BadParams."""
    most = len(body) // BYTES_A_CONTAINER
    if len(body) > COUNTED_FROM_BYTES and body.count(b"[") + body.count(b"{") > most:
        raise BadParams(f"the body has more than {most} arrays and maps: send less at a time")
    try:
        text = body.decode()
        pairs = unique_names if body.count(b":") > 1 else None  # not for a lookup, whose one name needs no look
        value = json.loads(text, parse_constant=_refuse, object_pairs_hook=pairs) if text.strip() else {}
    except UnicodeDecodeError:
        raise BadParams("the body is not UTF-8: send a JSON object") from None
    except RepeatedName as error:
        raise BadParams(f"the body has {error}") from None
    except (ValueError, RecursionError) as error:
        raise BadParams(f"the body is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise BadParams("the body is not one JSON object with the parameters of the method")
    if "\\u" in text and LONE_SURROGATE.search(json.dumps(value, ensure_ascii=False)):
        raise BadParams("the body has half of a surrogate pair: send text that is Unicode")
    return params_untrusted(value)


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")

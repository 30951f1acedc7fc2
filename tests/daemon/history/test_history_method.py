"""The parameters of the method `history`: a span in which no line can be is a mistake, and said to be one."""

from typing import Any

import pytest

from gossipreg.daemon.history.history_method import history_query_untrusted
from gossipreg.errors import BadParams

NOW = 1e9


@pytest.mark.parametrize(
    "params", [{"since": 20.0, "until": 10.0}, {"since": 5.0, "until": 5.0}, {"since_s": 60, "until": NOW - 120}]
)
def test_a_span_that_ends_before_it_begins_is_refused(params: dict[str, Any]) -> None:
    with pytest.raises(BadParams, match="since is not before until"):
        history_query_untrusted(params, NOW)


@pytest.mark.parametrize(
    "params", [{"since": 5.0, "until": 10.0}, {"since_s": 60}, {"until": 5.0}, {"since": NOW + 60}]
)
def test_every_other_span_is_taken(params: dict[str, Any]) -> None:
    query = history_query_untrusted(params, NOW)
    assert query.until == params.get("until")

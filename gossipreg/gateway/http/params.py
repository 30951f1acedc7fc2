"""The parameters of queries. A route lists those that its path takes."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, eq=False)
class Param:
    """A parameter of the query."""

    name: str
    text: str
    kind: str = "string"
    required: bool = False
    repeatable: bool = False


PASSING = Param("passing", "only passing instances", "boolean")
TAG = Param("tag", "only instances with all these tags; repeatable", repeatable=True)
NODE_META = Param("node-meta", "KEY:VALUE of the member's labels; repeatable", repeatable=True)
NEAR = Param("near", "_agent: the nearest instances first")
FILTER = Param("filter", "an expression, as Node.Node == one")
PRETTY = Param("pretty", "indented", "boolean")
BLOCKING = (
    Param("index", "wait until the index of the answer differs from this one", "integer"),
    Param("wait", "the longest wait, as 30s (default 5m, at most 10m)"),
)
SHOWN = (
    PRETTY, Param("dc", "the cluster's name, or nothing"), Param("stale", "without effect", "boolean"),
    Param("consistent", "without effect", "boolean"), Param("cached", "without effect", "boolean"),
)  # fmt: skip
FORMAT = Param("format", "text or json")
SERVICE = Param("service", "only services of this name; repeatable", repeatable=True)
ENABLE = Param("enable", "true or false", "boolean", required=True)
REASON = Param("reason", "why")
NOTE = Param("note", "the note to show with the check")

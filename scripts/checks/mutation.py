"""One mutation: what the table of `mutations_table.py` is made of."""

from typing import NamedTuple


class Mutation(NamedTuple):
    name: str
    before: str
    after: str
    likely: str

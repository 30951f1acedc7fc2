"""Tell what happens: lines with the time since the start, or JSON for programs."""

import json
import textwrap
from collections.abc import Callable

import trio

WIDTH = 100
INDENT = " " * 12


class Teller:
    def __init__(self, write: Callable[[str], None], *, as_json: bool) -> None:
        """`write` prints one line, at once."""
        self._write = write
        self._as_json = as_json
        self.begun_at = trio.current_time()
        """When the demonstration began, by trio's clock."""

    @property
    def elapsed_s(self) -> float:
        return trio.current_time() - self.begun_at

    def tell(self, event: str, text: str, **facts: object) -> None:
        """Tell of an event: `text` for people, and `facts` beside it for programs."""
        if self._as_json:
            said = {"at_s": round(self.elapsed_s, 2), "event": event, "text": text, **facts}
            self._write(json.dumps(said))
            return
        time = f"t+{self.elapsed_s:.1f} s:"
        lines = textwrap.wrap(text, WIDTH - len(INDENT), break_long_words=False, break_on_hyphens=False) or [""]
        self._write(f"{time:<{len(INDENT)}}{lines[0]}")
        for line in lines[1:]:
            self._write(INDENT + line)

    def show(self, event: str, lines: list[str], **facts: object) -> None:
        """Show a drawing or a table, line by line."""
        if self._as_json:
            self.tell(event, "\n".join(lines), **facts)
            return
        for line in lines:
            self._write(INDENT + line)


def enumerated(names: list[str]) -> str:
    """`a, b and c`."""
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1]))) if names else "nobody"

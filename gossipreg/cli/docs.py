"""`gossipreg docs [TOPIC]`: the manual that is installed with the package."""

from importlib.resources import files
from importlib.resources.abc import Traversable

import click

from gossipreg.cli.options import Chosen, client_options, pass_chosen
from gossipreg.cli.output import print_json, print_line, print_table

SUFFIX = ".md"


def topics() -> dict[str, Traversable]:
    """The pages of the manual by name, in alphabetical order."""
    pages = [page for page in (files("gossipreg") / "docs").iterdir() if page.name.endswith(SUFFIX)]
    found = {page.name.removesuffix(SUFFIX): page for page in pages}
    return dict(sorted(found.items()))


def docs_files() -> dict[str, Traversable]:
    """The files beside the pages, which other programs read: a dashboard, alerts."""
    found = (files("gossipreg") / "docs").iterdir()
    return {file.name: file for file in found if file.name.endswith((".json", ".yml"))}


def title(page: Traversable) -> str:
    """The page's first heading."""
    first = page.read_text(encoding="utf-8").partition("\n")[0]
    return first.removeprefix("#").strip()


@click.command(
    epilog="""\b
    Example:
      gossipreg docs
      gossipreg docs maintenance | less
    """
)
@click.argument("topic", required=False)
@client_options
@pass_chosen
def docs(chosen: Chosen, topic: str | None) -> None:
    """Print a page of the manual, or without TOPIC list the pages. No sidecar is needed.

    TOPIC may also be a file that a page names, such as prometheus-alerts.yml.
    """
    known = topics()
    if topic is not None and (file := docs_files().get(topic.lower())) is not None:
        text = file.read_text(encoding="utf-8")
        if chosen.json:
            print_json({"topic": file.name, "text": text})
        else:
            print_line(text.rstrip("\n"))
        return
    if topic is None:
        _print_list(chosen, known)
        return
    page = known.get(topic.lower().removesuffix(SUFFIX))
    if page is None:
        raise click.UsageError(f"There is no page {topic!r}: choose from {', '.join(known)}.")
    text = page.read_text(encoding="utf-8")
    if chosen.json:
        print_json({"topic": topic, "title": title(page), "text": text})
    else:
        print_line(text.rstrip("\n"))


def _print_list(chosen: Chosen, known: dict[str, Traversable]) -> None:
    if chosen.json:
        print_json([{"topic": name, "title": title(page)} for name, page in known.items()])
    else:
        print_table(("TOPIC", "ABOUT"), [(name, title(page)) for name, page in known.items()])

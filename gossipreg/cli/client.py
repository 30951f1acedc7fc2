"""`gossipreg client LANGUAGE --print-path`: where the client library for another language is installed."""

from importlib.resources import files

import click

from gossipreg.cli.options import Chosen, client_options, pass_chosen
from gossipreg.cli.output import print_json, print_line
from gossipreg.errors import NotFound

LANGUAGES = {"node": ("package.json", "npm install PATH")}
"""By language: the file without which the folder is no client, and how the folder is installed."""


@click.command(
    epilog="""\b
    Example:
      npm install "$(gossipreg client node --print-path)"
    """
)
@click.argument("language", type=click.Choice(list(LANGUAGES)))
@click.option("--print-path", is_flag=True, help="Print the path alone, for $(...).")
@client_options
@pass_chosen
def client(chosen: Chosen, language: str, print_path: bool) -> None:
    """Say where the client library for another LANGUAGE is, and how to install it. No sidecar is needed."""
    needed, how = LANGUAGES[language]
    folder = files("gossipreg") / "client" / language
    if not (folder / needed).is_file():
        raise NotFound(f"this installation has no client for {language} at {folder}: install gossipreg from a wheel")
    if chosen.json:
        print_json({"language": language, "path": str(folder)})
    elif print_path:
        print_line(str(folder))
    else:
        print_line(f"The client for {language} is {folder}: install it with `{how.replace('PATH', str(folder))}`")

"""`gossipreg help [COMMAND]`."""

import click

from gossipreg.cli.options import client_options
from gossipreg.cli.output import print_line


@click.command(
    epilog="""\b
    Example:
      gossipreg help lookup
    """
)
@click.argument("command", required=False)
@client_options
@click.pass_context
def help(ctx: click.Context, command: str | None) -> None:
    """Show what a command does, as `gossipreg COMMAND --help`; without COMMAND, list the commands."""
    group = ctx.find_root()
    assert isinstance(group.command, click.Group)
    if command is None:
        print_line(group.command.get_help(group))
        return
    name, shown, _ = group.command.resolve_command(group, [command])  # its error names a similar command
    assert shown is not None
    print_line(shown.get_help(click.Context(shown, info_name=name, parent=group)))

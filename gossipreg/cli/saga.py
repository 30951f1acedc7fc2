"""`gossipreg saga`: run declared sagas, see what became of sagas, and decide what no program decides."""

from typing import Any

import click

from gossipreg.cli.complete import complete_saga
from gossipreg.cli.options import Chosen, client_options, in_flags, pass_chosen
from gossipreg.cli.output import print_json, print_line, printable, say, say_error
from gossipreg.cli.saga_asking import ANSWER_S, full_name
from gossipreg.cli.saga_list import list_
from gossipreg.cli.saga_run import run
from gossipreg.cli.saga_show import show
from gossipreg.cli.synced import SYNC_S, ask_when_synced
from gossipreg.errors import NotFound


class SagaCommands(click.Group):
    def invoke(self, ctx: click.Context) -> Any:
        """A saga that nobody has is a plain no, as a group is: the members that may have it were asked. `run` has begun
        the one that it misses, so its 1, which says that it was aborted, is not for that."""
        try:
            return super().invoke(ctx)
        except NotFound as error:
            if ctx.invoked_subcommand == "run":
                raise
            say_error(error.code, in_flags(str(error)), json=ctx.ensure_object(Chosen).json)
            return 1


@click.group(
    cls=SagaCommands,
    epilog="""\b
    Example: an order over two services; where the payment is refused, the stock is released.
      gossipreg saga run order.toml --input '{"sku": "a-1", "count": 2}' --id order-7
      gossipreg saga show order-7
      gossipreg saga list --state stuck
    """,
)
@client_options
def saga() -> None:
    """Run sagas, which finish or are undone whoever dies, and see what became of them."""


saga.add_command(run)
saga.add_command(show)
saga.add_command(list_)


# -- decisions ---------------------------------------------------------------------------------------------------------


@saga.command(
    epilog="""\b
    Example:
      gossipreg saga abort order-7 --reason 'the customer has cancelled'
    """
)
@click.argument("saga", metavar="SAGA", shell_complete=complete_saga)
@click.option("--reason", metavar="TEXT", help="Why, as `saga show` tells it.")
@client_options
@pass_chosen
def abort(chosen: Chosen, saga: str, reason: str | None) -> None:
    """Abort a SAGA that is not decided: what its steps did is undone."""
    with chosen.client(ANSWER_S) as client:
        name = ask_when_synced(lambda: full_name(client, saga), SYNC_S)
        about = {} if reason is None else {"reason": reason}
        result = ask_when_synced(lambda: client.call("saga-abort", saga=name, **about), SYNC_S)
    if chosen.json:
        print_json(result)
    else:
        print_line((_ABORTED_AND_OVER if result.get("ended") else _ABORTED).format(name))


_ABORTED = "aborted {}: what its steps did is being undone"
_ABORTED_AND_OVER = "{} is aborted and has ended: nothing more of it is undone"


@saga.command(
    epilog="""\b
    Example:
      gossipreg saga retry order-7
      gossipreg saga retry order-7 reserve
    """
)
@click.argument("saga", metavar="SAGA", shell_complete=complete_saga)
@click.argument("step", required=False, metavar="[STEP]")
@click.option("--why", metavar="TEXT", default="", help="Why, as `saga show` tells it.")
@client_options
@pass_chosen
def retry(chosen: Chosen, saga: str, step: str | None, why: str) -> None:
    """Try at once what a decided SAGA still has to do: the undo of STEP, or what it does after the commit. Without
    STEP, all that is open.

    Its attempts are counted anew, so it is not stuck any more.
    """
    _decide(chosen, "saga-retry", saga, step, why, "is tried again now")


@saga.command(
    epilog="""\b
    Example:
      gossipreg saga skip order-7 reserve --why 'released by hand in the warehouse'
    """
)
@click.argument("saga", metavar="SAGA", shell_complete=complete_saga)
@click.argument("step", metavar="STEP")
@click.option("--why", metavar="TEXT", required=True, help="Why, as `saga show` tells it.")
@client_options
@pass_chosen
def skip(chosen: Chosen, saga: str, step: str, why: str) -> None:
    """Leave STEP of a decided SAGA as it is: it is not undone (after a commit: not done). The others are."""
    _decide(chosen, "saga-skip", saga, step, why, "is skipped")


@saga.command(
    name="give-up",
    epilog="""\b
    Example:
      gossipreg saga give-up order-7 --why 'the shop was closed; the books are corrected'
    """,
)
@click.argument("saga", metavar="SAGA", shell_complete=complete_saga)
@click.option("--why", metavar="TEXT", required=True, help="Why, as `saga show` tells it.")
@client_options
@pass_chosen
def give_up(chosen: Chosen, saga: str, why: str) -> None:
    """End a decided SAGA as it is: nothing more of it is undone, or done after its commit.

    What its steps did, and was not undone, stays. `saga show` lists it.
    """
    _decide(chosen, "saga-give-up", saga, None, why, "is given up")


def _decide(chosen: Chosen, method: str, saga: str, step: str | None, why: str, done: str) -> None:
    for name, value in (("STEP", step), ("--why", why if method != "saga-retry" else None)):
        if value is not None and not value.strip():
            raise click.UsageError(f"{name} is empty: it is kept with the saga, so write it out.")
    params = {key: value for key, value in (("step", step), ("why", why or None)) if value is not None}
    with chosen.client(ANSWER_S) as client:
        name = ask_when_synced(lambda: full_name(client, saga), SYNC_S)
        result = ask_when_synced(lambda: client.call(method, saga=name, **params), SYNC_S)
    if chosen.json:
        print_json(result)
        return
    for one in result["steps"]:
        print_line(f"{printable(one)} {done}")
    if not result["steps"]:
        say(f"nothing of {printable(name)} is open")

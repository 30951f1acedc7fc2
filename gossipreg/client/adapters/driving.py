"""Sends the attempts of an exchange one after the other: `send_all` in a thread, `send_all_async` in a loop."""

from collections.abc import Awaitable, Callable
from time import sleep
from typing import TypeVar

from gossipreg.client.adapters.exchange import Exchange, HttpAnswer
from gossipreg.client.loops import sleep as sleep_async
from gossipreg.client.picked import PickedInstance
from gossipreg.client.picking.outcomes import Outcome

R = TypeVar("R")
Classify = Callable[[Exception], Outcome]


def send_all(
    exchange: Exchange,
    send: Callable[[PickedInstance], R],
    classify: Classify,
    answer: Callable[[R], HttpAnswer],
    discard: Callable[[R], None],
) -> R:
    """The answer of the last attempt; raises what the last attempt raised.

    `send` makes one attempt; `classify` says what its exception means; `answer` reads a response; `discard` closes one
    that the program does not get.
    """
    with exchange:
        response: R | None = None
        error: Exception | None = None
        try:
            while (instance := exchange.next_instance()) is not None:
                if response is not None:
                    unwanted, response = response, None
                    discard(unwanted)
                try:
                    response, error = send(instance), None
                except Exception as raised:
                    if not exchange.failed(classify(raised)):
                        raise
                    response, error = None, raised
                else:
                    if not exchange.answered(answer(response)):
                        return response
                sleep(exchange.wait_s)
        except BaseException:
            error = None
            if response is not None:
                discard(response)
            raise
        try:
            if error is not None:
                raise error
        finally:
            error = None  # its traceback refers to this frame, and would keep sockets until the next collection
        assert response is not None
        return response


async def send_all_async(
    exchange: Exchange,
    send: Callable[[PickedInstance], Awaitable[R]],
    classify: Classify,
    answer: Callable[[R], HttpAnswer],
    discard: Callable[[R], Awaitable[None]],
) -> R:
    """As `send_all`. A cancellation is no Exception: it ends the exchange as neutral."""
    with exchange:
        response: R | None = None
        error: Exception | None = None
        try:
            while (instance := exchange.next_instance()) is not None:
                if response is not None:
                    unwanted, response = response, None
                    await discard(unwanted)
                try:
                    response, error = await send(instance), None
                except Exception as raised:
                    if not exchange.failed(classify(raised)):
                        raise
                    response, error = None, raised
                else:
                    if not exchange.answered(answer(response)):
                        return response
                await sleep_async(exchange.wait_s)
        except BaseException:
            error = None
            if response is not None:
                await discard(response)
            raise
        try:
            if error is not None:
                raise error
        finally:
            error = None  # its traceback refers to this frame, and would keep sockets until the next collection
        assert response is not None
        return response

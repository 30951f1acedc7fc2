"""Outbox and inbox for psycopg.AsyncConnection, which runs under asyncio."""

import asyncio
from dataclasses import dataclass
from typing import Any

import pytest

from gossipreg import AsyncInbox, AsyncOutbox, BadParams, Inbox, Outbox, Refused, relay_once
from tests.client.outbox.databases import Database, NotingPublisher

psycopg: Any = pytest.importorskip("psycopg")


@dataclass(frozen=True)
class Came:
    id: str = "1"
    source: str = "shop"


async def opened(database: Database) -> Any:
    return await psycopg.AsyncConnection.connect(database.address)


def test_an_async_outbox_writes_into_the_transaction(postgres_database: Database) -> None:
    async def run() -> None:
        connection = await opened(postgres_database)
        outbox = AsyncOutbox(connection, table="async_outbox")
        await outbox.create_table()
        await connection.commit()
        await outbox.publish("undone")
        await connection.rollback()
        assert await outbox.publish("order.created", {"order": 7}, id="7", key="k") == "7"
        await connection.commit()
        outbox.wake()
        await connection.close()

    asyncio.run(run())
    publisher = NotingPublisher()
    assert relay_once(postgres_database.connect, publisher, table="async_outbox").sent == 1
    assert (publisher.events[0]["data"], publisher.events[0]["id"]) == ({"order": 7}, "7")


def test_an_async_inbox_notes_an_event_once(postgres_database: Database) -> None:
    async def handle(database: Database, fails: bool = False) -> bool:
        async with await opened(database) as connection, AsyncInbox(connection).once(Came(), "bill") as first:
            if first:
                await connection.execute("INSERT INTO orders VALUES (1)")
            if fails:
                raise TimeoutError
            return bool(first)

    async def run() -> None:
        with pytest.raises(asyncio.TimeoutError):
            await handle(postgres_database, fails=True)
        assert sorted(await asyncio.gather(*(handle(postgres_database) for _ in range(6)))) == [False] * 5 + [True]

    asyncio.run(run())
    assert postgres_database.query("SELECT id FROM orders") == [(1,)]


def test_an_async_note_goes_with_the_programs_transaction(postgres_database: Database) -> None:
    async def run() -> list[bool]:
        found = []
        async with await opened(postgres_database) as connection:
            inbox = AsyncInbox(connection)
            for end in (connection.rollback, connection.commit, connection.commit):
                async with inbox.once(Came(), "bill", commit=False) as first:
                    found.append(first)
                await end()
            await connection.set_autocommit(True)
            with pytest.raises(Refused, match="begin one"):
                async with inbox.once(Came(), "bill", commit=False):
                    pass
        return found

    assert asyncio.run(run()) == [True, True, False]


def test_an_async_inbox_refuses_an_open_transaction(postgres_database: Database) -> None:
    async def run() -> None:
        async with await opened(postgres_database) as connection:
            inbox = AsyncInbox(connection)
            await connection.execute("SELECT 1")
            with pytest.raises(Refused, match="open"):
                async with inbox.once(Came(), "bill"):
                    pass
            assert await inbox.forget() == 0

    asyncio.run(run())


def test_each_kind_of_connection_has_its_class(postgres_database: Database) -> None:
    async def run() -> None:
        async with await opened(postgres_database) as connection:
            for kind in (Outbox, Inbox):
                with pytest.raises(BadParams, match="begins with Async"):
                    kind(connection)

    asyncio.run(run())
    with postgres_database.connect() as connection:
        for kind in (AsyncOutbox, AsyncInbox):
            with pytest.raises(BadParams, match="AsyncConnection"):
                kind(connection)

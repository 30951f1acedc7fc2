"""Writers of journals, in a process of their own: for the row `journal-store`.

    python -m scripts.benchmarks.journal_writers FOLDER WRITERS WRITES

Each writer has a journal and adds one entry of 1 KiB after the other to it, so many WRITES; each waits until its entry
is on the disk. Prints one JSON object.
"""

import gc
import json
import os
import sys
import time
from array import array
from functools import partial
from itertools import count
from pathlib import Path

import trio

from gossipreg.journal.effects import LogBase, WriteJournal
from gossipreg.journal.model import START, Ballot, Configuration, JournalId, LogEntry, ReplicaId
from gossipreg.model import NodeId
from scripts.tools.machine import cpu_s, private_dirty_kib

ENTRY_BYTES = 1024


async def main(folder: Path, writers: int, writes: int) -> None:
    times = array("d", bytes(8 * writers * writes))
    gc.collect()
    before_kib = private_dirty_kib(os.getpid())
    from gossipreg.daemon.journals.results import WriteDone  # what loads SQLite counts too
    from gossipreg.daemon.journals.store import JournalStore

    waits: dict[int, trio.Event] = {}
    measured = count()

    async def done(store: JournalStore, write: WriteJournal) -> None:
        waits[write.number] = event = trio.Event()
        store.submit(write)
        await event.wait()

    async def take(store: JournalStore) -> None:
        while True:
            for result in await store.results():
                if not isinstance(result, WriteDone):
                    sys.exit(f"the store failed: {result}")
                waits.pop(result.number).set()

    async def write(store: JournalStore, writer: int) -> None:
        journal, replica = JournalId(writer.to_bytes(16)), ReplicaId(writer.to_bytes(16))
        asked = partial(WriteJournal, journal=journal, replica=replica, owner=NodeId(bytes(16)))
        await done(store, asked(writer, reset=LogBase(START, 0, Configuration(()))))
        for index in range(1, writes + 1):
            entry = LogEntry(index, Ballot(1, replica), 0, 2, os.urandom(ENTRY_BYTES))
            since = time.perf_counter()
            await done(store, asked(index * writers + writer, entries=(entry,)))
            times[next(measured)] = 1000 * (time.perf_counter() - since)

    async with JournalStore(folder) as store:
        await store.open()
        began, used = time.perf_counter(), cpu_s(os.getpid())
        async with trio.open_nursery() as nursery:
            nursery.start_soon(take, store)
            async with trio.open_nursery() as writing:
                for writer in range(writers):
                    writing.start_soon(write, store, writer)
            nursery.cancel_scope.cancel()
        seconds, used = time.perf_counter() - began, cpu_s(os.getpid()) - used
        gc.collect()
        os.sync()
        print(
            json.dumps({
                "ms": times.tolist(),
                "writes_a_second": len(times) / seconds,
                "commits_a_second": store.statistics().commits / seconds,
                "cpu_us": 1e6 * used / len(times),
                "memory_kib": private_dirty_kib(os.getpid()) - before_kib,
            })
        )  # fmt: skip


if __name__ == "__main__":
    trio.run(main, Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))

"""A process that writes journals until it is killed, or to the end.

    python -m tests.daemon.journals.writing_child FOLDER SEED FIRST LAST [limit | small]

Asks for the writes FIRST to LAST of `RandomWrites(SEED)`, which follow from what is in FOLDER. Prints how many of all
are reported as done, each time that some are. With `limit` its files may not grow beyond `LIMIT_BYTES`; with `small`
FOLDER is a small file system. The store fails then: it prints `failed FAULT REASON`, makes room, opens the database
again, prints `opened` and the number of writes that were done, and does `MORE` after these. (Nothing is removed then: a
removal would be done in spite of the failure.)
"""

import random
import resource
import subprocess
import sys
from pathlib import Path

import trio

from gossipreg.daemon.journals.results import StoreFailed
from gossipreg.daemon.journals.store import JournalStore
from tests.daemon.journals.images import by_journal
from tests.daemon.journals.writes import RandomWrites, place_of, states

ASKED_AHEAD = 40
LIMIT_BYTES = 400_000
MORE = 60


async def write(store: JournalStore, writes: RandomWrites, first: int, last: int) -> int:
    """How many are done: `last`, or fewer if the store failed."""
    asked = done = first
    while done < last:
        while asked < min(last, done + ASKED_AHEAD):
            store.submit(writes.next())
            asked += 1
        for result in await store.results():
            if isinstance(result, StoreFailed):
                print("failed", result.fault.value, result.reason, flush=True)
                return done
            done += 1
        print(done, flush=True)
    return done


def advanced(seed: int, count: int, *, removals: bool) -> RandomWrites:
    writes = RandomWrites(random.Random(seed), removals=removals, large=False)
    for _ in range(count):
        writes.next()
    return writes


async def main(folder: Path, seed: int, first: int, last: int, how: str) -> None:
    async with JournalStore(folder) as store:
        await store.open()
        if how == "limit":
            resource.setrlimit(resource.RLIMIT_FSIZE, (LIMIT_BYTES, resource.RLIM_INFINITY))
        reported = await write(store, advanced(seed, first, removals=not how), first, last)
        if reported == last:
            return
        if how == "limit":
            resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        else:
            subprocess.run(["mount", "-o", "remount,size=20m", folder], check=True)
        found = by_journal(await store.open())
        done = place_of(found, states(seed, last, removals=False), reported)  # some writes change nothing
        print("opened", done, flush=True)
        await write(store, advanced(seed, done, removals=False), done, done + MORE)


if __name__ == "__main__":
    folder, seed, first, last, how = [*sys.argv[1:], ""][:5]
    trio.run(main, Path(folder), int(seed), int(first), int(last), how)

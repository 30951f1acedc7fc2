"""A full table in whole clusters: the event that it is full, and the one that it has room again."""

import pytest

from gossipreg.core.table import table
from tests.core.cluster import Cluster


def test_a_full_table_is_reported_until_there_is_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "MAX_ROWS", 4)
    cluster = Cluster(seed=1)
    hosts = cluster.grow(4)
    cluster.join(seed=hosts[0])
    cluster.run(120)
    assert "table_full" in cluster.events(hosts[0])
    assert "table_full_over" not in cluster.events(hosts[0])
    cluster.crash(hosts[3])
    assert cluster.until(lambda: "table_full_over" in cluster.events(hosts[0]), 5)

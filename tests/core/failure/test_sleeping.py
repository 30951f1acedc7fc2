"""A process that stood still for a while: the silence of that time means nothing."""

from gossipreg.config import lan
from tests.core.cluster import Cluster


def test_time_that_all_others_slept_is_no_silence_of_a_suspect() -> None:
    cluster = Cluster(seed=5)
    suspect, *others = cluster.form(5)
    cluster.run(2)
    cluster.stall(suspect)
    assert cluster.until(lambda: any(cluster.state_at(host, suspect) == "suspect" for host in others), 3, 0.01)
    for host in others:
        cluster.stall(host)
    cluster.run(30)
    for host in others:
        cluster.resume(host)
    cluster.run(lan.floor_silent_s / 2)
    cluster.resume(suspect)
    cluster.run(5)
    assert [host.node.statistics(cluster.now).get("verdicts") for host in others] == [None] * 4

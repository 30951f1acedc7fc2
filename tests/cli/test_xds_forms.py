"""What the bootstraps say, beside what their real readers show."""

from gossipreg.cli.xds_forms import envoy_bootstrap
from gossipreg.gateway.xds.model import SIDECAR_CLUSTER, TAKEN_NAMES


def test_envoy_looks_often_for_a_sidecar_that_was_away() -> None:
    bootstrap = envoy_bootstrap("127.0.0.1:1", {"id": "e"}, delta=False, admin_port=0, local="callers")
    [service] = bootstrap["dynamic_resources"]["ads_config"]["grpc_services"]
    assert service["envoy_grpc"]["retry_policy"] == {"retry_back_off": {"base_interval": "0.5s", "max_interval": "2s"}}


def test_no_service_can_take_a_cluster_of_the_bootstrap() -> None:
    bootstrap = envoy_bootstrap("127.0.0.1:1", {"id": "e"}, delta=False, admin_port=0, local="gossipreg-members")
    names = {one["name"] for one in bootstrap["static_resources"]["clusters"]}
    assert SIDECAR_CLUSTER in names
    assert names < TAKEN_NAMES.keys()

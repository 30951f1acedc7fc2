"""What the bootstraps say, beside what their real readers show."""

from gossipreg.cli.xds_forms import envoy_bootstrap


def test_envoy_looks_often_for_a_sidecar_that_was_away() -> None:
    bootstrap = envoy_bootstrap("127.0.0.1:1", {"id": "e"}, delta=False, admin_port=0, local="callers")
    [service] = bootstrap["dynamic_resources"]["ads_config"]["grpc_services"]
    assert service["envoy_grpc"]["retry_policy"] == {"retry_back_off": {"base_interval": "0.5s", "max_interval": "2s"}}

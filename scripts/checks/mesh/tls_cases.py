"""What must hold for mutual TLS between two Envoys, one function a case. Each raises AssertionError with what did not.

A case makes a mesh of its own; `delta` says how its Envoys speak.
"""

import os
import sys
from collections.abc import Callable

from scripts.checks.mesh.cases import nothing_failed
from scripts.checks.mesh.envoy_front import EnvoyCaller
from scripts.checks.mesh.tls_mesh import reasons, tls_mesh
from scripts.tools.wait import wait_for

TlsCase = Callable[[bool], None]

SHORT_LIVED = [
    sys.executable, "-c",
    "import sys; from datetime import timedelta; from gossipreg.cli.commands import run; "
    "from gossipreg.gateway.xds.resources import mesh_secrets; mesh_secrets.LIFE = timedelta(seconds=8); "
    "sys.exit(run(sys.argv[1:]))",
]  # fmt: skip
"""A sidecar whose certificates are good for 8 s."""


def mutual_tls(delta: bool) -> None:
    """Calls go by TLS, the service learns who calls, and nobody without a certificate of the mesh is let in."""
    with tls_mesh(delta=delta) as mesh:
        answers = mesh.envoy.calls(20)
        nothing_failed(answers)
        assert [who.endswith("URI=spiffe://default/svc/shop") for who in answers.by] == [True], answers.by
        assert mesh.tls_of("handshake", "web") >= 1, "shop called web without TLS"
        for what, status in {
            "no certificate": mesh.ask(None),
            "one by another key": mesh.ask(os.urandom(32)),
            "one by the same key of another cluster": mesh.ask(mesh.key, cluster="other"),
            "one of the mesh with a name of another cluster": mesh.ask(mesh.key, id="spiffe://other/svc/web"),
            "clear text": mesh.ask_in_clear_text(),
        }.items():
            assert status == 0, f"a caller with {what} is let in"
        assert mesh.ask(mesh.key) == 200, "a caller with a certificate of the mesh is not let in"


def impostor(delta: bool) -> None:
    """An instance that shows the certificate of another service of the mesh gets no calls."""
    with tls_mesh(delta=delta) as mesh:
        tls = {"xds-tls-port": str(mesh.tls_port)}  # where the Envoy of `web` answers
        mesh.shop.call("register", name="bank", id="b", port=2, address="127.0.0.1", meta=tls)
        bank = EnvoyCaller("bank", mesh.envoy.port, mesh.envoy.admin_port)
        wait_for(lambda: "503" in str([*bank.calls(1).errors]), what="a call to bank fails")
        assert not bank.calls(5).by
        wait_for(lambda: mesh.tls_of("fail_verify_san", "bank") >= 1, what="it failed by the name in the certificate")
        nothing_failed(mesh.envoy.calls(5))


def key_replaced(delta: bool) -> None:
    """The key of the cluster is changed in three steps, and no call fails; then the old CA is not trusted any more."""
    with tls_mesh(delta=delta) as mesh:
        old, new = mesh.key, os.urandom(32)
        mesh.envoy.begin_load(50)
        for keys in ([old, new], [new, old], [new]):
            before = mesh.secrets()
            mesh.change_keys(*keys)
            mesh.wait_for_other_secrets(before)
            assert [mesh.ask(key) for key in keys] == [200] * len(keys), "a key of the ring is not trusted"
        nothing_failed(mesh.envoy.end_load())
        assert mesh.ask(old) == 0, "a caller with a certificate by the old key is let in"
        nothing_failed(mesh.envoy.calls(20))


def renewed(delta: bool) -> None:
    """Certificates are made anew three times, and no call fails."""
    with tls_mesh(delta=delta, command=SHORT_LIVED) as mesh:
        mesh.envoy.begin_load(50)
        for _ in range(3):
            mesh.wait_for_other_secrets(mesh.secrets())
        nothing_failed(mesh.envoy.end_load())
        assert mesh.tls_of("handshake", "web") >= 2, "connections outlive their certificates"


def back(delta: bool) -> None:
    """Without an instance of its own service an Envoy gets nothing new and keeps what it has; then it follows again."""
    with tls_mesh(delta=delta) as mesh:
        mesh.shop.call("deregister", id="s")
        mesh.shop.call("register", name="api", id="a", port=mesh.application.port, address="127.0.0.1")
        wait_for(lambda: any("no instance of shop" in why for why in reasons(mesh.shop)), what="`xds show` says why")
        nothing_failed(mesh.envoy.calls(20))
        mesh.shop.call("register", name="shop", id="s2", port=1, address="127.0.0.1")
        api = EnvoyCaller("api", mesh.envoy.port, mesh.envoy.admin_port)
        wait_for(lambda: bool(api.calls(1).by), what="the Envoy knows what has come meanwhile")
        assert api.calls(5).by == {"nobody": 5}, "api has no `xds-tls-port`, so it is called in clear text"
        assert reasons(mesh.shop) == set()
        nothing_failed(mesh.envoy.calls(20))


TLS_CASES: dict[str, TlsCase] = {case.__name__: case for case in (mutual_tls, impostor, key_replaced, renewed, back)}

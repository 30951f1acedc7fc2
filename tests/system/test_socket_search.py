"""A sidecar that systemd runs, as other users of the machine find it: /run of its own, real users, a real sidecar."""

import json
import os
import shutil
import subprocess
import sys

import pytest

PROGRAM = """if True:
    import grp, json, os, subprocess, sys
    from gossipreg.cli import commands, info, output  # loaded before other users, who may not read this folder
    import gossipreg.client, gossipreg.drops, json.encoder, stringprep

    UNIT, APP, GROUP = 64_999, 64_998, grp.getgrgid(1).gr_name
    subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755", "none", "/run"], check=True)
    os.makedirs("/run/gossipreg", 0o755)
    for uid in (0, APP):
        os.makedirs(f"/run/user/{uid}", 0o700)
        os.chown(f"/run/user/{uid}", uid, uid)
    sidecar = subprocess.Popen(
        [sys.executable, "-m", "gossipreg", "join", "--bind", "127.0.0.1:0", "--socket-group", GROUP, "--log-level",
         "error", "--socket", "/run/gossipreg/gossipreg.sock"], stdout=subprocess.PIPE)
    assert sidecar.stdout.readline().startswith(b"ready ")
    os.chown("/run/gossipreg", UNIT, UNIT)
    os.chown("/run/gossipreg/gossipreg.sock", UNIT, 1)

    def ask(uid, groups, runtime):
        reader, writer = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.environ.pop("XDG_RUNTIME_DIR", None)
            if runtime:
                os.environ["XDG_RUNTIME_DIR"] = runtime
            os.dup2(writer, 1)
            os.dup2(writer, 2)
            os.setgroups(groups)
            os.setgid(uid)
            os.setuid(uid)
            code = commands.run(["info", "--json"])
            os._exit(code)
        os.close(writer)
        said = b""
        while more := os.read(reader, 65536):
            said += more
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), json.loads(said)

    cases = {
        "a user of the group": (APP, [1], None),
        "a login of the group": (APP, [1], f"/run/user/{APP}"),
        "a login of root": (0, [], "/run/user/0"),
        "root without a login": (0, [], None),
        "another user": (APP, [], f"/run/user/{APP}"),
    }
    found = {who: ask(*how) for who, how in cases.items()}
    sidecar.terminate()
    sidecar.wait(60)
    found["a login of the group, later"] = ask(*cases["a login of the group"])
    said = {who: [code, said.get("error", {}).get("message", "found")] for who, (code, said) in found.items()}
    print(json.dumps(said))
"""


def can_make_namespaces() -> bool:
    if os.getuid() != 0 or shutil.which("unshare") is None:
        return False
    return subprocess.run(["unshare", "-m", "true"], capture_output=True, timeout=60).returncode == 0


@pytest.mark.skipif(not can_make_namespaces(), reason="needs root, and mount namespaces")
def test_users_find_the_socket_of_the_systemd_unit() -> None:

    environment = {name: value for name, value in os.environ.items() if not name.startswith("GOSSIPREG_")}
    ended = subprocess.run(
        ["unshare", "-m", "--propagation", "private", sys.executable, "-c", PROGRAM],
        capture_output=True, text=True, timeout=120, env=environment | {"TMPDIR": "/tmp"},
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    found = json.loads(ended.stdout)
    for who in ("a user of the group", "a login of the group", "a login of root", "root without a login"):
        assert found[who] == [0, "found"], who
    code, message = found["another user"]
    assert (code, message) == (
        3, "the socket /run/gossipreg/gossipreg.sock exists, but this user may not use it: see `join --socket-group`",
    )  # fmt: skip
    code, message = found["a login of the group, later"]
    assert code == 3
    assert "start one with `gossipreg join`" in message

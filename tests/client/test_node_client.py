"""The Node.js client: its own tests, its package, its types and its manual.

Its own tests run with `node --test`. They need traces of the Python client, real sidecars and certificates.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from gossipreg.cli.docs import topics
from scripts.tools.sidecars import Sidecars
from tests.client.node.certificates import write_certificates
from tests.client.node.knowledge_traces import known_trace, trust_trace
from tests.client.node.picking_traces import picking_trace

CLIENT = Path(__file__).parents[2] / "gossipreg" / "client" / "node"
TESTS = Path(__file__).parent / "node"
BOUND_S = 300.0
PICKING_SEEDS = range(1, 21)
KNOWLEDGE_SEEDS = range(20)
NODE_MIN = 18


def _node_fault() -> str:
    """Why the tests cannot run; empty if they can."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        return "node and npm are not installed"
    version = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout
    found = int(re.findall(r"\d+", version)[0])
    return "" if found >= NODE_MIN else f"node is {version.strip()}, and the client needs {NODE_MIN}"


NODE_FAULT = _node_fault()
pytestmark = pytest.mark.skipif(bool(NODE_FAULT), reason=NODE_FAULT)


def node_test(name: str, **env: str) -> int:
    """Run one file with `node --test`; return how many tests passed. Fails if one does not."""
    given = {**os.environ, "PYTHON": sys.executable, **env}
    command = ["node", "--test", "--test-reporter=tap", str(TESTS / f"{name}.test.mjs")]
    ended = subprocess.run(command, capture_output=True, text=True, env=given, timeout=BOUND_S)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    passed = re.search(r"^# pass (\d+)$", ended.stdout, re.MULTILINE)
    assert passed is not None, ended.stdout
    return int(passed[1])


# -- decisions ---------------------------------------------------------------------------------------------------------


def test_every_case_of_the_common_table_holds() -> None:
    cases = json.loads((CLIENT.parent / "cases.json").read_text())["cases"]
    forks = [case for case in cases if any(step["do"] == "fork" for step in case["steps"])]
    assert len(forks) == 1, "a process of Node.js is not forked: only what a fork does is left out"
    assert node_test("cases") == len(cases) - len(forks) + 1


def test_the_core_picks_retries_and_breaks_as_in_python(tmp_path: Path) -> None:
    traces = tmp_path / "traces.json"
    traces.write_text(json.dumps({"picking": [picking_trace(seed) for seed in PICKING_SEEDS]}))
    assert node_test("picking", TRACES=str(traces)) == len(PICKING_SEEDS) + 1


def test_snapshots_follow_a_sidecar_as_in_python(tmp_path: Path) -> None:
    known = [known_trace(seed) for seed in KNOWLEDGE_SEEDS]
    trust = [trust_trace(seed) for seed in KNOWLEDGE_SEEDS]
    traces = tmp_path / "traces.json"
    traces.write_text(json.dumps({"known": known, "trust": trust}))
    assert node_test("knowledge", TRACES=str(traces)) == 2 * len(KNOWLEDGE_SEEDS) + 1


def test_a_stream_changes_only_what_its_sidecar_is_believed_in() -> None:
    assert node_test("conversation") >= 11


# -- real sidecars and servers -----------------------------------------------------------------------------------------


def test_registry_works_with_real_sidecars() -> None:
    assert node_test("registry") > 20


def test_names_that_are_used_later_come_over_the_same_stream() -> None:
    assert node_test("further-names") == 3


def test_a_registration_does_not_wait_for_ever() -> None:
    assert node_test("registration") == 3


def test_wrong_options_and_types_are_refused_at_once() -> None:
    assert node_test("wrong-values") >= 25


def test_fetch_works_with_real_servers(tmp_path: Path) -> None:
    write_certificates(tmp_path)
    assert node_test("fetch", CERTIFICATES=str(tmp_path)) >= 20


def test_calls_and_picks_work_with_real_servers() -> None:
    assert node_test("calls") >= 9


# -- events ------------------------------------------------------------------------------------------------------------


def test_events_work_with_real_sidecars() -> None:
    assert node_test("events") == 12


def test_a_publish_whose_answer_is_lost_counts_once() -> None:
    assert node_test("publish-histories") == 12


def test_handlers_outlive_the_connections_of_their_events() -> None:
    assert node_test("event-histories") == 19


def test_events_are_what_they_say_and_loops_give_them_back() -> None:
    assert node_test("event-values") == 9


# -- sagas -------------------------------------------------------------------------------------------------------------


def test_a_saga_commits_or_aborts_whatever_is_lost() -> None:
    assert node_test("sagas") == 48


def test_a_declared_saga_is_begun_once() -> None:
    assert node_test("run-sagas") == 15


def test_a_step_that_outlives_its_saga_is_taken_in_no_other() -> None:
    assert node_test("late-steps") == 3


def test_a_participant_keeps_its_rules_as_in_python() -> None:
    assert node_test("participant") == 31


# -- the package -------------------------------------------------------------------------------------------------------


class Project:
    """A program's folder, with the client installed by npm."""

    def __init__(self, folder: Path, init: tuple[str, ...] = ()) -> None:
        """`init`: the command of npm that makes the package.json; none: it is one of ES modules."""
        self.folder = folder
        if init:
            self.npm(*init)
        else:
            (folder / "package.json").write_text('{"private": true, "type": "module"}')
        packed = self.npm("pack", str(CLIENT), "--pack-destination", str(folder), "--json")
        self.files = {one["path"] for one in json.loads(packed)[0]["files"]}
        self.npm("install", "--offline", str(folder / json.loads(packed)[0]["filename"]))

    def npm(self, *arguments: str) -> str:
        given = ["npm", "--no-audit", "--no-fund", *arguments]
        ended = subprocess.run(given, cwd=self.folder, capture_output=True, text=True, timeout=BOUND_S)
        assert ended.returncode == 0, ended.stderr
        return ended.stdout

    def need(self, *packages: str) -> None:
        """Install packages of others. Skips the test where that is not possible."""
        try:
            self.npm("install", *packages)
        except AssertionError as error:
            pytest.skip(f"npm cannot install {', '.join(packages)} here: {str(error).splitlines()[0]}")

    def run(self, script: str, name: str = "program.mjs", **env: str) -> str:
        path = self.folder / name
        path.write_text(script)
        given = {**os.environ, **env}
        ended = subprocess.run(
            ["node", str(path)], cwd=self.folder, capture_output=True, text=True, env=given, timeout=BOUND_S
        )
        assert ended.returncode == 0, ended.stdout + ended.stderr
        return ended.stdout


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return Project(tmp_path_factory.mktemp("project"))


@pytest.fixture(scope="module")
def socket() -> Iterator[str]:
    with Sidecars() as sidecars:
        yield str(sidecars.start("n0").wait_ready().socket)


def test_npm_installs_every_module_of_the_folder(project: Project) -> None:
    modules = {str(path.relative_to(CLIENT)) for path in CLIENT.rglob("*") if path.suffix in (".mjs", ".ts")}
    assert modules | {"package.json"} == project.files
    assert project.run("import { connect } from 'gossipreg'; console.log(typeof connect)") == "function\n"


def test_the_package_has_the_version_of_this_release() -> None:
    from gossipreg import __version__

    assert json.loads((CLIENT / "package.json").read_text())["version"] == __version__


@pytest.mark.parametrize("folder", [CLIENT, TESTS])
def test_a_module_has_at_most_400_lines_of_120_characters(folder: Path) -> None:
    texts = {path.name: path.read_text().splitlines() for path in folder.rglob("*.*s")}
    assert len(texts) >= 8
    assert [name for name, lines in texts.items() if len(lines) > 400] == []
    assert [name for name, lines in texts.items() if any(len(line) > 120 for line in lines)] == []


def test_everything_that_is_exported_has_a_type(project: Project) -> None:
    script = "console.log(JSON.stringify(Object.keys(await import('gossipreg'))))"
    exported = set(json.loads(project.run(script)))
    types = "".join((CLIENT / name).read_text() for name in ("index.d.ts", "events.d.ts", "sagas.d.ts"))
    assert exported == set(re.findall(r"^export (?:class|function) (\w+)", types, re.MULTILINE))


# -- the manual --------------------------------------------------------------------------------------------------------

BLOCK = re.compile(r"^```js ?(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
SERVER = """
import { createServer } from "node:http";
import { connect as open } from "gossipreg";
const others = await open();
const charged = createServer((request, response) => response.end("charged"));
await new Promise((resolve) => charged.listen(0, "127.0.0.1", resolve));
await others.register({ name: "billing", port: charged.address().port, address: "127.0.0.1", tags: ["v2"] });
await others.register({ name: "cache", port: 6379, address: "127.0.0.1" });
await others.service("billing").wait(1);
"""


def blocks(kind: str = "") -> str:
    """The blocks of the manual of this kind, one after the other."""
    found = BLOCK.findall(topics()["client-node"].read_text(encoding="utf-8"))
    assert found
    return "".join(text for of, text in found if of == kind)


def test_the_blocks_of_the_manual_run(project: Project, socket: str) -> None:
    end = (
        blocks("stop")
        + "process.kill(process.pid, 'SIGTERM');\nothers.close(); charged.closeAllConnections(); charged.close();"
    )
    said = project.run(SERVER + blocks() + "const server = charged;\n" + end, GOSSIPREG_SOCKET=socket)
    assert "200 charged" in said
    assert "asked 127.0.0.1:6379" in said
    assert "ask 127.0.0.1:6379 within 10000 ms" in said


def test_the_events_of_the_manual_are_published_and_handled(project: Project, tmp_path: Path) -> None:
    known = """
    import { connect } from "gossipreg";
    const registry = await connect();
    const known = await registry.subscribe("mail.*", { group: "audit" }, () => {});
    await registry.publish("mail.first", 0, { timeoutMs: 60_000 });
    await known.close();
    """
    with Sidecars() as sidecars:
        socket = str(sidecars.start("n0", "--data-dir", str(tmp_path)).wait_ready().socket)
        said = project.run(known + blocks("events") + "registry.close();", GOSSIPREG_SOCKET=socket)
    assert re.search(r"^[0-9a-f]{32} is on 1 disks, and 1 groups get it$", said, re.MULTILINE)
    assert "mail for order 7, attempt 1\n" in said
    assert "mail.sent for order 7\n" in said


def test_the_sagas_of_the_manual_commit(project: Project, tmp_path: Path) -> None:
    serve = """
    import { createServer } from "node:http";
    import { connect } from "gossipreg";
    const registry = await connect();
    const taken = [];
    const server = createServer((request, response) => {
      taken.push(`${request.method} ${request.url.split("/")[1]}`);
      response.end("{}");
    });
    await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
    await registry.register({ name: "stock", port: server.address().port, address: "127.0.0.1" });
    await registry.service("stock").wait(1);
    """
    end = "console.log(taken.sort().join()); registry.close(); server.closeAllConnections(); server.close();"
    with Sidecars() as sidecars:
        socket = str(sidecars.start("n0", "--data-dir", str(tmp_path)).wait_ready().socket)
        said = project.run(serve + blocks("steps") + end, GOSSIPREG_SOCKET=socket)
    assert said.splitlines() == [
        "reserve done, pay done", "restock-7 is committed", "PUT orders,PUT payments,PUT reservations",
    ]  # fmt: skip


@pytest.mark.wide
def test_the_manual_makes_a_new_project_take_its_examples(tmp_path: Path) -> None:
    manual = topics()["client-node"].read_text(encoding="utf-8")
    said = manual[: manual.index("```js")]
    assert ".mjs" in said, "before the first example, since a new project refuses `import` in a .js file"
    recipe = re.search(r"`npm (pkg set [^`]+)`", said)
    assert recipe is not None
    fresh = Project(tmp_path, init=("init", "-y"))
    fresh.npm(*recipe[1].split())
    assert fresh.run("import { connect } from 'gossipreg'; console.log(typeof connect)", "program.js") == "function\n"


def test_the_server_of_the_manual_is_found_with_its_load(project: Project, socket: str) -> None:
    ask = """
    await registry.service("hello").wait(1);
    const answer = await registry.fetch("http://hello.service/");
    console.log(await answer.text(), answer.headers.get("gossipreg-load"));
    registry.close(); server.close();
    """
    assert project.run(blocks("http") + ask, GOSSIPREG_SOCKET=socket) == "hello in_flight=1\n"


@pytest.mark.wide  # with packages of npm
def test_opentelemetry_collects_the_counters(project: Project, socket: str) -> None:
    project.need("@opentelemetry/api@1", "@opentelemetry/sdk-metrics@1")
    said = project.run(
        """
        import { MeterProvider, MetricReader } from "@opentelemetry/sdk-metrics";
        import { connect } from "gossipreg";
        import { observe } from "gossipreg/otel";
        class Reader extends MetricReader { async onForceFlush() {} async onShutdown() {} }
        const reader = new Reader();
        const meter = new MeterProvider({ readers: [reader] }).getMeter("test");
        const registry = await connect();
        await registry.register({ name: "web", port: 1, address: "127.0.0.1" });
        await registry.service("web").wait(1);
        for (let times = 0; times < 2; times++) observe(registry, meter);
        const fails = [() => observe({}, meter), () => observe(registry, {})];
        for (const fail of fails) try { fail(); } catch (error) { console.log(error.code); }
        await registry.service("web").call(() => 1);
        await registry.service("Web").configure({ policy: "random" }).call(() => 1);
        const pick = registry.service("web").pick();
        async function show() {
          const { resourceMetrics, errors } = await reader.collect();
          const points = resourceMetrics.scopeMetrics.flatMap(({ metrics }) => metrics)
            .map(({ descriptor, dataPoints }) => [descriptor.name.replace("gossipreg.client.", ""), dataPoints])
            .filter(([, points]) => points.some(({ value }) => value));
          for (const [name, [{ value, attributes }, ...more]] of points)
            console.log(name, value, attributes["gossipreg.service"], more.length, errors.length);
        }
        await show();
        pick.end();
        registry.close();
        """,
        GOSSIPREG_SOCKET=socket,
    )
    counted = {"picks": 3, "successes": 2, "calls": 2, "attempts": 2, "calls_succeeded": 2, "in_flight": 1}
    lines = sorted(f"{name} {value} web 0 0" for name, value in counted.items())
    assert sorted(said.splitlines()) == sorted([*lines, "bad_params", "bad_params"])


@pytest.mark.wide  # the compiler takes half a minute
def test_types_fit_the_manual_and_refuse_what_is_wrong(project: Project) -> None:
    project.need("typescript@5", "@types/node@20")
    (project.folder / "manual.mts").write_text(
        blocks()
        + blocks("events")
        + blocks("sagas")
        + blocks("steps")
        + blocks("stop").replace("server", "({ close(_: () => void) {} })")
    )
    shutil.copy(TESTS / "types.mts", project.folder)
    options = ["--noEmit", "--strict", "--module", "nodenext", "--target", "es2022", "--skipLibCheck", "false"]
    command = ["npx", "--no-install", "tsc", *options, "manual.mts", "types.mts"]
    ended = subprocess.run(command, cwd=project.folder, capture_output=True, text=True, timeout=BOUND_S)
    assert ended.returncode == 0, ended.stdout

"""The resolvers and proxies that `scripts/check --resolvers` puts in front of a sidecar: how each is started.

Owns the rest of each configuration, beside the block of gossipreg/docs/dns.md under test: its listening address,
and what keeps it in the foreground and in a folder of its own. Programs of Debian are not installed but unpacked
(`need_peers` in scripts/setup.sh), and run in a mount namespace in which they seem to be installed; that needs root.
"""

import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from textwrap import indent

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "gossipreg" / "docs" / "dns.md"
PEERS = ROOT / ".venv" / "peers"
PYPI = ROOT / ".venv-resolvers"
"""Where Caddy and Envoy are: PyPI has them as wheels."""
DOCUMENTED = {"8600": "dns", "8080": "backend"}
"""The ports in the documented blocks, and the servers that they stand for."""
READY_S = 20.0
TRUST_ANCHOR = ". IN DS 20326 8 2 E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D"
"""The trust anchor of the root zone, so that a resolver really validates and the exception for `consul.` is tested."""


class Missing(Exception):
    """This machine cannot run the program; the text says why."""


@dataclass(frozen=True, slots=True)
class Place:
    """The place where a front runs: its folder, its port, and the block with the real ports."""

    folder: Path
    port: int
    blocks: dict[str, str]

    def block(self, name: str) -> str:
        return self.blocks[name]

    def write(self, name: str, text: str) -> str:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return str(path)

    def etc(self, name: str, text: str) -> None:
        """A file below /etc, as the front sees it."""
        self.write(f"etc/{name}", text)


Start = Callable[[Place], list[str]]


@dataclass(frozen=True, slots=True)
class Front:
    name: str
    program: str
    start: Start
    """Writes the configuration; returns the command."""
    kind: str = "dns"
    bound_s: float = 2.5
    """The bound on the time until a change is seen: the documented delay of the program, and a margin."""


def blocks_of_page(ports: dict[str, int]) -> dict[str, str]:
    """The named blocks of the page, by name, with these ports in the place of the documented ones."""
    found: dict[str, str] = {}
    for name, text in re.findall(r"^```\w+ ([\w-]+)\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL):
        for documented, what in DOCUMENTED.items():
            text = re.sub(rf"\b{documented}\b", str(ports[what]), text)
        found[name] = text
    return found


def free_port() -> int:
    """A port that is free for UDP and TCP on 127.0.0.1."""
    while True:
        with socket.socket() as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp:
            tcp.bind(("127.0.0.1", 0))
            try:
                udp.bind(tcp.getsockname())
            except OSError:
                continue
            return int(tcp.getsockname()[1])


@contextmanager
def running(front: Front, folder: Path, ports: dict[str, int], *, name: str = "web") -> Iterator[int]:
    """Start the front and wait until it answers; yields its port. `name` is the service behind a proxy. Raises Missing,
    or RuntimeError with its output if it did not start."""
    blocks = {key: re.sub(r"(?<![a-z])web(?![a-z])", name, text) for key, text in blocks_of_page(ports).items()}
    place = Place(folder, free_port(), blocks)
    command = _placed(front, place, front.start(place))
    log = folder / "log"
    with (
        log.open("wb") as out,
        subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, cwd=folder, start_new_session=True
        ) as process,
    ):
        try:
            _wait_until_open(front, process, place.port, log)
            yield place.port
        finally:
            _end(process)


def _placed(front: Front, place: Place, command: list[str]) -> list[str]:
    """The command: of the installed program, or of the unpacked one in a mount namespace."""
    program = command[0]
    if Path(program).exists() or (shutil.which(program) and not (place.folder / "etc").exists()):
        return command
    if os.geteuid() != 0:
        raise Missing("only root can run what is unpacked and not installed: install it, or be root")
    unpacked = PEERS / "usr"
    if not shutil.which(program) and not any(unpacked.glob(f"*bin/{program}")) and not program.startswith("/"):
        raise Missing(f"{program} is in no package here")
    layers = f"mount -t overlay overlay -o ro,lowerdir={unpacked}:/usr /usr"
    if (place.folder / "etc").exists():
        layers += f" && mount -t overlay overlay -o ro,lowerdir={place.folder}/etc:/etc /etc"
    if front.program == "systemd-resolved":
        layers += " && mkdir -p /run/systemd && mount -t tmpfs tmpfs /run/systemd"
    return ["unshare", "--mount", "sh", "-c", f'{layers} && exec "$@"', "sh", *command]


def _wait_until_open(front: Front, process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    end = time.monotonic() + READY_S
    while time.monotonic() < end:
        if process.poll() is not None:
            break
        with socket.socket() as client:
            client.settimeout(0.5)
            if client.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    said = log.read_text(errors="replace").strip().splitlines()[-5:]
    if any("mount: " in line or "unshare: " in line for line in said):
        raise Missing(f"no mount namespace can be made here: {said[-1]}")
    raise RuntimeError(f"{front.name} did not start: {' | '.join(said) or 'no output'}")


def _end(process: "subprocess.Popen[bytes]") -> None:
    """End the program and all that it started, which are in one session."""
    for signal in (15, 9):
        try:
            os.killpg(process.pid, signal)
        except ProcessLookupError:
            return
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            continue


# -- resolvers ---------------------------------------------------------------------------------------------------------


def _dnsmasq(place: Place) -> list[str]:
    rest = f"port={place.port}\nlisten-address=127.0.0.1\nbind-interfaces\nno-resolv\nno-hosts\nuser=root\npid-file=\n"
    return ["dnsmasq", "--keep-in-foreground", "--log-facility=-", "-C",
            place.write("dnsmasq.conf", rest + place.block("dnsmasq"))]  # fmt: skip


def _unbound(place: Place) -> list[str]:
    rest = f"""server:
  interface: 127.0.0.1@{place.port}
  do-daemonize: no
  chroot: ""
  username: ""
  directory: "{place.folder}"
  pidfile: ""
  use-syslog: no
  module-config: "validator iterator"
  trust-anchor: "{TRUST_ANCHOR}"
remote-control:
  control-enable: no
"""
    return ["unbound", "-d", "-c", place.write("unbound.conf", rest + place.block("unbound"))]


def _bind(place: Place) -> list[str]:
    rest = f"""options {{
  listen-on port {place.port} {{ 127.0.0.1; }};
  listen-on-v6 {{ none; }};
  directory "{place.folder}";
  pid-file none;
  session-keyfile none;
  dnssec-validation auto;
"""
    config = "controls { };\n" + place.block("bind").replace("options {\n", rest, 1)
    return ["named", "-g", "-c", place.write("named.conf", config)]


def _pdns(place: Place) -> list[str]:
    place.etc("powerdns/consul.lua", place.block("pdns-recursor-lua"))
    rest = f"""local-address=127.0.0.1
local-port={place.port}
socket-dir={place.folder}
daemon=no
security-poll-suffix=
"""
    place.etc("powerdns/recursor.conf", rest + place.block("pdns-recursor"))
    return ["pdns_recursor"]


def _knot(place: Place) -> list[str]:
    work = place.folder / "work"
    work.mkdir()
    rest = f"net.listen('127.0.0.1', {place.port})\n"
    return ["kresd", "-n", "-c", place.write("kresd.conf", rest + place.block("knot-resolver")), str(work)]


def _resolved(place: Place) -> list[str]:
    place.etc("systemd/resolved.conf.d/consul.conf", place.block("systemd-resolved"))
    place.etc("dnssec-trust-anchors.d/consul.negative", "consul\n")
    rest = f"""[Resolve]
DNSStubListener=no
DNSStubListenerExtra=127.0.0.1:{place.port}
DNSSEC=yes
FallbackDNS=
LLMNR=no
MulticastDNS=no
"""
    place.etc("systemd/resolved.conf.d/a-check.conf", rest)
    for name, line in (("passwd", "systemd-resolve:x:65530:65530::/:/usr/sbin/nologin"),
                       ("group", "systemd-resolve:x:65530:")):  # fmt: skip
        place.etc(name, Path("/etc", name).read_text() + line + "\n")
    return ["/usr/lib/systemd/systemd-resolved"]


def _dnsdist(place: Place) -> list[str]:
    config = f"setLocal('127.0.0.1:{place.port}')\n" + place.block("dnsdist")
    return ["dnsdist", "--supervised", "--disable-syslog", "-C", place.write("dnsdist.conf", config)]


# -- proxies -----------------------------------------------------------------------------------------------------------


def _from_pypi(program: str) -> str:
    path = PYPI / "bin" / program
    if not path.exists():
        raise Missing(f"{program} is not in {PYPI.name}: PyPI had it not")
    return str(path)


def _caddy(place: Place) -> list[str]:
    rest = "{\n  admin off\n  auto_https off\n  persist_config off\n}\n"
    config = f"{rest}http://127.0.0.1:{place.port} {{\n{indent(place.block('caddy'), '  ')}}}\n"
    return [_from_pypi("caddy"), "run", "--adapter", "caddyfile", "--config", place.write("Caddyfile", config)]


def _nginx(place: Place) -> list[str]:
    config = f"""daemon off;
master_process off;
pid {place.folder}/pid;
error_log stderr;
events {{ }}
http {{
  access_log off;
  client_body_temp_path {place.folder}/t1;
  proxy_temp_path {place.folder}/t2;
  fastcgi_temp_path {place.folder}/t3;
  uwsgi_temp_path {place.folder}/t4;
  scgi_temp_path {place.folder}/t5;
  server {{
    listen 127.0.0.1:{place.port};
{indent(place.block("nginx"), "    ")}  }}
}}
"""
    return ["nginx", "-e", "stderr", "-p", str(place.folder), "-c", place.write("nginx.conf", config)]


def _haproxy(place: Place) -> list[str]:
    backend = re.findall(r"^backend (\w+)$", place.block("haproxy"), re.MULTILINE)[0]
    rest = f"""global
  maxconn 200
defaults
  mode http
  timeout connect 2s
  timeout client 5s
  timeout server 5s
  default-server inter 500ms
frontend front
  bind 127.0.0.1:{place.port}
  default_backend {backend}
"""
    return ["haproxy", "-db", "-f", place.write("haproxy.cfg", rest + place.block("haproxy"))]


def _envoy(place: Place) -> list[str]:
    config = f"""static_resources:
  listeners:
  - address: {{socket_address: {{address: 127.0.0.1, port_value: {place.port}}}}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: front
          route_config:
            virtual_hosts:
            - {{name: all, domains: ["*"], routes: [{{match: {{prefix: "/"}}, route: {{cluster: under_test}}}}]}}
          http_filters:
          - name: envoy.filters.http.router
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router
  clusters:
  - name: under_test
{indent(place.block("envoy"), "    ")}"""
    return [_from_pypi("envoy"), "--concurrency", "1", "--use-dynamic-base-id", "-l", "warning", "-c",
            place.write("envoy.yaml", config)]  # fmt: skip


FRONTS = (
    Front("dnsmasq", "dnsmasq", _dnsmasq),
    Front("unbound", "unbound", _unbound),
    Front("BIND", "named", _bind),
    Front("PowerDNS Recursor", "pdns_recursor", _pdns),
    Front("Knot Resolver", "kresd", _knot),
    Front("systemd-resolved", "systemd-resolved", _resolved),
    Front("dnsdist", "dnsdist", _dnsdist),
    Front("Caddy", "caddy", _caddy, "http", 5.0),
    Front("nginx", "nginx", _nginx, "http", 5.0),
    Front("HAProxy", "haproxy", _haproxy, "http", 8.0),
    Front("Envoy", "envoy", _envoy, "http", 5.0),
)

"""Every resolver and proxy that `scripts/check --resolvers` puts in front of a sidecar: how it is configured.

Owns the rest of each configuration, beside the block of gossipreg/docs/dns.md under test: its listening address, and
what keeps it in the foreground and in a folder of its own.
"""

import re
from pathlib import Path
from textwrap import indent

from scripts.checks.fronts import ROOT, Front, Missing, Place

PYPI = ROOT / ".venv-resolvers"
"""The environment with Caddy and Envoy: PyPI has them as wheels."""
TRUST_ANCHOR = ". IN DS 20326 8 2 E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D"
"""The trust anchor of the root zone, so that a resolver really validates and the exception for `consul.` is tested."""

# -- resolvers ---------------------------------------------------------------------------------------------------------


def _dnsmasq(place: Place) -> list[str]:
    rest = f"port={place.port}\nlisten-address=127.0.0.1\nbind-interfaces\nno-resolv\nno-hosts\nuser=root\npid-file=\n"
    config = place.write("dnsmasq.conf", rest + place.block("dnsmasq"))
    return ["dnsmasq", "--keep-in-foreground", "--log-facility=-", "-C", config]


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
    user = {
        "passwd": "systemd-resolve:x:65530:65530::/:/usr/sbin/nologin",
        "group": "systemd-resolve:x:65530:",
    }
    for name, line in user.items():
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
    options = ["--concurrency", "1", "--use-dynamic-base-id", "-l", "warning"]
    return [_from_pypi("envoy"), *options, "-c", place.write("envoy.yaml", config)]


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

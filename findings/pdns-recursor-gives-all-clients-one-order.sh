#!/usr/bin/env bash
# PowerDNS Recursor 4.8.8 (Debian 12, pdns-recursor 4.8.8-1+deb12u1), a forwarded zone with TTL 0
#
# A registry answers with TTL 0 and in random order, so that clients that take the first address spread over the instances.
# The recursor's `minimum-ttl-override` is 1 by default, so even TTL 0 is kept for a second, and its packet cache then
# answers with the same bytes: within one second all clients of the machine get the same order, and all go to the same
# instance. With `minimum-ttl-override=0` every question is passed on and every answer has its own order.
#
# Seen, of 100 questions asked one after the other for a name with 5 addresses:
#
#   minimum-ttl-override not set: 1 to 3 orders, 1 to 3 questions reached the server
#   minimum-ttl-override=0: 20 or more orders, 100 questions reached the server
#
# Exits with 0 while this is so. Needs root on Debian 12 (it unpacks the package and mounts it over /usr in a mount
# namespace of its own; nothing is installed), python3 with venv. The DNS server is in this script.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
mkdir -p "$folder/debs/partial" "$folder/unpacked"
apt-get install -qq -y --download-only --no-install-recommends -o Dir::Cache::archives="$folder/debs" \
    "pdns-recursor=4.8.8-1+deb12u1" >/dev/null 2>&1
for package in "$folder"/debs/*.deb; do dpkg-deb -x "$package" "$folder/unpacked"; done
[[ ! -d $folder/unpacked/lib ]] || cp -a "$folder/unpacked/lib/." "$folder/unpacked/usr/lib/"
python3 -m venv "$folder/v"
"$folder/v/bin/pip" install --quiet dnspython==2.9.2 2>/dev/null

cat >"$folder/run.py" <<'PY'
import os, random, socket, subprocess, sys, threading, time
import dns.flags, dns.message, dns.query, dns.rrset

folder, setting = sys.argv[1:3]
addresses = [f"10.0.0.{number}" for number in range(1, 6)]
reached = 0


def serve() -> None:
    global reached
    while True:
        data, client = udp.recvfrom(4096)
        query = dns.message.from_wire(data)
        reply = dns.message.make_response(query)
        reply.flags |= dns.flags.AA
        name = query.question[0].name
        if query.question[0].rdtype == 1:
            reached += name.to_text().lower() == "web.registry."
            rrset = dns.rrset.from_text(name, 0, 1, "A", *random.sample(addresses, 5))
            reply.answer = [rrset]
        udp.sendto(reply.to_wire(), client)


udp = socket.socket(type=socket.SOCK_DGRAM)
udp.bind(("127.0.0.1", 0))
threading.Thread(target=serve, daemon=True).start()
with socket.socket() as one:
    one.bind(("127.0.0.1", 0))
    port = one.getsockname()[1]
with open(f"{folder}/recursor.conf", "w") as file:
    file.write(f"local-address=127.0.0.1\nlocal-port={port}\nsocket-dir={folder}\ndaemon=no\nsecurity-poll-suffix=\n"
               f"dnssec=off\nforward-zones=registry=127.0.0.1:{udp.getsockname()[1]}\n{setting}\n")
layers = f"mount -t overlay overlay -o ro,lowerdir={folder}/unpacked/usr:/usr /usr"
log = open(f"{folder}/log", "wb")
process = subprocess.Popen(["unshare", "--mount", "sh", "-c", f"{layers} && exec pdns_recursor --config-dir={folder}"],
                           stdout=log, stderr=log)


def ask(name: str, timeout_s: float = 5) -> tuple[str, ...]:
    reply = dns.query.udp(dns.message.make_query(name, "A"), "127.0.0.1", port=port, timeout=timeout_s)
    return tuple(item.to_text() for rrset in reply.answer for item in rrset)


try:
    end = time.monotonic() + 30
    while True:
        try:
            ask("other.registry", 1)
            break
        except Exception:
            assert time.monotonic() < end and process.poll() is None, open(f"{folder}/log").read()[-2000:]
            time.sleep(0.1)
    print(len({ask("web.registry") for _ in range(100)}), reached)
finally:
    process.terminate()
    process.wait()
PY

for setting in "" "minimum-ttl-override=0"; do
    read -r orders reached < <(timeout 100 "$folder/v/bin/python" "$folder/run.py" "$folder" "$setting")
    echo "${setting:-minimum-ttl-override not set}: $orders orders, $reached questions reached the server"
    case $setting in
    "") ((orders <= 3 && reached <= 3)) ;;
    *) ((orders >= 20 && reached >= 100)) ;;
    esac || { echo "this behaviour has changed"; exit 1; }
done

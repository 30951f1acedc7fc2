#!/usr/bin/env bash
# Knot Resolver 5.6.0 (Debian 12, knot-resolver 5.6.0-1+deb12u1), with its default configuration and a forwarded zone
#
# A record with TTL 0 is for the transaction in progress and must not be kept (RFC 1035 section 3.2.1). Service registries
# answer with TTL 0. Knot Resolver keeps these records for `cache.min_ttl()`, 5 s if it is not set, and shows TTL 5 to its
# clients. An address that changed is used for 5 s longer. A name that was asked for before it existed, with an SOA
# minimum of 0, is hidden for as long.`cache.min_ttl(0)` is the way out, and leaves up to 1 s.
#
# Seen (the server's record changes; seconds until a client of the resolver sees it; the TTL that clients get):
#
#   default: changed after 6 s, new name after 6 s, TTL 5
#   cache.min_ttl(0): changed after 1 s, new name after 1 s, TTL 0
#
# Exits with 0 while this is so. Needs root on Debian 12 (it unpacks the package and mounts it over /usr in a mount
# namespace of its own; nothing is installed), python3 with venv. The DNS server is in this script.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
mkdir -p "$folder/debs/partial" "$folder/unpacked"
apt-get install -qq -y --download-only --no-install-recommends -o Dir::Cache::archives="$folder/debs" \
    knot-resolver=5.6.0-1+deb12u1 >/dev/null 2>&1
for package in "$folder"/debs/*.deb; do dpkg-deb -x "$package" "$folder/unpacked"; done
[[ ! -d $folder/unpacked/lib ]] || cp -a "$folder/unpacked/lib/." "$folder/unpacked/usr/lib/"
python3 -m venv "$folder/v"
"$folder/v/bin/pip" install --quiet dnspython==2.9.2 2>/dev/null

cat >"$folder/run.py" <<'PY'
import os, socket, subprocess, sys, threading, time
import dns.flags, dns.message, dns.query, dns.rcode, dns.rrset

folder, setting = sys.argv[1:3]
records = {"web.registry.": "10.0.0.1"}


def serve() -> None:
    while True:
        data, client = udp.recvfrom(4096)
        query = dns.message.from_wire(data)
        name, type = query.question[0].name, query.question[0].rdtype
        reply = dns.message.make_response(query)
        reply.flags |= dns.flags.AA
        address = records.get(name.to_text().lower())
        if address is None:
            reply.set_rcode(dns.rcode.NXDOMAIN)
        if address is not None and type == 1:
            reply.answer = [dns.rrset.from_text(name, 0, 1, "A", address)]
        else:
            reply.authority = [dns.rrset.from_text("registry.", 0, 1, "SOA", "ns.registry. h.registry. 1 60 60 60 0")]
        udp.sendto(reply.to_wire(), client)


udp = socket.socket(type=socket.SOCK_DGRAM)
udp.bind(("127.0.0.1", 0))
threading.Thread(target=serve, daemon=True).start()
with socket.socket() as one:
    one.bind(("127.0.0.1", 0))
    port = one.getsockname()[1]
work = os.path.join(folder, f"work-{port}")
os.mkdir(work)
with open(f"{work}.conf", "w") as file:
    file.write(f"net.listen('127.0.0.1', {port})\ncache.size = 100 * MB\n{setting}\n"
               f"policy.add(policy.suffix(policy.STUB('127.0.0.1@{udp.getsockname()[1]}'), {{todname('registry.')}}))\n")
layers = f"mount -t overlay overlay -o ro,lowerdir={folder}/unpacked/usr:/usr /usr"
log = open(f"{work}.log", "wb")
process = subprocess.Popen(["unshare", "--mount", "sh", "-c", f"{layers} && exec kresd -n -c {work}.conf {work}"],
                           stdout=log, stderr=log)


def ask(name: str) -> tuple[str, int]:
    reply = dns.query.udp(dns.message.make_query(name, "A"), "127.0.0.1", port=port, timeout=5)
    return (reply.answer[0][0].to_text(), reply.answer[0].ttl) if reply.answer else (dns.rcode.to_text(reply.rcode()), 0)


def seconds_until(name: str, address: str) -> int:
    start = time.monotonic()
    while ask(name)[0] != address:
        assert time.monotonic() - start < 30
        time.sleep(0.02)
    return round(time.monotonic() - start)


try:
    end = time.monotonic() + 30
    while True:
        try:
            _, ttl = ask("web.registry.")
            break
        except Exception:
            assert time.monotonic() < end and process.poll() is None, open(f"{work}.log").read()[-2000:]
            time.sleep(0.1)
    changed = new = 0
    for number in range(3):
        ask("web.registry.")
        records["web.registry."] = f"10.0.1.{number}"
        changed = max(changed, seconds_until("web.registry.", f"10.0.1.{number}"))
        assert ask(f"new{number}.registry.")[0] == "NXDOMAIN"
        records[f"new{number}.registry."] = "10.0.0.2"
        new = max(new, seconds_until(f"new{number}.registry.", "10.0.0.2"))
    print(f"changed after {changed} s, new name after {new} s, TTL {ttl}")
finally:
    process.terminate()
    process.wait()
PY

for setting in "" "cache.min_ttl(0)"; do
    seen=$(timeout 200 "$folder/v/bin/python" "$folder/run.py" "$folder" "$setting")
    echo "${setting:-default}: $seen"
    case $setting in
    "") [[ $seen =~ ^"changed after "[56]" s, new name after "[56]" s, TTL 5"$ ]] ;;
    *) [[ $seen =~ ^"changed after "[01]" s, new name after "[01]" s, TTL 0"$ ]] ;;
    esac || { echo "this behaviour has changed"; exit 1; }
done

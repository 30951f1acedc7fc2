#!/usr/bin/env bash
# dnspython 2.9.2, dns.resolver.resolve(), as a program that finds members by SRV records uses it
#
# The function asks through a resolver that is made at the first call and kept for the life of the process, with the name
# servers that /etc/resolv.conf had then. A laptop that changes networks, a VPN that comes up, or a host whose DHCP answer
# arrives after the program started therefore asks the old servers for ever, while getaddrinfo() in the same process (glibc
# since 2.26) follows the file at its next call. So one program resolves `host:port` and does not resolve `srv:` names of
# the same zone. `dns.resolver.Resolver()` for each question is the way out.
#
# Seen:
#
#   before the change:  getaddrinfo fails, dns.resolver.resolve fails
#   after the change:   getaddrinfo 127.0.0.9, dns.resolver.resolve fails, a new Resolver 127.0.0.9
#
# Exits with 0 while this is so. Needs python3 with venv, glibc, and unshare: root, or user namespaces. The name server
# is in this script, on the loopback of a network namespace of its own.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/v"
"$folder/v/bin/pip" install --quiet dnspython==2.9.2 2>/dev/null

cat >"$folder/run.py" <<'PY'
import socket, sys, threading
import dns.exception, dns.message, dns.resolver, dns.rrset

server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("127.0.0.1", 53))


def serve() -> None:
    while True:
        data, source = server.recvfrom(4096)
        query = dns.message.from_wire(data)
        reply = dns.message.make_response(query)
        if query.question[0].rdtype == 1:
            reply.answer.append(dns.rrset.from_text(query.question[0].name, 0, "IN", "A", "127.0.0.9"))
        server.sendto(reply.to_wire(), source)


def by_system() -> str:
    try:
        return socket.getaddrinfo("a.cluster.test", 1, socket.AF_INET, socket.SOCK_DGRAM)[0][4][0]
    except OSError:
        return "fails"


def by(resolve) -> str:
    try:
        return str(resolve("a.cluster.test", "A", lifetime=2)[0])
    except dns.exception.DNSException:
        return "fails"


threading.Thread(target=serve, daemon=True).start()
with open("/etc/resolv.conf", "w") as file:
    file.write("nameserver 127.0.0.2\noptions timeout:1 attempts:1\n")  # nobody is there
before = by_system(), by(dns.resolver.resolve)
with open("/etc/resolv.conf", "w") as file:
    file.write("nameserver 127.0.0.1\noptions timeout:1 attempts:1\n")
after = by_system(), by(dns.resolver.resolve), by(dns.resolver.Resolver().resolve)
print(f"before the change:  getaddrinfo {before[0]}, dns.resolver.resolve {before[1]}")
print(f"after the change:   getaddrinfo {after[0]}, dns.resolver.resolve {after[1]}, a new Resolver {after[2]}")
sys.exit((before, after) != (("fails", "fails"), ("127.0.0.9", "fails", "127.0.0.9")))
PY

: >"$folder/resolv.conf"
printf 'hosts: files dns\n' >"$folder/nsswitch.conf"
inside='ip link set lo up && mount --bind "$1/resolv.conf" /etc/resolv.conf && mount --bind "$1/nsswitch.conf" /etc/nsswitch.conf &&
    exec "$1/v/bin/python" "$1/run.py"'
unshare --map-root-user --mount --net bash -c "$inside" bash "$folder"

#!/usr/bin/env bash
# Linux 6.18 (the kernel of the host that runs it), TCP
#
# EHOSTUNREACH ("No route to host") is taken for a proof that a host could not be reached, so that a request can be sent
# elsewhere. But a connection that was made gives it, too: if the peer is gone and no answer to ARP comes any more, the
# kernel remembers that as the cause and reports it when it gives the connection up. By then the server may have read
# the request, as here.
#
# Seen:
#
#   the server has read: POST
#   the client gets: EHOSTUNREACH
#
# Exits with 0 while this is so. Needs root (network namespaces), ip and python3. Takes 10 s.
set -euo pipefail
script=$(mktemp)
trap 'rm -f "$script"' EXIT
cat >"$script" <<'PY'
import errno
import socket
import subprocess
import sys

SERVER = """
import socket
input()
listener = socket.create_server(("10.9.9.2", 5555))
print("listens", flush=True)
stream, _ = listener.accept()
print(stream.recv(100).decode(), flush=True)
input()
"""


def run(command: str) -> None:
    subprocess.run(command, shell=True, check=True)


run("ip link set lo up && ip link add va type veth peer name vb && ip addr add 10.9.9.1/24 dev va && ip link set va up")
server = subprocess.Popen(
    ["unshare", "-n", sys.executable, "-u", "-c", "print('in', flush=True)\n" + SERVER],
    stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
)
try:
    server.stdout.readline()
    there = f"nsenter -n -t {server.pid} ip"
    run(f"ip link set vb netns {server.pid} && {there} addr add 10.9.9.2/24 dev vb && {there} link set vb up")
    server.stdin.write("\n")
    server.stdin.flush()
    server.stdout.readline()
    with socket.create_connection(("10.9.9.2", 5555), 30) as stream:
        stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 8000)
        stream.sendall(b"POST")
        print("the server has read:", server.stdout.readline().strip())
        run(f"{there} link set vb arp off && {there} addr del 10.9.9.2/24 dev vb && ip neigh flush dev va")
        try:
            stream.sendall(b" and more")
            stream.recv(100)
            number = None
        except OSError as error:
            number = error.errno
    print("the client gets:", errno.errorcode.get(number, number))
    sys.exit(0 if number == errno.EHOSTUNREACH else 1)
finally:
    server.kill()
PY
unshare -n python3 "$script"

"""The two sides of a gRPC service, each as a process: it has the real grpcio, whose threads and forks stay out of the
tests.

    python grpc_child.py serve NAME...   a server for each name on a free port; prints the ports in JSON
    python grpc_child.py ask TARGET      for each line on stdin, a JSON object, calls TARGET and prints how often each
                                         answer came, in JSON

A line has `calls`, the number of calls, and `headers`, a map; or `begin` true for one call that waits until it can be
sent, whose answer the line `{"end": true}` prints. Both end with stdin.
"""

import json
import sys
from collections import Counter
from concurrent import futures
from typing import Any

import grpc

METHOD = "/test.Echo/Name"
BOUND_S = 30.0


def _plain(data: bytes) -> bytes:
    return data


def serve(names: list[str]) -> None:
    servers = []
    ports = {}
    for name in names:
        server = grpc.server(futures.ThreadPoolExecutor(4))
        handler = grpc.unary_unary_rpc_method_handler(lambda _, __, name=name: name.encode(), _plain, _plain)
        server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("test.Echo", {"Name": handler})])
        ports[name] = server.add_insecure_port("127.0.0.1:0")
        server.start()
        servers.append(server)
    _say(ports)
    sys.stdin.read()
    for server in servers:
        server.stop(None)


def ask(target: str) -> None:
    with grpc.insecure_channel(target) as channel:
        method = channel.unary_unary(METHOD, request_serializer=_plain, response_deserializer=_plain)
        begun: Any = None
        for line in sys.stdin:
            wanted = json.loads(line)
            headers = [*wanted.get("headers", {}).items()]
            if wanted.get("begin"):
                begun = method.future(b"", timeout=BOUND_S, wait_for_ready=True)
                _say({})
            elif wanted.get("end"):
                _say({begun.result().decode(): 1})
            else:
                _say(Counter(_answer(method, headers) for _ in range(wanted["calls"])))


def _answer(method: Any, headers: list[tuple[str, str]]) -> str:
    try:
        return str(method(b"", timeout=BOUND_S, metadata=headers).decode())
    except grpc.RpcError as error:
        return str(error.code().name)


def _say(what: Any) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    serve(sys.argv[2:]) if sys.argv[1] == "serve" else ask(sys.argv[2])

"""The two sides of a gRPC service, each as a process: it has the real grpcio, whose threads and forks stay out of the
tests.

    python grpc_child.py serve NAME...   a server for each name on a free port; prints the ports in JSON
    python grpc_child.py ask TARGET      for each line on stdin, a JSON object, calls TARGET and prints how often each
                                         answer came, in JSON

A server answers with its name. The header `x-fail: NAME` has the server of that name fail with UNAVAILABLE, `x-slow: 1`
has each wait for a second.

A line has `calls`, the number of calls, `headers`, a map, and `at_once` true if none waits for another; or `begin` true
for one call that waits until it can be sent, whose answer the line `{"end": true}` prints. Both end with stdin.
"""

import json
import sys
import time
from collections import Counter
from concurrent import futures
from functools import partial
from typing import Any

import grpc

METHOD = "/test.Echo/Name"
BOUND_S = 60.0


def _plain(data: bytes) -> bytes:
    return data


def _name(name: str, _: bytes, context: Any) -> bytes:
    headers = dict(context.invocation_metadata())
    if headers.get("x-fail") == name:
        context.abort(grpc.StatusCode.UNAVAILABLE, "as asked")
    if "x-slow" in headers:
        time.sleep(float(headers["x-slow"]))
    return name.encode()


def serve(names: list[str]) -> None:
    servers = []
    ports = {}
    for name in names:
        server = grpc.server(futures.ThreadPoolExecutor(32))
        handler = grpc.unary_unary_rpc_method_handler(partial(_name, name), _plain, _plain)
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
                begin = partial(method.future, b"", timeout=BOUND_S, metadata=headers)
                number = range(wanted["calls"])
                calls = [begin() for _ in number] if wanted.get("at_once") else (begin() for _ in number)
                _say(Counter(map(_answer, calls)))


def _answer(call: Any) -> str:
    try:
        return str(call.result().decode())
    except grpc.RpcError as error:
        return str(error.code().name)


def _say(what: Any) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    serve(sys.argv[2:]) if sys.argv[1] == "serve" else ask(sys.argv[2])

"""The process that serves the instances of all services: `python -m scripts.checks.mesh.backend`.

It takes commands on stdin and answers each with a line:

    open KIND ID PORT [HOST]    listen; each call is answered with ID. KIND is `grpc` or `http`
    close PORT                  stop listening; open connections are closed

It ends with stdin.
"""

import sys
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, Protocol

import grpc

METHOD = "/mesh.Where/Ask"


class Served(Protocol):
    def close(self) -> None: ...


class ServedGrpc:
    def __init__(self, id: str, where: str) -> None:
        self._server = grpc.server(ThreadPoolExecutor(4), options=[("grpc.so_reuseport", 0)])
        answer = grpc.unary_unary_rpc_method_handler(lambda _request, _context: id.encode())
        self._server.add_generic_rpc_handlers([_Only(answer)])
        if not self._server.add_insecure_port(where):
            raise OSError(f"cannot listen at {where}")
        self._server.start()

    def close(self) -> None:
        self._server.stop(grace=None).wait()


class _Only(grpc.GenericRpcHandler):  # type: ignore[misc]
    def __init__(self, answer: Any) -> None:
        self._answer = answer

    def service(self, details: Any) -> Any:
        return self._answer if details.method == METHOD else None


class _Server(ThreadingHTTPServer):
    request_queue_size = 200
    daemon_threads = True


class ServedHttp:
    def __init__(self, id: str, host: str, port: int) -> None:
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1  # head and body in one piece: two wait for each other's acknowledgement, 40 ms

            def do_GET(self) -> None:
                body = id.encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_arguments: object) -> None: ...

        self._server = _Server((host, port), Handler)
        Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def main() -> None:
    served: dict[str, Served] = {}
    for line in sys.stdin:
        match line.split():
            case ["open", kind, id, port, *rest]:
                host = rest[0] if rest else "127.0.0.1"
                served[port] = ServedGrpc(id, f"{host}:{port}") if kind == "grpc" else ServedHttp(id, host, int(port))
            case ["close", port]:
                served.pop(port).close()
        print("done", flush=True)


if __name__ == "__main__":
    main()

"""A service in Python that calls another one, `stock`, through the client.

    gossipreg exec --service billing --port 8101 -- python billing.py 8101

`GET /` answers with its name. `GET /order` asks an instance of stock, and answers with both names. `exec` registers the
service, and says in GOSSIPREG_SOCKET where the sidecar is.
"""

import http.client
import http.server
import sys

import gossipreg

PORT = int(sys.argv[1])
NAME = f"billing-{PORT}"
registry = gossipreg.connect()
stock = registry.service("stock")


def ask(instance: gossipreg.PickedInstance) -> str:
    """One request to this instance. If it fails, the client sends it to another one."""
    connection = http.client.HTTPConnection(instance.address, instance.port, timeout=instance.timeout_s)
    try:
        connection.request("GET", "/", headers=dict(instance.headers()))
        response = connection.getresponse()
        instance.status(response.status)
        return response.read().decode()
    finally:
        connection.close()


class Billing(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # an answer is one packet

    def do_GET(self) -> None:  # the name that the library calls
        if self.path == "/order":
            self.order()
        else:
            self.answer(200, NAME)

    def order(self) -> None:
        depth = int(self.headers.get("Gossipreg-Attempt", "1"))  # a retry is not retried further down
        try:
            answer = stock.call(ask, idempotent=True, deadline=10.0, depth=depth)
        except (OSError, http.client.HTTPException, gossipreg.GossipregError) as error:
            print(f"{NAME}: no order: {error}", file=sys.stderr, flush=True)
            self.answer(503, str(error))
        else:
            self.answer(200, f"{NAME} {answer}")

    def answer(self, status: int, text: str) -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Quiet."""


class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 128  # the library's 5 are too few: a connection that is dropped is tried again after 1 s


if __name__ == "__main__":
    Server(("127.0.0.1", PORT), Billing).serve_forever()

"""Take orders: one saga for each order, and an event for each that was created.

    python -m gossipreg.demo.shop.api PORT

`POST /orders {"order", "customer", "item", "cents", "card"}` answers 201 once the saga is committed, 422 if a service
refused its step, and 503 if the outcome is not known or nothing could be begun. This service has no database: the saga
and the event are durable in the journal of the sidecar beside it.
"""

import sys

import gossipreg
from gossipreg.demo.shop.web import JsonRequest, serve

registry = gossipreg.connect(service="api")


class ApiRequest(JsonRequest):
    def do_POST(self) -> None:
        match self.path:
            case "/orders":
                self.create_order(self.json_body())
            case "/announcements":
                self.announce(self.json_body())
            case _:
                self.reply(404, {"why": f"no such path: {self.path}"})

    def create_order(self, order: dict[str, object]) -> None:
        """Reserve, then pay. An exception in the block aborts the saga: what was done is undone, whoever dies now."""
        try:
            with registry.saga("create-order", id=str(order["order"]), input=order) as saga:
                saga.step(
                    "reserve", "stock", "PUT", "/reservations/{key}",
                    json={"order": "{input.order}", "item": "{input.item}"}, undo=("DELETE", "/reservations/{key}"),
                )  # fmt: skip
                saga.step(
                    "pay", "billing", "PUT", "/payments/{key}",
                    json={"order": "{input.order}", "cents": "{input.cents}", "card": "{input.card}"},
                    undo=("DELETE", "/payments/{key}"),
                )  # fmt: skip
                # After the commit, and tried until they are done. The event is one of them: if it was published below
                # this block, it would be lost if this program died just before that.
                saga.after("mail", "mail", "POST", "/receipts", json={"order": "{input.order}"})
                saga.after(
                    "announce", "api", "POST", "/announcements",
                    json={"order": "{input.order}", "customer": "{input.customer}"},
                )  # fmt: skip
        except gossipreg.StepRefused as error:
            self.reply(422, {"why": error.answer.text})
        except gossipreg.GossipregError as error:
            self.reply(503, {"why": str(error)})
        else:
            self.reply(201, {"saga": saga.saga})

    def announce(self, order: dict[str, str]) -> None:
        """Publish that the order was created. The same source and id are one event, however often this is asked for."""
        registry.publish("order.created", order, source="shop", id=order["order"], key=order["customer"])
        self.reply(200, {"announced": order["order"]})


if __name__ == "__main__":
    serve(int(sys.argv[1]), ApiRequest)

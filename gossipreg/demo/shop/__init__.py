"""A small shop: the programs of `gossipreg demo`, and an example to read. Start with `api.py`.

    api.py          takes orders: one saga for each, and an event for those that were created
    api.mjs         the same in Node.js
    stock.py        reserves goods for sagas, and packs a parcel for each event
    billing.py      takes payments for sagas, and gives them back
    mail.py         sends a receipt for each saga, and a note for each event
    customers.py    those who order, over HTTP, at any instance of api
    web.py          JSON over http.server: what the services above share

No program registers itself: the sidecar beside it does, with a health check (`join --services`). Each finds that
sidecar by `GOSSIPREG_SOCKET`. The two instances of a service share its database, as they would in a real shop.

    customers -> api -> saga create-order: reserve at stock, pay at billing; after the commit: mail, announce
                 api -> event order.created -> stock packs a parcel, mail sends a note
"""

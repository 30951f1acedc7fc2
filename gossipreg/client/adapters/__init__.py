"""Libraries that programs already use, with `http://NAME.service/...` as the address of a service.

    options     what an adapter may do with its requests; `request_options` for single ones
    exchange    one HTTP request as a logical call: what counts as what, the fallback
    httpx       transports for httpx.Client and httpx.AsyncClient (asyncio and trio)
    requests    an adapter for requests.Session
    aiohttp     a middleware for aiohttp.ClientSession

Import the one that you need: each loads its library, which gossipreg itself does not depend on.

The program sees the name of the service in URLs, Host, cookies and redirects; the connection goes to the instance.
Other hosts pass untouched.
"""

from gossipreg.client.adapters.options import request_options

__all__ = ["request_options"]

"""Libraries that programs already use, with `http://NAME.service/...` as the address of a service.

    exchange    one HTTP request as a logical call: instances, retries, what counts as what. No I/O
    driving     sends the attempts of an exchange, in threads and in loops
    httpx       transports for httpx.Client and httpx.AsyncClient (asyncio and trio)
    requests    an adapter for requests.Session
    aiohttp     a middleware for aiohttp.ClientSession

Import the one that you need: each loads its library, which gossipreg itself does not depend on.

The program sees the name of the service in URLs, Host, cookies and redirects; the connection goes to the instance.
Other hosts pass untouched.
"""

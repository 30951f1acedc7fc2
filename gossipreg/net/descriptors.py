"""How many descriptors the process may have, and how they are shared: each connection takes one."""

LOCAL_CLIENTS_MAX = 4_096
"""Clients of the local socket: every program on the machine has one or two."""
HTTP_CLIENTS_MAX = 16_384
XDS_CLIENTS_MAX = 4_096
"""Every gRPC client and Envoy on the machine has one, a client in Python one for each name that it calls."""
REST = 3_328
"""Left for all else that may be open: checks (144), connections of DNS (128), streams and those in their handshake
(320), requests to services and the connections that are kept for more, of deliveries and of Dapr's API (2 x 1280), and
gossip, the database and files (64)."""
LEAST_REST = 512
"""Where the system's limit is low: then fewer requests run at once."""
WANTED = LOCAL_CLIENTS_MAX + HTTP_CLIENTS_MAX + XDS_CLIENTS_MAX + REST


def raise_descriptors(wanted: int = WANTED) -> int:
    """Raise the limit of descriptors to this number if the system allows it; returns the limit of this process.
    Programs that it starts later (commands of checks) have the same limit, and none of our descriptors."""
    try:
        import resource
    except ImportError:
        return wanted
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return wanted if soft == resource.RLIM_INFINITY else soft
    better = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (better, hard))
    except (OSError, ValueError):
        return soft
    return better


def descriptors_limit() -> int | None:
    """The limit of descriptors of this process now; None: it has none."""
    try:
        import resource
    except ImportError:
        return None
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return None if soft == resource.RLIM_INFINITY else soft


def for_local_clients(limit: int) -> int:
    """The clients of the local socket for which there is room below this limit of the process: at most half of it."""
    return min(LOCAL_CLIENTS_MAX, limit // 2)


def for_rest(limit: int) -> int:
    """What is left for all else below this limit: a quarter of it, up to what may be open at most."""
    return min(REST, max(LEAST_REST, limit // 4))


def for_xds_clients(limit: int) -> int:
    """The clients of the xDS gateway for which there is room beside those of the local socket: a fifth of what is
    left."""
    return min(XDS_CLIENTS_MAX, _for_gateways(limit) // 5)


def for_http_clients(limit: int) -> int:
    """The clients of the HTTP gateway for which there is room beside those of the local socket and of xDS."""
    return min(HTTP_CLIENTS_MAX, _for_gateways(limit) - for_xds_clients(limit))


def _for_gateways(limit: int) -> int:
    return max(0, limit - for_local_clients(limit) - for_rest(limit))

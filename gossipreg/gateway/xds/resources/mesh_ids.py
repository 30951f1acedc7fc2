"""The SPIFFE ids of services: `spiffe://CLUSTER/svc/NAME`. Pure.

Which names can stand in one says "The SPIFFE Identity and Verifiable Identity Document" (https://spiffe.io), section 2.
"""

import re

from gossipreg.model import fold_name

_TRUST_DOMAIN = re.compile(r"[a-z0-9._-]{1,255}")
_SEGMENT = re.compile(r"[a-z0-9._-]{1,255}")


def fault_of_cluster(cluster: str) -> str:
    """Why SPIFFE ids cannot have this name of a cluster; empty if they can."""
    if _TRUST_DOMAIN.fullmatch(cluster):
        return ""
    return f"the cluster name {cluster!r:.80} cannot stand in a SPIFFE id: use a to z, 0 to 9, '.', '-' and '_'"


def fault_of_service(service: str) -> str:
    """Why a SPIFFE id cannot have this name of a service, in any case; empty if it can."""
    if _SEGMENT.fullmatch(fold_name(service)) and service not in (".", ".."):
        return ""
    return f"the service name {service!r:.80} cannot stand in a SPIFFE id: use letters, digits, '.', '-' and '_'"


def id_prefix(cluster: str) -> str:
    """The beginning of the SPIFFE ids of all services of this cluster."""
    return f"spiffe://{cluster}/svc/"


def spiffe_id(cluster: str, service: str) -> str:
    """Of a service that has no fault."""
    return id_prefix(cluster) + fold_name(service)

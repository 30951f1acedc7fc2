"""The kinds of objects that filters choose from: the fields of each, with their types."""

from typing import Any

Kind = Any
"""The type of a filtered value: `str`, `int`, `bool`, a map of any keys ("map", kind), a list ("list", kind), or a dict
by key."""

MAP: Kind = ("map", str)
TEXTS: Kind = ("list", str)
_INDEXES: Kind = {"CreateIndex": int, "ModifyIndex": int}
_TAGGED: Kind = ("map", {"Address": str, "Port": int})

CHECK: Kind = {
    "Node": str, "CheckID": str, "Name": str, "Status": str, "Notes": str, "Output": str, "ServiceID": str,
    "ServiceName": str, "ServiceTags": TEXTS, "Type": str, **_INDEXES,
}  # fmt: skip
NODE: Kind = {
    "ID": str, "Node": str, "Address": str, "Datacenter": str, "TaggedAddresses": MAP, "Meta": MAP, **_INDEXES,
}  # fmt: skip
SERVICE: Kind = {
    "ID": str, "Service": str, "Tags": TEXTS, "Address": str, "TaggedAddresses": _TAGGED, "Meta": MAP, "Port": int,
    "Weights": {"Passing": int, "Warning": int}, "EnableTagOverride": bool, "Datacenter": str, **_INDEXES,
}  # fmt: skip
ENTRY: Kind = {"Node": NODE, "Service": SERVICE, "Checks": ("list", CHECK)}
CATALOG_ENTRY: Kind = {
    "ID": str, "Node": str, "Address": str, "Datacenter": str, "TaggedAddresses": MAP, "NodeMeta": MAP,
    "ServiceKind": str, "ServiceID": str, "ServiceName": str, "ServiceTags": TEXTS, "ServiceAddress": str,
    "ServiceTaggedAddresses": _TAGGED, "ServiceWeights": {"Passing": int, "Warning": int}, "ServiceMeta": MAP,
    "ServicePort": int, "ServiceEnableTagOverride": bool, **_INDEXES,
}  # fmt: skip
MEMBER: Kind = {"Name": str, "Addr": str, "Port": int, "Tags": MAP, "Status": int}
KINDS: dict[str, Kind] = {
    "check": CHECK, "node": NODE, "service": SERVICE, "entry": ENTRY, "catalog": CATALOG_ENTRY, "member": MEMBER,
}  # fmt: skip
"""By the name in `Route.filter`."""

"""The description of all paths (OpenAPI 3.1), made from the table of routes; tests ask every path and compare.

Owns the schemas of the answers: what clients may count on is `required`; more may be there.
"""

from collections.abc import Iterable
from typing import Any

from gossipreg.gateway.http.params import Param
from gossipreg.gateway.http.route import Route

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
WHOLE: Schema = {"type": "integer"}
TEXTS: Schema = {"type": "array", "items": TEXT}
TEXT_MAP: Schema = {"type": "object", "additionalProperties": TEXT}


def _object(**properties: Schema) -> Schema:
    return {"type": "object", "properties": properties, "required": list(properties)}


def _list(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


STATUS: Schema = {"type": "string", "enum": ["passing", "warning", "critical"]}
SCHEMAS: dict[str, Schema] = {
    "any": {},
    "object": {"type": "object"},
    "list": {"type": "array"},
    "text": TEXT,
    "texts": TEXTS,
    "error": _object(error=_object(code=TEXT, message=TEXT)),
    "names": {"type": "object", "additionalProperties": TEXTS},
    "node_entry": _object(ID={"type": "string", "format": "uuid"}, Node=TEXT, Address=TEXT, Datacenter=TEXT,
                          TaggedAddresses=TEXT_MAP, Meta=TEXT_MAP, CreateIndex=WHOLE, ModifyIndex=WHOLE),
    "nodes": _list(_ref("node_entry")),
    "check_entry": _object(Node=TEXT, CheckID=TEXT, Name=TEXT, Status=STATUS, Notes=TEXT, Output=TEXT, ServiceID=TEXT,
                           ServiceName=TEXT, ServiceTags=TEXTS, Type=TEXT, CreateIndex=WHOLE, ModifyIndex=WHOLE),
    "checks": _list(_ref("check_entry")),
    "check_map": {"type": "object", "additionalProperties": _ref("check_entry")},
    "service": _object(ID=TEXT, Service=TEXT, Tags=TEXTS, Address=TEXT, Meta=TEXT_MAP, Port=WHOLE,
                       Weights=_object(Passing=WHOLE, Warning=WHOLE), EnableTagOverride={"type": "boolean"}),
    "services": {"type": "object", "additionalProperties": _ref("service")},
    "node": {"anyOf": [{"type": "null"}, _object(Node=_ref("node_entry"), Services=_ref("services"))]},
    "health_entries": _list(_object(Node=_ref("node_entry"), Service=_ref("service"), Checks=_ref("checks"))),
    "catalog_entries": _list(_object(ID=TEXT, Node=TEXT, Address=TEXT, Datacenter=TEXT, NodeMeta=TEXT_MAP,
                                     ServiceID=TEXT, ServiceName=TEXT, ServiceTags=TEXTS, ServiceAddress=TEXT,
                                     ServiceMeta=TEXT_MAP, ServicePort=WHOLE, CreateIndex=WHOLE, ModifyIndex=WHOLE)),
    "members": _list(_object(Name=TEXT, Addr=TEXT, Port=WHOLE, Tags=TEXT_MAP, Status=WHOLE)),
    "check": {"type": "object", "properties": {
        "Name": TEXT, "CheckID": TEXT, "ServiceID": TEXT, "TTL": TEXT, "HTTP": TEXT, "TCP": TEXT, "Args": TEXTS,
        "Interval": TEXT, "Timeout": TEXT, "Status": STATUS, "Notes": TEXT, "TLSSkipVerify": {"type": "boolean"},
        "TLSServerName": TEXT, "DeregisterCriticalServiceAfter": TEXT, "SuccessBeforePassing": WHOLE,
        "FailuresBeforeCritical": WHOLE,
    }},
    "registration": {"type": "object", "required": ["Name", "Port"], "properties": {
        "Name": TEXT, "ID": TEXT, "Port": {"type": "integer", "minimum": 1, "maximum": 65535}, "Address": TEXT,
        "Tags": TEXTS, "Meta": TEXT_MAP, "Weights": {"type": "object"}, "Check": _ref("check"),
        "Checks": _list(_ref("check")),
    }},
    "update": {"type": "object", "required": ["Status"], "properties": {"Status": STATUS, "Output": TEXT}},
}  # fmt: skip

INDEX_HEADER: Schema = {
    "X-Consul-Index": {
        "schema": {"type": "integer", "minimum": 1},
        "description": "the value for `index` in the next request",
    }
}


def describe(routes: Iterable[Route], version: str) -> Schema:
    paths: Schema = {}
    for route in (one for one in routes if one.described):
        operations = paths.setdefault(route.path, {})
        for method in route.methods:
            operations[method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {"title": "gossipreg", "version": version,
                 "description": "The registry as a sidecar sees it, in the form of a Consul agent's API."},
        "paths": paths,
        "components": {"schemas": SCHEMAS},
    }  # fmt: skip


def _operation(route: Route) -> Schema:
    names = [segment[1:-1] for segment in route.segments if segment.startswith("{")]
    in_path = [{"name": name, "in": "path", "required": True, "schema": {**TEXT, "minLength": 1}} for name in names]
    answer: Schema = {"description": "the answer"}
    if route.gives != "nothing":
        answer["content"] = {route.media: {"schema": _ref(route.gives)}}
    if route.about is not None:
        answer["headers"] = INDEX_HEADER
    plain = {"content": {"text/plain": {"schema": TEXT}}}
    error = plain if route.path.startswith("/v1/") else {"content": {"application/json": {"schema": _ref("error")}}}
    failures = {str(status): {"description": _WHY[status], **error} for status in (400, 403, *route.statuses)}
    operation: Schema = {
        "summary": route.summary,
        "parameters": [*in_path, *map(_param, route.params)],
        "responses": {"200": answer, **failures},
    }
    if route.path.startswith(("/v1/kv", "/v1/agent/health")) or route.media != "application/json":
        for status in route.statuses:  # these say it in their own words
            operation["responses"][str(status)] = {"description": _WHY[status]}
    if route.body is not None:
        operation["requestBody"] = {
            "required": True, "content": {"application/json": {"schema": _ref(route.body)}},
        }  # fmt: skip
    return operation


_WHY = {
    400: "the request is wrong; the body says how", 404: "the object that it names does not exist",
    403: "a page of another site sent the request, or a token is missing",
    413: "too large", 500: "it failed", 429: "it warns", 503: "it cannot be done now",
}  # fmt: skip


def _param(param: Param) -> Schema:
    schema: Schema = {"type": param.kind}
    if param.repeatable:
        schema = {"type": "array", "items": schema}
    return {"name": param.name, "in": "query", "required": param.required, "schema": schema, "description": param.text}

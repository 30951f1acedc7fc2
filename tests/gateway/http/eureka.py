"""Requests as Eureka's clients send them, and their effect inside the sidecar."""

from typing import Any
from xml.etree import ElementTree

from gossipreg.model import CatalogInstance
from tests.gateway.http.conftest import Reply, Served

JS = {
    "app": "web", "instanceId": "w1", "hostName": "host-1", "ipAddr": "10.0.0.9",
    "port": {"$": 8081, "@enabled": "true"}, "vipAddress": "web.vip", "status": "UP",
    "dataCenterInfo": {"@class": "com.netflix.appinfo.InstanceInfo$DefaultDataCenterInfo", "name": "MyOwn"},
    "metadata": {"@class": "java.util.Collections$EmptyMap", "version": "2", "weight": 3, "canary": True},
    "statusPageUrl": "http://host-1:8081/info",
}  # fmt: skip
XML = """<?xml version="1.0"?>
<instance><instanceId>x1</instanceId><hostName>host-2</hostName><app>WEB</app><ipAddr>10.0.0.10</ipAddr>
<status>UP</status><port enabled="true">8082</port><securePort enabled="true">8443</securePort>
<dataCenterInfo class="c"><name>MyOwn</name></dataCenterInfo>
<leaseInfo><renewalIntervalInSecs>5</renewalIntervalInSecs><durationInSecs>15</durationInSecs></leaseInfo>
<metadata><zone>a</zone><note>1 &lt; 2</note></metadata></instance>"""


async def send(served: Served, method: str, path: str, body: Any = None, **headers: str) -> Reply:
    return await (await served.client()).request(method, f"/eureka{path}", body, **headers)


async def register(served: Served, app: str = "WEB", **changes: Any) -> Reply:
    instance = {key: value for key, value in {**JS, "app": app, **changes}.items() if value is not None}
    return await send(served, "POST", f"/apps/{app}", {"instance": instance}, Content_Type="application/json")


async def listed(served: Served, path: str = "/apps") -> list[dict[str, Any]]:
    reply = await send(served, "GET", path, Accept="application/json")
    assert reply.status == 200, reply.body
    return [one for app in reply.json["applications"]["application"] for one in app["instance"]]


async def from_xml(served: Served, path: str = "/apps") -> ElementTree.Element:
    reply = await send(served, "GET", path)
    assert reply.headers["content-type"] == "application/xml"
    return ElementTree.fromstring(reply.body)


def only(served: Served, name: str = "web") -> CatalogInstance:
    (instance,) = served.instances(name)
    return instance


def written(served: Served) -> int:
    """Return the number of versions of our row so far, each of which was gossiped."""
    return served.node.table.rows[served.node.id].version.counter

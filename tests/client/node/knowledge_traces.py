"""Histories of what a sidecar says, as the Python client believes them: the Node client must believe the same."""

from math import inf
from random import Random
from typing import Any

from gossipreg.client.instance import Instance
from gossipreg.client.watching.known import KnownService
from gossipreg.client.watching.state import SidecarState, SidecarTrust

NODES = tuple(f"{number:032x}" for number in range(6))
ACTS = ("current", "settle", "put", "put", "put", "remove", "time", "belief", "belief")
KNOWLEDGE = ("synced", "synced", "synced", "isolated", "last_known", "not_synced")


def known_trace(seed: int, length: int = 120) -> dict[str, Any]:
    """A script for `KnownService`, with what is known after each step."""
    draw, known, now, events = Random(seed), KnownService("web"), 100.0, []
    for counter in range(length):
        now += draw.choice((0.0, 0.5, 3.0))
        event: dict[str, Any] = {"do": draw.choice(ACTS)}
        match event["do"]:
            case "current":
                listed = [_instance(draw, counter) for _ in range(draw.randint(0, 5))]
                known.current(listed)
                event["instances"] = [_shape(one) for one in listed]
            case "settle":
                event["unmet"] = draw.sample(NODES, draw.randint(0, 3))
                known.settle(frozenset(event["unmet"]), now)
            case "put":
                instance = _instance(draw, counter)
                known.put(instance)
                event["instance"] = _shape(instance)
            case "remove":
                instance = _instance(draw, draw.randint(max(0, counter - 40), counter))
                event["believed"] = draw.random() < 0.6
                known.remove(instance, event["believed"])
                event["instance"] = _shape(instance)
            case "time":
                event["dropped"] = known.pass_time(now)
            case "belief":
                event["call"] = draw.choice(("stale", "fresh", "disconnected", "hold"))
                if event["call"] in ("fresh", "hold"):
                    getattr(known, event["call"])()
                else:
                    getattr(known, event["call"])(now)
        events.append({**event, "at": now, "expect": _known(known)})
    return {"name": f"seed {seed}", "events": events}


def _known(known: KnownService) -> dict[str, Any]:
    snapshot = known.snapshot()
    due = known.due()
    found: dict[str, Any] = {
        "settled": known.settled, "due": None if due == inf else due,
        "unconfirmed": sorted(known.unconfirmed()), "members": sorted(known.members()), "snapshot": None,
    }  # fmt: skip
    if snapshot is not None:
        found["snapshot"] = {
            "all": [[one.node, one.id, one.version[1], one.health, one.stale] for one in snapshot.all],
            "passing": [[one.node, one.id] for one in snapshot.instances],
            "staleSince": snapshot.stale_since,
            "complete": snapshot.complete,
        }
    return found


def _instance(draw: Random, counter: int) -> Instance:
    number = draw.randrange(4)
    return Instance(
        f"web-{number}", "web", draw.choice(NODES), "n", f"10.0.0.{draw.randrange(3)}", 80 + number,
        health=draw.choice(("passing", "passing", "critical")), version=(2**60, counter),
    )  # fmt: skip


def _shape(one: Instance) -> dict[str, Any]:
    return {
        "service": one.service, "id": one.id, "node": one.node, "node_name": one.node_name, "address": one.address,
        "port": one.port, "tags": [], "meta": {}, "weight": 1, "health": one.health, "stale": one.stale,
        "zone": "", "version": [str(one.version[0]), one.version[1]],
    }  # fmt: skip


def trust_trace(seed: int, length: int = 120) -> dict[str, Any]:
    """A script for `SidecarTrust`, with how much is believed after each step."""
    draw, now, events = Random(seed), 100.0, []
    max_stale_s = draw.choice((None, 3.0, 60.0))
    trust = SidecarTrust(max_stale_s)
    run = 0
    for _ in range(length):
        now += draw.choice((0.0, 0.5, 4.0, 11.0))
        event: dict[str, Any] = {"do": draw.choice(("said", "said", "said", "gone", "proven", "time"))}
        match event["do"]:
            case "said":
                if trust.state is None:
                    run += draw.randint(0, 1)
                state: dict[str, Any] = {
                    "cluster": draw.choice(("prod",) * 9 + ("test",)), "node": draw.choice(NODES[:2]), "name": "n",
                    "zone": "", "run": str(run), "knowledge": draw.choice(KNOWLEDGE),
                    "not_synced_because": draw.choice(("", "why")), "others": draw.random() < 0.7,
                }  # fmt: skip
                event["state"] = state
                trust.said(SidecarState(**state), now)
            case "gone":
                trust.gone(now)
            case "proven" if trust.state is not None:
                trust.proven(now)
            case _:
                event["do"] = "time"
                trust.pass_time(now)
        events.append({**event, "at": now, "expect": _believed(trust)})
    return {"name": f"seed {seed}", "maxStaleS": max_stale_s, "events": events}


def _believed(trust: SidecarTrust) -> dict[str, Any]:
    believed = trust.believed
    return {
        "level": int(trust.level), "due": None if trust.due == inf else trust.due, "whyNot": trust.why_not,
        "cluster": trust.cluster, "isStranger": trust.is_stranger, "other": trust.is_of_another_cluster,
        "believed": None if believed is None else [believed.run, believed.node],
    }  # fmt: skip

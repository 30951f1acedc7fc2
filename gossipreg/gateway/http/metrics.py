"""The counters of a sidecar in Prometheus's text format (version 0.0.4).

Owns how the figures of `info` become samples; `metric_names.py` has the names. A counter of the core that has no line
there is shown all the same, as `gossipreg_core_total{event=...}`, so that nothing new is lost.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from gossipreg.gateway.http.metric_names import (
    COUNTER_GAUGES,
    COUNTERS,
    FAMILIES,
    GAUGES,
    INFO,
    INSTANCES,
    LAGS,
    LOOP_LAG,
    MEMBERS,
    ROUND_TRIPS,
    RTT_QUANTILES,
    STATES,
    TROUBLES,
    UNAVAILABLE,
    Metric,
    http_gauge,
)
from gossipreg.model import CatalogInstance, Health, MemberInfo, fold_name

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

Sample = tuple[str, Mapping[str, str], float]


def metrics_text(info: Mapping[str, Any], members: Iterable[MemberInfo], instances: Iterable[CatalogInstance],
                 own: Mapping[str, float], gone: Iterable[str] = ()) -> str:  # fmt: skip
    """`info` is what `gossipreg info` says; `own` are gauges of this gateway, by name; `gone` are the folded names of
    services of dead members."""
    lines: list[str] = []
    for name, kind, text, samples in _families(info, list(members), list(instances), own, gone):
        lines += [f"# HELP {name} {text}", f"# TYPE {name} {kind}"]
        lines += [f"{metric}{_labels(labels)} {value:.16g}" for metric, labels, value in samples]
    return "\n".join(lines) + "\n"


_Family = tuple[str, str, str, list[Sample]]
"""Name, type, HELP line, samples."""


def _families(info: Mapping[str, Any], members: list[MemberInfo], instances: list[CatalogInstance],
              own: Mapping[str, float], gone: Iterable[str]) -> Iterator[_Family]:  # fmt: skip
    yield _of(INFO, [({key: str(info[key]) for key in INFO.labels}, 1)])
    yield _of(MEMBERS, [({"state": state}, count) for state, count in info["members"].items()])
    healths = dict.fromkeys(Health, 0)
    available = dict.fromkeys(gone, False)
    for instance in instances:
        healths[instance.health] += 1
        name = fold_name(instance.service.name)
        available[name] = available.get(name, False) or instance.health is Health.PASSING
    yield _of(INSTANCES, [({"health": health.name.lower()}, count) for health, count in healths.items()])
    yield _of(UNAVAILABLE, [({}, sum(not any_passes for any_passes in available.values()))])
    yield _round_trips(members)
    for key, text in STATES.items():
        yield _one(f"gossipreg_{key}", "gauge", text, [({}, int(info[key]))])
    for key, (name, text) in GAUGES.items():
        yield _one(name, "gauge", text, [({}, float(info[key]))])
    yield _of(LOOP_LAG, [({}, info["loop_lag_ms"] / 1000)])
    yield _of(TROUBLES, [({}, len(info["troubles"]))])
    for key, value in own.items():
        yield _of(http_gauge(key), [({}, value)])
    if groups := info.get("events", {}).get("groups"):
        for key, (name, text) in LAGS.items():
            yield _one(name, "gauge", text, [({"group": group}, lag[key]) for group, lag in groups.items()])
    yield from _counted(info["counters"])


def _counted(counters: Mapping[str, Any]) -> Iterator[_Family]:
    families: dict[str, list[tuple[Mapping[str, str], float]]] = {}
    for key, value in counters.items():
        if not isinstance(value, int | float):
            continue
        if key in COUNTER_GAUGES:
            yield _one(COUNTER_GAUGES[key][0], "gauge", COUNTER_GAUGES[key][1], [({}, value)])
        elif key not in COUNTERS:
            prefix = next(prefix for prefix in FAMILIES if key.startswith(prefix))
            label = {FAMILIES[prefix][1]: key.removeprefix(prefix)}
            families.setdefault(prefix, []).append((label, value))
    for key, (name, text) in COUNTERS.items():  # zeros too: a graph needs a first value
        yield _one(name, "counter", text, [({}, counters.get(key, 0))])
    for prefix, samples in families.items():
        name, _, text = FAMILIES[prefix]
        yield _one(name, "counter", text, samples)


def _round_trips(members: list[MemberInfo]) -> _Family:
    rtts = sorted(one.rtt_ms / 1000 for one in members if one.rtt_ms)
    name = ROUND_TRIPS.name
    samples: list[Sample] = [
        (name, {"quantile": f"{q:g}"}, rtts[round(q * (len(rtts) - 1))]) for q in RTT_QUANTILES if rtts
    ]
    samples += [(f"{name}_sum", {}, sum(rtts)), (f"{name}_count", {}, len(rtts))]
    return name, ROUND_TRIPS.kind, ROUND_TRIPS.text, samples


def _of(metric: Metric, samples: Sequence[tuple[Mapping[str, str], float]]) -> _Family:
    return _one(metric.name, metric.kind, metric.text, samples)


def _one(name: str, kind: str, text: str, samples: Sequence[tuple[Mapping[str, str], float]],
         ) -> _Family:  # fmt: skip
    return name, kind, text, [(name, labels, value) for labels, value in samples]


def _labels(labels: Mapping[str, str]) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items()) + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")

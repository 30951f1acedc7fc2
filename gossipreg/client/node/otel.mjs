// OpenTelemetry metrics of the requests that a registry's services make.
//
//     import { metrics } from "@opentelemetry/api";
//     import { observe } from "gossipreg/otel";
//     observe(registry, metrics.getMeter("my-program"));
//
// The meter comes from the program, so nothing of OpenTelemetry is imported here. Each counter of `Service.stats()` is
// `gossipreg.client.NAME`, with the attribute `gossipreg.service`; the names are those of the Python client.

import { BadParams } from "./errors.mjs";
import { shown } from "./given.mjs";
import { foldName } from "./names.mjs";
import { COUNTERS, GAUGES } from "./picking/counters.mjs";
import { Registry } from "./registry.mjs";

const PREFIX = "gossipreg.client";
/** The instruments of each meter, with the registries that they show: a meter wants each name once. */
const observed = new WeakMap();

/** Have the requests to the services of this registry counted by this meter, until the registry is closed. A second
 * call for the same registry changes nothing. Throws BadParams. */
export function observe(registry, meter) {
  if (!(registry instanceof Registry)) {
    throw new BadParams(`registry ${shown(registry)} is none: give what connect() returns`);
  }
  if (typeof meter?.createObservableCounter !== "function") {
    throw new BadParams(`meter ${shown(meter)} is none: give what metrics.getMeter() of @opentelemetry/api returns`);
  }
  let registries = observed.get(meter);
  if (registries === undefined) {
    registries = new Set();
    observed.set(meter, registries);
    makeInstruments(meter, registries);
  }
  registries.add(registry);
}

function makeInstruments(meter, registries) {
  const make = (kind) => (name) => [name, meter[kind](`${PREFIX}.${name}`, { unit: "1" })];
  const instruments = [
    ...COUNTERS.map(make("createObservableCounter")),
    ...GAUGES.map(make("createObservableUpDownCounter")),
  ];
  const read = (result) => {
    for (const [service, totals] of totalsOf(registries)) {
      for (const [name, instrument] of instruments) {
        result.observe(instrument, totals[name], { "gossipreg.service": service });
      }
    }
  };
  meter.addBatchObservableCallback(
    read,
    instruments.map(([, instrument]) => instrument),
  );
}

/** By service, over all registries, and over a service's tags, zones and settings. */
function totalsOf(registries) {
  const found = new Map();
  for (const registry of registries) {
    if (registry.isClosed) {
      registries.delete(registry);
      continue;
    }
    for (const service of registry.services()) {
      for (const { core } of service.pickers) add(found, foldName(service.name), core.stats());
    }
  }
  return found;
}

function add(found, name, stats) {
  const totals = found.get(name) ?? Object.fromEntries([...COUNTERS, ...GAUGES].map((one) => [one, 0]));
  for (const one of Object.keys(totals)) totals[one] += stats[one];
  found.set(name, totals);
}

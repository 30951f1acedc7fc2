import type { Registry } from "./index.js";

/** What of a Meter of @opentelemetry/api is used. */
export interface ObservingMeter {
  createObservableCounter(name: string, options?: { unit?: string }): any;
  createObservableUpDownCounter(name: string, options?: { unit?: string }): any;
  addBatchObservableCallback(callback: (result: any) => void, observables: any[]): void;
}

/** Have the requests to the services of this registry counted by this meter: each counter of `Service.stats()` is the
 * metric `gossipreg.client.NAME`, with the attribute `gossipreg.service`. */
export function observe(registry: Registry, meter: ObservingMeter): void;

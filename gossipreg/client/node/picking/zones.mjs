// How the requests of one zone spread over the zones of the instances (Envoy's zone-aware routing).
//
// Requests stay in their own zone as far as its instances carry their part. Where a zone has more of the callers than
// of the instances, the rest goes to zones that have instances to spare.

/** With fewer instances a zone is too small to keep its requests to itself. */
export const ZONE_INSTANCES_MIN = 6;

/**
 * The part of this zone's requests that each zone gets, as a Map; the parts sum to 1, and zones with nothing are left
 * out.
 *
 * callers: by zone, how many members call the service; this process is one of them. weights: by zone, the weights of
 * the instances that can be picked; the sum is above 0. Both are Maps.
 */
export function zoneShares(own, callers, weights) {
  const counted = new Map(callers).set(own, Math.max(1, callers.get(own) ?? 0));
  const calling = sum(counted.values());
  const offered = sum(weights.values());
  const parts = new Map([...weights].map(([zone, weight]) => [zone, weight / offered]));
  const callerPart = counted.get(own) / calling;
  const ownPart = parts.get(own) ?? 0;
  if (ownPart >= callerPart) return new Map([[own, 1]]);
  const kept = ownPart / callerPart;
  const spare = [...parts]
    .map(([zone, part]) => [zone, part - (counted.get(zone) ?? 0) / calling])
    .filter(([zone, part]) => zone !== own && part > 0);
  const total = sum(spare.map(([, part]) => part));
  if (!total) return new Map([[own, 1]]); // rounding: the parts are equal
  const shares = new Map(spare.map(([zone, part]) => [zone, ((1 - kept) * part) / total]));
  return kept ? shares.set(own, kept) : shares;
}

function sum(numbers) {
  let total = 0;
  for (const number of numbers) total += number;
  return total;
}

// The policies: which of the instances that may be picked gets the next request.
//
// Each policy is a function of (group, the sum of `load` over all instances, now) that returns a member of the group,
// which is not empty. `adaptive` and `least_request` draw some instances by weight, and take one of these (Mitzenmacher
// 2001): two are as good as all against hot spots, and clients that know the same do not all run to the same instance.
// `uniform` gives numbers from 0 to below 1.

/** Costs that differ less are equal. What one client measures is noisy. */
const EQUAL_WITHIN = 1.25 + 1e-9;
/** Of instances with different weights one is good enough that costs up to so many times the figure of the fastest
 * quarter: what is known of a light one is noisy. */
const GOOD_UNEQUAL = 2.5;
const DRAWS_MAX = 6;

/**
 * Draws by weight until one is good enough, at most DRAWS_MAX times; then the cheapest of these.
 *
 * cost = latency x (load + 1) / (expected load + 1). The expected load is the instance's part by weight of all that is
 * in flight: an idle service is shared by weight, a busy one by latency x load / weight. Costs within 25 % are equal.
 * Good enough is what costs as much as a free instance of the fastest quarter ("join below threshold", Zhou et al.
 * 2017).
 */
function adaptive(uniform, median) {
  return (group, load, now) => {
    if (group.members.length === 1) return group.members[0];
    const goodS = (group.equal ? EQUAL_WITHIN : GOOD_UNEQUAL) * median.quickS;
    const byWeight = load / group.total;
    let chosen = group.members[0];
    let leastS = Infinity;
    let place = -1;
    for (let draws = 0; draws < DRAWS_MAX && leastS > goodS; draws++) {
      place = group.draw(uniform(), place);
      const state = group.members[place];
      // The order of operations is Python's: costs are often exactly 25 % apart, where one rounding decides.
      const costS = state.latency.figureS(median.medianS, now) * ((state.load + 1) / (byWeight * state.share + 1));
      if (EQUAL_WITHIN * costS < leastS) {
        chosen = state;
        leastS = costS;
      }
    }
    return chosen;
  };
}

/** The one of two with fewer requests in flight, against those expected by its weight. */
function leastRequest(uniform) {
  return (group, load) => {
    if (group.members.length === 1) return group.members[0];
    const [first, second] = group.two(uniform(), uniform());
    const byWeight = load / group.total;
    const cost = (first.inFlight + 1) / (byWeight * first.share + 1);
    const other = (second.inFlight + 1) / (byWeight * second.share + 1);
    return other < cost ? second : first;
  };
}

function randomByWeight(uniform) {
  return (group) => group.one(uniform());
}

/** Turns without a pick. Only with extreme weights there are so many in a row; then the pick is random by weight. */
const SKIPS_MAX = 64;
/** Spreads the turns of light instances, which would otherwise all come in the same round. */
const GOLDEN = 0.6180339887498949;

/**
 * One after the other, from a random place, so that processes that start together do not march in step.
 *
 * Weights: in round r an instance takes its turn if r x (its share / the largest share), moved by an offset of its own,
 * passes a whole number: as in gRPC's static stride scheduler (gRFC A58).
 */
function roundRobin(uniform) {
  let turn = Math.floor(uniform() * 2 ** 20);
  return (group) => {
    const { members, largest } = group;
    if (group.equal) return members[++turn % members.length];
    for (let skipped = 0; skipped < SKIPS_MAX; skipped++) {
      turn++;
      const round = Math.floor(turn / members.length);
      const place = turn % members.length;
      const part = members[place].share / largest;
      const offset = place * GOLDEN;
      if (Math.floor((round + 1) * part + offset) > Math.floor(round * part + offset)) return members[place];
    }
    return group.one(uniform());
  };
}

/** The policy of this name. `ring_hash` is for picks with a key; those without one are random by weight. */
export function makePolicy(name, uniform, median) {
  switch (name) {
    case "adaptive":
      return adaptive(uniform, median);
    case "least_request":
      return leastRequest(uniform);
    case "round_robin":
      return roundRobin(uniform);
    default:
      return randomByWeight(uniform);
  }
}

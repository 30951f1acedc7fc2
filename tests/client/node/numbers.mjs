// Numbers that come from Python: the same random ones, and comparisons that allow for the last bits.

import assert from "node:assert/strict";

/** Marsaglia's generator with shifts 13, 17, 5, as in the tests in Python. */
export function xorshift32(word) {
  return () => {
    word ^= word << 13;
    word ^= word >>> 17;
    word ^= word << 5;
    return (word >>> 0) / 2 ** 32;
  };
}

/** Numbers may differ in their last bits: exp and pow do between C and JavaScript. */
export function assertNear(found, expected, where) {
  if (typeof expected === "number" && typeof found === "number") {
    const bound = 1e-9 * Math.max(1, Math.abs(expected));
    assert.ok(Math.abs(found - expected) <= bound, `${where}: ${found}, not ${expected}`);
  } else if (typeof expected === "object" && expected !== null && typeof found === "object" && found !== null) {
    assert.deepEqual(Object.keys(found).sort(), Object.keys(expected).sort(), where);
    for (const name of Object.keys(expected)) assertNear(found[name], expected[name], `${where}, ${name}`);
  } else {
    assert.deepEqual(found, expected, where);
  }
}

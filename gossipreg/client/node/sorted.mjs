// Binary search, as Python's `bisect_left`.

/** The first place of a sorted list whose value is not below this one; the length of the list if all are. */
export function firstAt(sorted, value) {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle] < value) low = middle + 1;
    else high = middle;
  }
  return low;
}

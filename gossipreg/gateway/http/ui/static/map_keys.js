// Which mark of a map comes next by keyboard: left and right follow the order of the marks, up and down go to the
// nearest mark of another line. On a ring or a row, which have one line, all of them follow the order, and round again.

const STEPS = { ArrowRight: 1, ArrowLeft: -1, PageDown: 10, PageUp: -10 };
const RING_STEPS = { ...STEPS, ArrowDown: 1, ArrowUp: -1 };

/** The index of the mark that `key` leads to, null where it leads nowhere. `boxes()` gives the places of all marks on
 * the screen, as `getBoundingClientRect` does; it is null where there is one line. */
export function nextMark(key, index, count, boxes) {
  if (boxes === null && Object.hasOwn(RING_STEPS, key)) return (index + RING_STEPS[key] + 10 * count) % count;
  if (Object.hasOwn(STEPS, key)) return Math.max(0, Math.min(count - 1, index + STEPS[key]));
  if (key === "Home") return 0;
  if (key === "End") return count - 1;
  if (key === "ArrowDown") return nearest(boxes().map(centre), index, 1);
  if (key === "ArrowUp") return nearest(boxes().map(centre), index, -1);
  return null;
}

function centre({ left, top, width, height }) {
  return [left + width / 2, top + height / 2];
}

/** The mark that is nearest above (-1) or below (1); one in the same column counts as nearer than one beside it. */
function nearest(centres, index, direction) {
  const [x, y] = centres[index];
  let [found, least] = [index, Infinity];
  centres.forEach(([ownX, ownY], at) => {
    const down = (ownY - y) * direction;
    const distance = down + 2 * Math.abs(ownX - x);
    if (down > 3 && distance < least) [found, least] = [at, distance];
  });
  return found;
}

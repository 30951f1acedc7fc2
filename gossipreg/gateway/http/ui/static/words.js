// Numbers and times in words.

const count = new Intl.NumberFormat("en");

export function number(value) {
  return count.format(value);
}

/** `3 members`, `1 member`. */
export function counted(value, one, many = `${one}s`) {
  return `${number(value)} ${value === 1 ? one : many}`;
}

/** A duration in seconds, in at most two units: `120 ms`, `12 s`, `3 min`, `2 h 5 min`, `4 d 3 h`. */
export function duration(seconds) {
  if (typeof seconds !== "number" || !Number.isFinite(seconds)) return "unknown";
  if (seconds < 0) return "0 s";
  if (seconds < 1) return seconds === 0 ? "0 s" : `${Math.max(1, Math.round(seconds * 1000))} ms`;
  if (seconds < 10) return `${Math.floor(seconds * 10) / 10} s`;
  if (seconds < 60) return `${Math.floor(seconds)} s`;
  if (seconds < 600) return two(seconds, 60, "min", 1, "s");
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 86400) return two(seconds, 3600, "h", 60, "min");
  return two(seconds, 86400, "d", 3600, "h");
}

function two(seconds, large, largeName, small, smallName) {
  const rest = Math.floor((seconds % large) / small);
  return `${Math.floor(seconds / large)} ${largeName}${rest ? ` ${rest} ${smallName}` : ""}`;
}

/** A round trip in milliseconds. */
export function roundTrip(ms) {
  if (ms === null || ms === undefined) return "–";
  return `${ms < 1 ? ms.toFixed(2) : ms < 10 ? ms.toFixed(1) : number(Math.round(ms))} ms`;
}

export function bytes(value) {
  if (value < 1024) return `${number(value)} B`;
  const units = ["KiB", "MiB", "GiB", "TiB"];
  let unit = -1;
  do {
    value /= 1024;
    unit += 1;
  } while (value >= 1024 && unit < units.length - 1);
  return `${value < 10 ? value.toFixed(1) : Math.round(value)} ${units[unit]}`;
}

export function percent(part) {
  return `${Math.round(part * 100)} %`;
}

const clock = new Intl.DateTimeFormat("sv", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const day = new Intl.DateTimeFormat("en", { weekday: "short", day: "numeric", month: "short", year: "numeric" });

/** The time of day in the zone of the reader, from seconds since 1970. */
export function timeOfDay(wallS, withMs = false) {
  const date = new Date(wallS * 1000);
  return clock.format(date) + (withMs ? `.${String(date.getMilliseconds()).padStart(3, "0")}` : "");
}

export function dateOf(wallS) {
  return day.format(new Date(wallS * 1000));
}

/** Date and time as a machine reads them, for `<time datetime>`. */
export function machineTime(wallS) {
  return new Date(wallS * 1000).toISOString();
}

/** The first characters of an id, enough to tell members apart. */
export function shortId(id) {
  return String(id).slice(0, 12);
}

// The header Retry-After (RFC 9110, section 10.2.3): how long a server asks its clients to stay away.
//
// It has seconds or a date. A date is on the server's clock, so it is compared with the header Date of the same
// response: then the clocks of the two hosts need not agree. The clock of this host is used where there is no Date.

/** More is taken as this, which is beyond any deadline: a call then ends at once. */
const LONGEST_S = 9_999_999;
const DATE_MAX_LETTERS = 64;
/** A year of two digits means the past one if the date would be further in the future (RFC 9110, section 5.6.7). */
const YEARS_AHEAD_S = 50 * 365.25 * 86_400;
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

const TIME = "(?<hour>\\d\\d):(?<minute>\\d\\d):(?<second>\\d\\d)";
const SHORT = "(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)";
const LONG = "(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day";
const MONTH = "(?<month>[A-Z][a-z][a-z])";
const FORMS = [
  `^${SHORT}, (?<day>\\d\\d) ${MONTH} (?<year>\\d{4}) ${TIME} GMT$`, // IMF-fixdate
  `^${LONG}, (?<day>\\d\\d)-${MONTH}-(?<year>\\d\\d) ${TIME} GMT$`, // of RFC 850
  `^${SHORT} ${MONTH} (?<day>[ \\d]\\d) ${TIME} (?<year>\\d{4})$`, // of asctime
].map((form) => new RegExp(form));

/**
 * The seconds that a response asks to wait, from 0 to LONGEST_S. Null: it asks for nothing, or for nonsense.
 *
 * text: its header Retry-After. date: its header Date. wallS: the time of this host since 1970, for a response without
 * Date; null: then a date in `text` says nothing.
 */
export function retryAfterUntrusted(text, date = null, wallS = null) {
  const asked = String(text ?? "").trim();
  if (/^[0-9]+$/.test(asked)) return Math.min(Number(asked), LONGEST_S);
  const askedS = httpDateUntrusted(asked, wallS);
  const fromS = httpDateUntrusted(date, wallS) ?? wallS;
  return askedS === null || fromS === null ? null : Math.min(Math.max(0, askedS - fromS), LONGEST_S);
}

/** The seconds since 1970 of a date in one of the three forms of RFC 9110, section 5.6.7; null: it is none. */
export function httpDateUntrusted(text, wallS) {
  const given = String(text ?? "").trim();
  if (given.length > DATE_MAX_LETTERS) return null;
  const found = FORMS.map((form) => form.exec(given)).find((match) => match !== null)?.groups;
  if (found === undefined || !MONTHS.includes(found.month)) return null;
  const year = Number(found.year);
  if (found.year.length > 2) return since1970(year, found);
  const laterS = since1970(2000 + year, found);
  if (wallS === null || laterS === null || laterS - wallS <= YEARS_AHEAD_S) return laterS;
  return since1970(1900 + year, found);
}

/** Null: there is no such date. A leap second is the one after it. */
function since1970(year, { month, day, hour, minute, second }) {
  const at = new Date(0);
  at.setUTCFullYear(year, MONTHS.indexOf(month), Number(day)); // Date.UTC takes a year below 100 for one of 1900
  if (Number(day) < 1 || at.getUTCDate() !== Number(day)) return null;
  if (Number(hour) > 23 || Number(minute) > 59 || Number(second) > 60) return null;
  return at.getTime() / 1000 + Number(hour) * 3600 + Number(minute) * 60 + Number(second);
}

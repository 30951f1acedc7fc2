// The token of HTTP (`--http-token-file`): kept for as long as this tab is open, and sent as a header alone, since
// addresses are logged.

const KEY = "gossipreg-token";

export function token() {
  return sessionStorage.getItem(KEY);
}

export function keepToken(text) {
  if (text) sessionStorage.setItem(KEY, text);
  else sessionStorage.removeItem(KEY);
}

/** Why a text cannot be a token, or null. A header cannot carry other characters: the request would fail by itself. */
export function tokenFault(text) {
  if (text.length > 1024) return `a token has at most 1,024 characters, and this has ${text.length}`;
  return /^[\x21-\x7e]*$/.test(text) ? null : "a token has printable ASCII characters without spaces, and this has others";
}

/** Headers of a request, with the token where there is one. */
export function headers(more = {}) {
  const kept = token();
  return kept ? { ...more, Authorization: `Bearer ${kept}` } : more;
}

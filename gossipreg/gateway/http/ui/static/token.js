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

/** Headers of a request, with the token where there is one. */
export function headers(more = {}) {
  const kept = token();
  return kept ? { ...more, Authorization: `Bearer ${kept}` } : more;
}

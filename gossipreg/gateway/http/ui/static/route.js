// Where the page is: everything that it shows has an address that can be shared, kept behind the `#`.
//
//   #/                      overview
//   #/members?state=dead    a list with its filter       #/members/ID        one member
//   #/services?q=web                                     #/services/NAME     one service
//   #/events                                             #/sagas/JOURNAL.ID  one saga
//   #/history?service=web&since=8h

const LISTS = { members: "member", services: "service", events: null, sagas: "saga", history: null };

/** {`view`, `name`, `query`} of an address; the view `nowhere` where the page has no such place. */
export function parse(hash) {
  const [path, search = ""] = hash.replace(/^#\/?/, "").split(/\?(.*)/s);
  const query = Object.fromEntries(new URLSearchParams(search));
  if (path === "") return { view: "overview", name: null, query };
  const slash = path.indexOf("/");
  const list = slash < 0 ? path : path.slice(0, slash);
  if (!Object.hasOwn(LISTS, list)) return { view: "nowhere", name: path, query };
  if (slash < 0) return { view: list, name: null, query };
  let name;
  try {
    name = decodeURIComponent(path.slice(slash + 1));
  } catch {
    return { view: "nowhere", name: path, query };
  }
  if (name === "") return { view: list, name: null, query };
  return LISTS[list] === null ? { view: "nowhere", name: path, query } : { view: LISTS[list], name, query };
}

/** The address of a place; a query's empty values are left out. */
export function address(view, name = null, query = {}) {
  const list = Object.keys(LISTS).find((list) => LISTS[list] === view) ?? view;
  const path = view === "overview" ? "" : list + (name === null ? "" : `/${encodeURIComponent(name)}`);
  const kept = Object.entries(query).filter(([, value]) => value !== "" && value !== null && value !== undefined);
  const search = new URLSearchParams(kept).toString();
  return `#/${path}${search ? `?${search}` : ""}`;
}

/** The list to which a view belongs, for the navigation. */
export function section(view) {
  return Object.keys(LISTS).find((list) => LISTS[list] === view) ?? view;
}

/** Change the filter of the place that is shown, without a new step in the browser's history. */
export function refine(changes) {
  const here = parse(location.hash);
  history.replaceState(null, "", address(here.view, here.name, { ...here.query, ...changes }));
  window.dispatchEvent(new Event("refined"));
}

// An instance of a service, as programs see it: decoded once from the sidecar's JSON, then shared. It never changes: a
// later snapshot has another object for the same key. The shape is in the manual, `gossipreg docs local-socket`.

export class Instance {
  #key;

  constructor(shape) {
    this.#key = `${shape.node}\0${shape.id}`;
    this.id = shape.id;
    this.service = shape.service;
    this.node = shape.node;
    this.nodeName = shape.node_name;
    this.address = shape.address;
    this.port = shape.port;
    this.tags = Object.freeze([...shape.tags]);
    this.meta = Object.freeze({ ...shape.meta });
    this.weight = shape.weight;
    this.health = shape.health;
    this.zone = shape.zone;
    this.stale = shape.stale;
    this.version = Object.freeze([...shape.version]);
    this.reason = shape.reason ?? "";
    Object.freeze(this);
  }

  /** What names an instance in the cluster: its member and its id. Keys sort as (node, id). */
  get key() {
    return this.#key;
  }

  /** `address:port` for a URL, with an IPv6 address in brackets; the address alone if there is no port. */
  get hostport() {
    const host = this.address.includes(":") ? `[${this.address}]` : this.address;
    return this.port ? `${host}:${this.port}` : host;
  }

  toString() {
    return `${this.service} at ${this.hostport} on ${this.nodeName}`;
  }
}

const FIELDS = {
  id: "string",
  service: "string",
  node: "string",
  node_name: "string",
  address: "string",
  port: "number",
  weight: "number",
  health: "string",
  zone: "string",
  stale: "boolean",
};

/** The instance of this JSON shape. Fields that this release does not know are ignored. Throws TypeError: the program
 * on the socket is at fault. */
export function instanceUntrusted(shape) {
  const fits =
    isObject(shape) &&
    Object.entries(FIELDS).every(([name, type]) => typeof shape[name] === type) &&
    Array.isArray(shape.tags) &&
    shape.tags.every((tag) => typeof tag === "string") &&
    isObject(shape.meta) &&
    Object.values(shape.meta).every((text) => typeof text === "string") &&
    isVersion(shape.version);
  if (!fits) throw new TypeError(`not an instance: ${JSON.stringify(shape)?.slice(0, 200)}`);
  return new Instance(shape);
}

/** The same instance, marked as what was known last. */
export function staleInstance(instance) {
  if (instance.stale) return instance;
  return new Instance({ ...instance, node_name: instance.nodeName, stale: true });
}

/** Whether two instances of one key say the same. A change of what was registered changes the version. */
export function isSame(one, other) {
  return (
    one.version[0] === other.version[0] &&
    one.version[1] === other.version[1] &&
    ["health", "stale", "reason", "address", "port", "zone", "nodeName"].every((name) => one[name] === other[name])
  );
}

/** Whether one version, [generation, counter], is newer than another. Generations are text: they pass 2^53. */
export function isNewer([generation, counter], [otherGeneration, otherCounter]) {
  const [one, other] = [BigInt(generation), BigInt(otherGeneration)];
  return one === other ? counter > otherCounter : one > other;
}

export function isObject(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isVersion(value) {
  if (!Array.isArray(value) || value.length !== 2) return false;
  const [generation, counter] = value;
  return typeof generation === "string" && /^[0-9]{1,40}$/.test(generation) && Number.isInteger(counter);
}

// Where the local socket is: the rule of the commands and of the Python client.
//
// The folders, in this order: `gossipreg` under $XDG_RUNTIME_DIR, `/run/gossipreg`, and in the temp folder one with the
// uid in its name. The first folder with a living sidecar decides. A folder counts only if root or this user owns it:
// in a temp folder anybody can make it first.

import { existsSync, lstatSync, readdirSync, statSync } from "node:fs";
import { connect } from "node:net";
import { dirname, isAbsolute, join } from "node:path";
import { ChooseSocket, Unreachable } from "./errors.mjs";

const FOLDER = "gossipreg";
const SUFFIX = ".sock";
/** Its owner is trusted: only root can make a folder in /run. */
const SYSTEM_FOLDER = `/run/${FOLDER}`;
/** The kernel's `sun_path` less its final zero. */
const MAX_PATH_BYTES = 107;
const CLOSED_CODES = new Set(["EACCES", "EPERM"]);
const DEAD_CODES = new Set(["ECONNREFUSED", "ENOENT", "ENOTDIR"]);

/**
 * The socket for a client: the one named, else $GOSSIPREG_SOCKET, else that of the only sidecar in the first folder
 * that has a living one. If there is one file in all folders, it is not probed: the connection will show whether it
 * lives.
 */
export async function findSocket(named, env = process.env) {
  const given = named || env.GOSSIPREG_SOCKET;
  if (given) {
    const fault = pathFault(given);
    if (fault) throw new ChooseSocket(fault);
    return given;
  }
  const places = clientFolders(env).map(look);
  const all = places.flatMap((place) => place.paths);
  if (all.length === 1 && !places.some((place) => place.closed)) return all[0];
  const forbidden = places.filter((place) => place.closed).map((place) => `in ${place.folder}`);
  for (const place of places) {
    const found = await Promise.all(place.paths.map(probe));
    const living = place.paths.filter((_, number) => found[number] === "living");
    if (living.length > 1) {
      throw new ChooseSocket(`several sidecars found, choose one with connect({ path }): ${living.join(", ")}`);
    }
    if (living.length === 1) return living[0];
    forbidden.push(...place.paths.filter((_, number) => found[number] === "forbidden"));
  }
  if (forbidden.length) throw new Unreachable(noPermission(forbidden.join(", ")));
  const shown = places.map((place) => place.shown);
  const last = shown.pop();
  throw new Unreachable(`no sidecar found in ${shown.join(", ")} or ${last}: start one with \`gossipreg join\``);
}

/** What is wrong with the path of a socket, in one line; empty if nothing is. */
export function pathFault(path) {
  const size = Buffer.byteLength(path);
  if (size <= MAX_PATH_BYTES) return "";
  return `the socket path ${path} has ${size} bytes, and the system allows ${MAX_PATH_BYTES}: choose a shorter one`;
}

/** Why this socket takes no connection, in one line for a person. */
export function whyNot(path, error) {
  if (DEAD_CODES.has(error.code)) {
    return `no sidecar answers on ${path}: start one with \`gossipreg join\`, or choose another with connect({ path })`;
  }
  if (CLOSED_CODES.has(error.code)) return noPermission(path);
  if (error.code === "EAGAIN" || error.code === "ETIMEDOUT") {
    return `the sidecar on ${path} does not accept connections: it is too busy, or suspended`;
  }
  return `cannot connect to ${path}: ${error.message}`;
}

/** The folders in which a client looks, in this order, none twice. */
export function clientFolders(env) {
  const folders = [];
  if (env.XDG_RUNTIME_DIR && isAbsolute(env.XDG_RUNTIME_DIR)) folders.push(join(env.XDG_RUNTIME_DIR, FOLDER));
  const temp = ["TMPDIR", "TEMP", "TMP"].map((name) => env[name]).find((folder) => folder && isAbsolute(folder));
  folders.push(SYSTEM_FOLDER, join(temp ?? "/tmp", `${FOLDER}-${process.getuid()}`));
  return [...new Set(folders)];
}

function noPermission(path) {
  return `the socket ${path} exists, but this user may not use it: see \`join --socket-group\``;
}

/** A folder as a client finds it that looks for a socket: its sockets, and whether there may be one that this user
 * cannot see. */
function look(folder) {
  const place = { folder, shown: folder, paths: [], closed: false };
  let names = [];
  try {
    const owner = untrustedOwner(folder);
    if (owner !== null) {
      place.shown = `${folder} (it belongs to uid ${owner} and is not trusted)`;
      return place;
    }
    names = readdirSync(folder).filter((name) => name.endsWith(SUFFIX));
  } catch (error) {
    if (CLOSED_CODES.has(error.code)) {
      // A folder of mode 0711 can be entered but not listed: then the usual name is worth a try.
      names = existsSync(join(folder, FOLDER + SUFFIX)) ? [FOLDER + SUFFIX] : [];
      place.closed = folder === SYSTEM_FOLDER && !names.length;
      place.shown = `${folder} (this user may not look into it)`;
    }
  }
  place.paths = names.sort().map((name) => `${folder}/${name}`);
  return place;
}

/** The owner of this folder if it is neither root nor we; null if the folder is trusted. */
function untrustedOwner(folder) {
  if (folder === SYSTEM_FOLDER && !(statSync(dirname(folder)).mode & 0o022)) return null;
  const owner = lstatSync(folder).uid;
  return owner === process.getuid() || owner === 0 ? null : owner;
}

/** What a connection finds: `living`, `dead` or `forbidden`. A sidecar that is only too busy counts as living. */
function probe(path) {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once("connect", () => {
      socket.destroy();
      resolve("living");
    });
    socket.once("error", ({ code }) => {
      resolve(CLOSED_CODES.has(code) ? "forbidden" : DEAD_CODES.has(code) ? "dead" : "living");
    });
  });
}

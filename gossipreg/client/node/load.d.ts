import type { IncomingMessage, RequestListener, ServerResponse } from "node:http";

/** A middleware for Express, Connect and their like: it answers with `gossipreg-load`, and lets calls that are made
 * meanwhile obey what the caller says. Use one for a server. */
export function loadMiddleware(): (request: IncomingMessage, response: ServerResponse, next: () => void) => void;

/** A handler of node:http with the middleware before it. */
export function withLoad(handler: RequestListener): RequestListener;

// A module of the client under test.

export function client(module) {
  return import(new URL(`../../../gossipreg/client/node/${module}`, import.meta.url).href);
}

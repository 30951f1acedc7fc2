// Builds elements. All text that the page shows is somebody else's, so it goes in as text and never as HTML; the only
// links are into the page itself, so a name such as "javascript:..." cannot become an address.

const SVG = "http://www.w3.org/2000/svg";

// Characters that show nothing, or turn what stands beside them around: a reason could read as another one.
const INVISIBLE = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g;
const READ = ["title", "aria-label", "placeholder"];

/** A text as people may read it: characters that cannot be seen are written as in `gossipreg services`, `\u202e`. */
export function visible(text) {
  return String(text).replace(INVISIBLE, (one) => `\\u${one.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

/** An HTML element. `attributes`: `class`, `on` (a map of listeners), `data` (a map), and any attribute; null, undefined
 * and false leave one out. `children`: nodes, texts, numbers, or arrays of them; null and false are skipped. */
export function h(tag, attributes, ...children) {
  return dress(document.createElement(tag), attributes, children);
}

/** The same for a part of a drawing. */
export function s(tag, attributes, ...children) {
  return dress(document.createElementNS(SVG, tag), attributes, children);
}

function dress(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "on") {
      for (const [event, listener] of Object.entries(value)) element.addEventListener(event, listener);
    } else if (name === "data") {
      Object.assign(element.dataset, value);
    } else {
      if (name === "href" && !isOwnAddress(String(value))) throw new Error(`not an address of this page: ${value}`);
      element.setAttribute(name, value === true ? "" : READ.includes(name) ? visible(value) : String(value));
    }
  }
  add(element, children);
  return element;
}

function isOwnAddress(address) {
  return address.startsWith("#") || address === "tables";
}

function add(element, children) {
  for (const child of children) {
    if (child === null || child === undefined || child === false) continue;
    if (Array.isArray(child)) add(element, child);
    else element.append(child instanceof Node ? child : visible(child));
  }
}

/** Put `children` in place of what `element` has. */
export function fill(element, ...children) {
  element.replaceChildren();
  add(element, children);
  return element;
}

/** Like `fill`, but only when `key` differs from that of the last call: what people read, select or point at stays. */
export function fillIfChanged(element, key, make) {
  const text = JSON.stringify(key);
  if (element.shownKey === text) return false;
  element.shownKey = text;
  const focused = element.contains(document.activeElement) ? document.activeElement.dataset.focus : null;
  fill(element, make());
  if (focused) element.querySelector(`[data-focus="${CSS.escape(focused)}"]`)?.focus();
  return true;
}

/** Position and size by the object model of CSS: the policy of the page forbids style attributes. */
export function place(element, properties) {
  for (const [name, value] of Object.entries(properties)) element.style.setProperty(name, value);
  return element;
}

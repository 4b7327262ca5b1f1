/** Small helpers to build nodes. Text goes in as text, never as markup. */

const SVG = "http://www.w3.org/2000/svg";

/**
 * Returns a new element. `attributes`: a name beginning with "on" adds a listener, `false` and null leave the attribute out,
 * `true` sets it empty. Children are nodes or texts; null and false are left out.
 */
export function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

/** Returns the icon of that name from the page's sprite; it is decoration, so screen readers skip it. */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS(SVG, "use");
  use.setAttribute("href", `#icon-${name}`);
  svg.append(use);
  return svg;
}

/** Returns the element with this id, which index.html promises to hold. */
export function byId(id) {
  return document.getElementById(id);
}

/** Shows `text` in `node`. What stays the same is not set again: a screen reader would announce it again. */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

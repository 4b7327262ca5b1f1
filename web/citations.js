/** Citations: chips in the answer, the list below it, and what is known about their versions. */

import { el } from "./dom.js";
import { local } from "./inline.js";
import { moment } from "./times.js";

/** Returns the node of a marker [n]: a button that opens the citation with `open(citation, button)`. */
export function chip(citation, open) {
  const button = el("button", {
    type: "button",
    class: "chip",
    title: place(citation),
    "aria-label": `Source ${citation.n}: ${place(citation)}`,
    "aria-haspopup": "dialog",
  }, String(citation.n));
  button.addEventListener("click", () => open(citation, button));
  return button;
}

/** Returns the node of the marker [?]: the sentence before it is not borne out by any passage. */
export function doubt() {
  return el("span", { class: "chip doubt", title: "No passage that was found says this" },
    el("span", { "aria-hidden": "true" }, "?"), el("span", { class: "unseen" }, " (no source says this)"));
}

/** Returns the list of an answer's sources, or null when it has none. */
export function sources(citations, open) {
  if (citations.length === 0) return null;
  const label = citations.length === 1 ? "Source" : "Sources";
  return el("div", { class: "sources", role: "group", "aria-label": label },
    el("h3", {}, label),
    el("ol", {}, ...citations.map((citation) => el("li", {}, card(citation, open)))));
}

function card(citation, open) {
  const button = el("button", { type: "button", class: "source", "aria-haspopup": "dialog" },
    el("span", { class: "number" }, String(citation.n)),
    el("span", { class: "source-text" },
      el("strong", {}, name(citation)),
      detail(citation) && el("span", {}, detail(citation)),
      el("small", {}, `Version of ${moment(citation.last_modified)}${unreadable(citation)}`)));
  button.addEventListener("click", () => open(citation, button));
  return button;
}

function unreadable(citation) {
  return { "": "", awaiting_rebuild: "; a newer one awaits the rebuild of the index" }[citation.newer_unreadable ?? ""] ?? "; a newer one could not be read";
}

/** Returns the document's title, or its path where it has none. */
export function name(citation) {
  return citation.title || citation.path || "Untitled document";
}

/** Returns the heading without the title it may begin with, and the pages: "Hotels, page 2". */
export function detail(citation) {
  const heading = String(citation.heading ?? "").split(/\s+[>›/]\s+/).filter((part) => part && part !== citation.title).join(" › ");
  return [heading, pages(citation)].filter(Boolean).join(", ");
}

/** Returns "page 2", or "pages 2 to 3" for a passage that runs over several; "" where the document has no pages. */
export function pages(citation) {
  const all = (Array.isArray(citation.pages) ? citation.pages : []).concat(citation.page ?? []).filter(Number.isInteger);
  if (all.length === 0) return "";
  const [first, last] = [Math.min(...all), Math.max(...all)];
  return first === last ? `page ${first}` : `pages ${first} to ${last}`;
}

function place(citation) {
  return [name(citation), detail(citation)].filter(Boolean).join(", ");
}

/** Returns the address that opens the cited version, at its page for a PDF; null unless it lies on this site. */
export function address(citation) {
  const path = local(citation.url);
  if (!path) return null;
  const atPage = Number.isInteger(citation.page) && /\.pdf$/i.test(citation.path ?? "");
  return atPage ? `${path.split("#")[0]}#page=${citation.page}` : path;
}

/** Returns the answer as text to paste elsewhere, with its sources and their versions below. */
export function asText(answer, citations) {
  const lines = citations.map((citation) => {
    const version = `version ${citation.version_id} of ${moment(citation.last_modified)}`;
    return `[${citation.n}] ${place(citation)} (${citation.path}, ${version})`;
  });
  return [answer.trim(), lines.join("\n")].filter(Boolean).join("\n\n");
}

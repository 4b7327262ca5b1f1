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
      el("small", {}, `Version of ${moment(citation.last_modified)}`)));
  button.addEventListener("click", () => open(citation, button));
  return button;
}

/** Returns the document's title, or its path where it has none. */
export function name(citation) {
  return citation.title || citation.path || "Untitled document";
}

/** Returns the heading without the title it may begin with, and the page: "Hotels, page 2". */
export function detail(citation) {
  const heading = String(citation.heading ?? "").split(/\s+[>›/]\s+/).filter((part) => part && part !== citation.title).join(" › ");
  return [heading, Number.isInteger(citation.page) ? `page ${citation.page}` : ""].filter(Boolean).join(", ");
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

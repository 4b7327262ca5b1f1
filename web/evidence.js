/** Where a passage says what the answer says: marked, and brought into view. A help for the eye; the service did the checking. */

import { el } from "./dom.js";

const ENOUGH = 0.5; // share of a statement's words that a place must have to be marked
const MARKERS = /((?:\s*\[\d{1,3}\])+)/;

/** Returns the statements of an answer, in Markdown, that carry the marker [n]: each the sentence before it. */
export function claims(content, n) {
  const parts = content.split(MARKERS);
  const found = [];
  for (let at = 0; at + 1 < parts.length; at += 2) {
    const sentence = parts[at].split(/(?<=[.!?])\s+|\n+/).filter((text) => text.trim()).at(-1);
    if (sentence && parts[at + 1].includes(`[${n}]`)) found.push(sentence);
  }
  return found;
}

/** Marks in `passage` the place that has most of the words of each statement. */
export function markEvidence(passage, statements) {
  const places = [...passage.querySelectorAll("p, li, tr, pre")].map((node) => ({ node, words: words(textOf(node)) }));
  for (const statement of statements) {
    const wanted = words(statement);
    const share = ({ words: had }) => [...wanted].filter((word) => had.has(word)).length / wanted.size;
    // Of two places that have as much, the smaller one says it more clearly.
    const best = places.toSorted((one, other) => share(other) - share(one) || one.words.size - other.words.size)[0];
    if (best && wanted.size > 0 && share(best) >= ENOUGH) mark(best.node);
  }
}

/** The cells of a row are words apart. */
function textOf(node) {
  return node.tagName === "TR" ? [...node.cells].map((cell) => cell.textContent).join(" ") : node.textContent;
}

function mark(node) {
  if (node.classList.contains("evidence")) return;
  node.classList.add("evidence");
  (node.tagName === "TR" ? node.firstElementChild : node).prepend(el("span", { class: "unseen" }, "Cited: "));
}

function words(text) {
  return new Set((text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? []).filter((word) => word.length > 2 || /\p{N}/u.test(word)));
}

/** Scrolls to the first mark in `passage`. */
export function reveal(passage) {
  passage.querySelector(".evidence")?.scrollIntoView({ block: "center" });
}

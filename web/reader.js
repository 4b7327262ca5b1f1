/** The cited passage, and around it the document that it was taken from, part by part. */

import { text } from "./api.js";
import { el, icon } from "./dom.js";
import { markEvidence } from "./evidence.js";
import { render } from "./markdown.js";
import { fromFault } from "./problems.js";

const AT_ONCE = 8; // parts that are loaded at a time

/** Returns the node that shows the passage of `citation`, and that loads what stands before and after it when the reader asks. */
export function reader(citation) {
  const passage = prose("passage", String(citation.passage ?? citation.snippet ?? ""));
  markEvidence(passage, Array.isArray(citation.claims) ? citation.claims : []);
  const node = el("div", { class: "reader", role: "group", "aria-label": "Cited passage" }, passage);
  const [first, last] = Array.isArray(citation.ordinals) ? citation.ordinals : [];
  if (!Number.isInteger(first) || !Number.isInteger(last)) return node; // stored by an earlier release
  const state = { citation, node, first, last, count: last + 1, note: el("p", { class: "crumb", role: "status" }) };
  state.before = first > 0 && button("Show what stands before", () => more(state, true));
  state.after = button("Show what follows", () => more(state, false));
  node.prepend(...[state.before].filter(Boolean));
  node.append(state.after, state.note);
  return node;
}

/** Loads the parts before or after those that are shown. The text that is being read stays where it is on the screen. */
async function more(state, before) {
  const from = before ? Math.max(0, state.first - AT_ONCE) : state.last + 1;
  const count = before ? state.first - from : AT_ONCE;
  const pressed = before ? state.before : state.after;
  const loaded = await text(state.citation, from, count).catch((fault) => explain(state, pressed, fault));
  if (!loaded) return;
  const parts = loaded.parts.map((part) => prose("context", part.text));
  if (before) {
    state.first = from;
    keepingPlace(state.node, () => state.before.after(...parts));
    if (from === 0) leave(pressed, parts[0]);
  } else {
    state.last = from + parts.length - 1;
    state.after.before(...parts);
    if (parts.length < count || state.last >= loaded.count - 1) leave(pressed, parts.at(-1));
  }
  state.note.textContent = `${parts.length} more parts of ${loaded.count} are shown.`;
}

/** The end of a document can only be found by looking: a passage at the very end has nothing after it. */
function explain(state, pressed, fault) {
  const problem = fromFault(fault);
  const gone = "This is all that the index holds of this version here. Open the version to read on.";
  state.note.textContent = problem.status === 404 ? gone : `${problem.title}.`;
  if (problem.status === 404) leave(pressed, state.note);
  return null;
}

/** Removes a button that has done all it can; the focus goes on to what it brought. */
function leave(gone, next) {
  const focused = document.activeElement === gone;
  gone.remove();
  if (!focused || !next) return;
  next.tabIndex = -1;
  next.focus();
}

/** What is added above must not push the passage away. */
function keepingPlace(node, change) {
  const area = node.closest("dialog");
  const rest = area.scrollHeight - area.scrollTop;
  change();
  area.scrollTop = area.scrollHeight - rest;
}

function prose(style, source) {
  const node = el("div", { class: `${style} prose` });
  render(node, String(source));
  return node;
}

function button(label, click) {
  return el("button", { type: "button", class: "quiet", onclick: click }, icon("more"), label);
}

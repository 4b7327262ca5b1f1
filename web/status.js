/** The state of the region and its index: in the header in one word, in the footer in full. */

import { status } from "./api.js";
import { byId, el, setText } from "./dom.js";
import { ago, moment, span } from "./times.js";

const CALM = 15_000; // milliseconds between two looks at a service that is ready
const ROOMY = ["Index", "Holds"]; // facts that a narrow screen leaves out
const EAGER = 2_000; // ... and at one that is not

/** Watches the status while the page is visible. `changed({ready})` is called after every look. */
export class StatusWatch {
  #changed;
  #timer = 0;

  constructor(changed) {
    this.#changed = changed;
    document.addEventListener("visibilitychange", () => document.hidden ? clearTimeout(this.#timer) : this.look());
  }

  async look() {
    clearTimeout(this.#timer);
    const found = await status();
    show(found);
    this.#changed({ ready: found?.ready !== false });
    clearTimeout(this.#timer); // two looks may have overlapped
    if (!document.hidden) this.#timer = setTimeout(() => this.look(), found?.ready ? CALM : EAGER);
  }
}

function show(found) {
  const [state, text] = summary(found);
  byId("state").dataset.state = state;
  setText(byId("state-region"), found?.region ? `${found.region}: ` : "");
  setText(byId("state-word"), text);
  const notice = byId("notice");
  const sentence = found?.ready === false ? indexing(found) : "";
  setText(notice, sentence);
  notice.hidden = sentence === "";
  if (found) byId("facts").replaceChildren(...facts(found));
}

function summary(found) {
  if (!found) return ["offline", "offline"];
  if (found.ready === false) return ["pending", "indexing"];
  return ["ready", "ready"]; // also while a rebuild runs, which the footer says
}

function indexing(found) {
  const soFar = found.documents ? ` ${plural(found.documents, "document")} so far.` : "";
  return `The index is being built. Questions can be sent as soon as it is complete.${soFar}`;
}

function facts(found) {
  const size = [plural(found.documents, "document"), plural(found.chunks, "passage")].filter(Boolean).join(", ");
  const newest = found.newest?.last_modified;
  const change = found.last_change;
  const rows = [
    ["Region", found.region],
    ["Index", found.generation],
    ["Holds", size],
    ["Newest version", newest && ago(newest), newest && `${found.newest.path ?? ""}, ${moment(newest)}`],
    ["Last change", indexed(found.index_lag_seconds, change?.at), change && `${change.path ?? ""}, ${moment(change.at)}`],
    ["Rebuild", found.rebuild && (found.rebuild.phase ?? "running")],
    ["Model", model(found.model)],
  ];
  return rows.filter(([, value]) => value).map(([label, value, hover]) =>
    el("div", { title: hover ?? null, class: ROOMY.includes(label) ? "roomy" : null }, el("dt", {}, label), el("dd", {}, String(value))));
}

/** How long the last change took, and when that was: of changes that are still under way it says nothing. */
function indexed(seconds, at) {
  if (typeof seconds !== "number") return null;
  return [seconds < 1 ? "indexed within a second" : `indexed in ${span(seconds)}`, ago(at)].filter(Boolean).join(", ");
}

/** The extractive stand-in says what it is: nobody shall take quoted sentences for a language model's answer. */
function model(name) {
  if (!name) return null;
  return name.startsWith("extractive") ? `${name} (local stand-in, quotes sentences)` : name;
}

function plural(count, word) {
  if (typeof count !== "number") return null;
  return `${count.toLocaleString("en")} ${word}${count === 1 ? "" : "s"}`;
}

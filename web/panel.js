/** The panel that shows one cited passage, with the document and the version it was taken from. */

import { versions } from "./api.js";
import { address, detail, name } from "./citations.js";
import { el, icon } from "./dom.js";
import { Drawer } from "./drawer.js";
import { local } from "./inline.js";
import { reveal } from "./evidence.js";
import { reader } from "./reader.js";
import { ago, moment } from "./times.js";

export class Panel {
  #drawer;

  constructor(dialog) {
    this.#drawer = new Drawer(dialog);
  }

  get isOpen() {
    return this.#drawer.isOpen;
  }

  close() {
    this.#drawer.close();
  }

  /** Opens the panel on `citation`; closing it gives the focus back to `opener`. What else is known of its versions follows. */
  async open(citation, opener) {
    const notice = el("div", { role: "status" });
    const passage = reader(citation);
    const others = el("div", { class: "versions" });
    const close = el("button", { type: "button", class: "tool", "aria-label": "Close source" }, icon("close"));
    close.addEventListener("click", () => this.close());
    this.#drawer.open(opener,
      el("div", { class: "panel-head" },
        close, el("div", {}, el("p", {}, `Source ${citation.n}`), el("h2", { id: "panel-title", tabindex: "-1" }, name(citation)))),
      detail(citation) && el("p", { class: "crumb" }, detail(citation)),
      notice,
      passage,
      facts(citation),
      openLink(citation),
      alsoIn(citation),
      others);
    reveal(passage);
    const known = await versions(citation.document_id);
    notice.append(...newerNotice(citation, known));
    others.append(...versionList(citation, known));
  }
}

function facts(citation) {
  const page = Number.isInteger(citation.page) ? String(citation.page) : null;
  const modified = citation.last_modified && `${moment(citation.last_modified)} (${ago(citation.last_modified)})`;
  const rows = [
    ["Path", citation.path, "path"],
    ["Page", page, ""],
    ["Last modified", modified, ""],
    ["Version", citation.version_id, "path"],
  ];
  return el("dl", { class: "facts" }, ...rows.filter(([, value]) => value).map(([label, value, style]) =>
    el("div", {}, el("dt", {}, label), el("dd", { class: style || null }, value))));
}

function openLink(citation) {
  const href = address(citation);
  return href && el("div", { class: "panel-foot" }, tabLink({ class: "primary", href }, icon("open"), "Open this version"));
}

/** Other documents that say the same, which were left out for the cited one. */
function alsoIn(citation) {
  const others = Array.isArray(citation.also_in) ? citation.also_in : [];
  if (others.length === 0) return null;
  return el("div", { class: "versions" }, el("h3", {}, "Said in these documents too"), el("ol", {}, ...others.map((other) => {
    const href = address(other);
    return el("li", {}, href ? tabLink({ href }, String(other.path)) : String(other.path));
  })));
}

function tabLink(attributes, ...label) {
  return el("a", { ...attributes, target: "_blank", rel: "noopener" }, ...label, el("span", { class: "unseen" }, " (in a new tab)"));
}

function newerNotice(citation, known) {
  const current = known.find((version) => version.is_current);
  if (!current || current.version_id === citation.version_id) return [];
  return [el("p", { class: "newer" }, icon("alert"),
    `There is a newer version, of ${moment(current.last_modified)}${unreadable(citation)}. This answer was taken from the version below.`)];
}

function unreadable(citation) {
  return { "": "", awaiting_rebuild: ", which awaits the rebuild of the index" }[citation.newer_unreadable ?? ""]
    ?? `, which could not be read (${citation.newer_unreadable.replaceAll("_", " ")})`;
}

/** One version alone is the cited one, of which everything is said already. */
function versionList(citation, known) {
  if (known.length < 2) return [];
  return [el("h3", {}, `${known.length} versions`), el("ol", {}, ...known.map((version) => versionEntry(citation, version)))];
}

function versionEntry(citation, version) {
  const href = local(version.url);
  const when = moment(version.last_modified);
  const marks = [version.version_id === citation.version_id && "cited here", version.is_current && "current"].filter(Boolean);
  return el("li", {}, href ? tabLink({ href }, when) : when, marks.length > 0 && el("small", {}, marks.join(", ")));
}

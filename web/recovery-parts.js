/** The parts of the recovery page: each takes data and returns nodes. */

import { el } from "./dom.js";
import { count, outcome, PHASES, planFigures, progressFigures, reportFigures, reportLists, share, took } from "./recovery-text.js";
import { ago, moment } from "./times.js";

/** A list of labels and values. */
export function figures(rows) {
  return el("dl", { class: "figures" }, ...rows.map(([label, value]) => el("div", {}, el("dt", {}, label), el("dd", {}, String(value)))));
}

/** A rebuild that runs; `onCancel` is called by its button. */
export function progressCard(progress, onCancel) {
  const done = share(progress);
  const phase = PHASES[progress.phase] ?? progress.phase;
  return [
    el("p", { class: "phase" }, el("span", { id: "phase" }, phase), done === null ? null : el("span", {}, `${Math.floor(done * 100)} %`)),
    el("progress", { "aria-labelledby": "phase", max: "1", value: done === null ? null : String(done) }),
    figures(progressFigures(progress)),
    el("p", { class: "buttons" }, el("button", { class: "quiet", type: "button", id: "cancel", onclick: onCancel }, "Cancel this rebuild")),
  ];
}

/** Something that was begun and is not running; it can be gone on with or given up. */
export function interruptedCard(interrupted, onResume, onCancel) {
  const what = interrupted.generation ? `Generation ${interrupted.generation} is unfinished.` : "A rebuild was cut off before it created its generation.";
  const next = interrupted.resumes_left ? " It goes on by itself within a minute." : " What is right in it already is skipped when you go on.";
  return [
    el("p", { class: "warning" }, what + next),
    el("p", { class: "buttons" },
      el("button", { class: "act", type: "button", onclick: onResume }, "Go on with it"),
      el("button", { class: "quiet", type: "button", onclick: onCancel }, "Give it up")),
  ];
}

/** What a dry run found. */
export function planCard(report) {
  const plan = report.plan;
  const more = plan.newer_count - plan.newer.length;
  return [
    el("h3", {}, "Plan; nothing has been changed"),
    figures(planFigures(plan)),
    ...(plan.newer_count === 0 ? [] : [
      el("h3", {}, `${count(plan.newer_count)} versions are newer than the copy and will not be in it`),
      el("ul", { class: "paths" }, ...plan.newer.map(({ path, at }) => el("li", {}, `${path}, ${moment(at)}`)), more > 0 && el("li", {}, `and ${count(more)} more`)),
    ]),
  ];
}

/** The generations, newest first; `onRollback(name)` is called by the buttons. */
export function generationRows(generations, onRollback) {
  if (generations.length === 0) return el("p", { class: "calm" }, "There is none yet: chat cannot answer.");
  return el("ul", { class: "rows" }, ...[...generations].reverse().map(({ name, live, verified, since }) => el("li", {},
    el("span", { class: "name-of" }, name),
    live && el("span", { class: "badge", "data-tone": "good" }, "live"),
    !verified && !live && el("span", { class: "badge", "data-tone": "warm" }, "not verified"),
    since && el("span", { class: "about", title: moment(since) }, `verified ${ago(since)}`),
    verified && !live && el("button", { class: "quiet small", type: "button", onclick: () => onRollback(name) },
      "Let it answer", el("span", { class: "unseen" }, ` (roll back to ${name})`)))));
}

/** The reports, newest first; `read(id)` returns a whole one when a row is opened. */
export function reportRows(reports, read) {
  if (reports.length === 0) return el("p", { class: "calm" }, "No rebuild has ended yet.");
  return el("ul", { class: "rows" }, ...reports.map((report) => {
    const [words, tone] = outcome(report.status);
    const inside = el("div", {}, el("p", { class: "calm" }, "Reading…"));
    const row = el("details", { ontoggle: () => row.open && fill(inside, report.id, read) },
      el("summary", {},
        el("span", { class: "name-of" }, report.id),
        el("span", { class: "badge", "data-tone": tone }, words),
        el("span", { class: "about" }, [moment(report.finished), report.seconds && took(report.seconds), report.reason].filter(Boolean).join(" · "))),
      inside);
    return el("li", {}, row);
  }));
}

async function fill(inside, id, read) {
  try {
    inside.replaceChildren(...reportCard(await read(id)));
  } catch (fault) {
    inside.replaceChildren(el("p", { class: "warning" }, fault.detail || fault.title || String(fault)));
  }
}

function reportCard(report) {
  return [
    report.error && report.status !== "planned" ? el("p", { class: "warning" }, report.error) : "",
    figures(report.plan && report.status === "planned" ? planFigures(report.plan) : reportFigures(report)),
    ...reportLists(report).flatMap(([title, paths, all]) => [
      el("h3", {}, `${title} (${count(all)})`),
      el("ul", { class: "paths" }, ...paths.slice(0, 50).map((path) => el("li", {}, path)), all > Math.min(50, paths.length) && el("li", {}, "and more: the API has the list")),
    ]),
  ];
}

/** The record of acts, newest first. */
export function actRows(acts) {
  if (acts.length === 0) return el("p", { class: "calm" }, "Nothing has been done here yet.");
  return el("ul", { class: "rows" }, ...acts.map(({ act, who, reason, at }) => el("li", {},
    el("span", { class: "badge" }, act),
    el("span", { class: "name-of" }, reason || "no reason given"),
    el("span", { class: "about" }, `${who}, ${moment(at)}`))));
}

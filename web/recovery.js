/** The recovery page: joins the parts, asks the app now and then, and passes on what the operator wants. */

import { byId, el, setText } from "./dom.js";
import { act, hasKey, keepKey, overview, rebuild } from "./recovery-api.js";
import { askKey, confirmAct } from "./recovery-ask.js";
import { actRows, generationRows, interruptedCard, planCard, progressCard, reportRows } from "./recovery-parts.js";
import { outcome, share, spoken } from "./recovery-text.js";

const RUNNING = 1_000; // milliseconds between two looks at a rebuild that runs
const CALM = 15_000; // ... and at a region where nothing does

let timer = 0;
let followed = null; // id of the rebuild whose progress is shown
let known = null; // the last overview
let said = ""; // what a screen reader has heard last
let refusedKey = false; // the operator did not want to give a key: ask only when they act

const drawn = new Map(); // place -> the data it shows: what stays the same keeps its nodes, and the focus in them

/** What had the focus and is gone leaves it to the section's heading. */
function draw(place, data, make) {
  const now = JSON.stringify(data);
  if (drawn.get(place) === now) return;
  drawn.set(place, now);
  const made = make(data);
  const focused = byId(place).contains(document.activeElement) ? document.activeElement.id : null;
  byId(place).replaceChildren(...(Array.isArray(made) ? made : [made]));
  if (focused !== null) (document.getElementById(focused) ?? byId(`${place}-title`)).focus();
}

// ---- looking ---------------------------------------------------------------------------------------------------------

async function look() {
  clearTimeout(timer);
  let next = CALM;
  try {
    if (followed) await watch();
    else await everything();
    alarm("looking", (!followed && known?.rebuild_needed) || "");
    if (followed) next = RUNNING;
  } catch (fault) {
    if (fault.status === 401 || fault.status === 403) await unlock(fault);
    else alarm("looking", sentence(fault));
    next = followed || refusedKey ? RUNNING * 3 : RUNNING * 2;
    if (refusedKey) next = CALM;
  }
  clearTimeout(timer); // two looks may have overlapped
  if (!document.hidden) timer = setTimeout(look, next);
}

async function everything() {
  known = await overview();
  refusedKey = false;
  followed = known.running?.id ?? null;
  state(known);
  draw("generations", known.generations, (rows) => generationRows(rows, rollback));
  draw("reports", known.reports, (rows) => reportRows(rows, rebuild));
  draw("acts", known.acts, actRows);
  if (known.running) showProgress(known.running);
  else if (known.interrupted) draw("now", known.interrupted, (data) => interruptedCard(data, resume, cancel));
  else draw("now", known.reports.find(({ status }) => status !== "planned") ?? null, last);
  busy(Boolean(known.running));
}

async function watch() {
  const found = await rebuild(followed);
  if (found.status === "running") {
    showProgress(found);
    busy(true);
    return;
  }
  followed = null;
  const [words] = outcome(found.status);
  announce(found.status === "planned" ? "The plan is ready." : `Rebuild ${found.id}: ${words}.`);
  showEnd(found);
  await everything();
}

function showProgress(progress) {
  draw("now", progress, (data) => progressCard(data, cancel));
  const done = share(progress);
  const step = `${progress.phase} ${done === null ? "" : Math.floor(done * 4)}`;
  if (step !== said) {
    said = step;
    announce(spoken(progress));
  }
}

/** What a plan found, or why the guard stopped a rebuild, belongs to the form that asked for it. */
function showEnd(report) {
  byId("planned").hidden = report.status !== "planned";
  if (report.status === "planned") byId("planned").replaceChildren(...planCard(report));
  byId("refusal").hidden = report.status !== "refused" && report.status !== "stopped";
  if (!byId("refusal").hidden) byId("refusal").replaceChildren(...refusal(report));
}

function refusal(report) {
  const resume = report.status === "stopped";
  return [
    el("p", { class: "warning", role: "alert" }, report.error),
    el("p", { class: "buttons" }, el("button", {
      class: "quiet", type: "button", onclick: () => begin({ force: true, resume, source: report.source, reason: report.reason }),
    }, resume ? "Go on all the same" : "The listing is true: start all the same")),
  ];
}

function last(report) {
  if (!report) return el("p", { class: "calm" }, "Nothing is running.");
  const [words, tone] = outcome(report.status);
  return [
    el("p", { class: "calm" }, `Nothing is running. The last rebuild, ${report.id}: ${words}.`),
    tone === "bad" && report.error ? el("p", { class: "warning" }, report.error) : "",
  ];
}

function state({ region, running, interrupted, generations }) {
  const live = generations.some((generation) => generation.live);
  const word = running ? "rebuilding" : interrupted ? "interrupted" : live ? "ready" : "no index";
  byId("state").dataset.state = running || interrupted ? "pending" : live ? "ready" : "offline";
  setText(byId("state-region"), `${region}: `);
  setText(byId("state-word"), word);
}

const alarms = { looking: "", acting: "" };

/** Shows what went wrong with looking or with acting; "" when nothing did. What an act met stays until the next act. */
function alarm(what, text) {
  alarms[what] = text;
  const shown = alarms.acting || alarms.looking;
  setText(byId("alarm"), shown);
  byId("alarm").hidden = shown === "";
}

function sentence(fault) {
  return [fault.title, fault.detail].filter(Boolean).join(": ") || String(fault);
}

function announce(text) {
  byId("announcer").textContent = text;
}

function busy(running) {
  const focused = document.activeElement;
  byId("start").disabled = running;
  byId("plan").disabled = running;
  if (focused?.disabled) byId("now-title").focus();
  byId("begin-note").textContent = running ? "One rebuild at a time: this one first." : "";
}

// ---- acting ----------------------------------------------------------------------------------------------------------

/** Does something that an operator may do; asks for the key where the app wants one, and tries once more. */
async function operate(name, body) {
  alarm("acting", "");
  try {
    return await act(name, body);
  } catch (fault) {
    if (fault.status !== 401 && fault.status !== 403) throw fault;
    refusedKey = false;
    if (!(await unlock(fault))) throw fault;
    return act(name, body);
  }
}

/** Asks for the key; returns whether one was given. */
async function unlock(fault) {
  if (refusedKey || byId("key").open) return false;
  const words = hasKey() ? "The key was not accepted." : fault.status === 403 ? fault.detail : "The app does not know who you are.";
  const key = await askKey(byId("key"), words);
  keepKey(key ?? "");
  refusedKey = key === null;
  alarm("looking", refusedKey ? "Without the operator's key nothing can be shown here." : "");
  return key !== null;
}

async function attempt(work) {
  try {
    await work();
  } catch (fault) {
    alarm("acting", sentence(fault));
  }
  await look();
}

function begin(options) {
  byId("planned").hidden = true;
  byId("refusal").hidden = true;
  return attempt(async () => {
    const started = await operate("rebuild", { source: chosen(), reason: byId("reason").value.trim(), ...options });
    followed = started.id;
    announce(options.dry_run ? "Planning." : "The rebuild has been started.");
    if (!options.dry_run) byId("now-title").focus();
  });
}

function chosen() {
  return new FormData(byId("begin")).get("source");
}

function resume() {
  return begin({ resume: true, source: known?.interrupted?.source ?? chosen(), reason: known?.interrupted?.reason || "resumed" });
}

async function cancel() {
  const reason = await confirmAct(byId("confirm"), {
    title: "Cancel the rebuild?",
    text: "The unfinished generation is removed. The live one goes on answering as before.",
    button: "Cancel the rebuild",
  });
  if (reason === null) return;
  await attempt(() => operate("cancel", { reason }));
}

async function rollback(generation) {
  const reason = await confirmAct(byId("confirm"), {
    title: `Let ${generation} answer?`,
    text: "What changed in the lake since then is taken up in it, deletions first; then the alias moves. That takes up to two minutes.",
    button: "Roll back",
  });
  if (reason === null) return;
  await attempt(() => operate("rollback", { generation, reason }));
}

byId("begin").addEventListener("submit", (event) => {
  event.preventDefault();
  begin({});
});
byId("plan").addEventListener("click", () => begin({ dry_run: true }));
document.addEventListener("visibilitychange", () => document.hidden ? clearTimeout(timer) : look());
look();

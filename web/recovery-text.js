/** What the recovery page says: figures, phases and outcomes in words. No DOM. */

import { ago, moment, span } from "./times.js";

export const PHASES = {
  starting: "Starting",
  planning: "Planning: listing the lake",
  indexing: "Indexing",
  catching_up: "Catching up with changes",
  verifying: "Verifying every document",
  joining: "Taking up what changed meanwhile",
  swapping: "Going live",
  following: "Looking at the lake once more",
  retiring: "Removing old generations",
};

const STATUSES = {
  completed: ["verified and live", "good"],
  planned: ["plan", ""],
  cancelled: ["cancelled", "warm"],
  refused: ["refused", "bad"],
  stopped: ["stopped for a person", "bad"],
  verification_failed: ["verification failed", "bad"],
  failed: ["failed", "bad"],
  interrupted: ["interrupted", "warm"],
  running: ["running", "warm"],
};

/** Returns the words for a status and the tone they are shown in. */
export function outcome(status) {
  return STATUSES[status] ?? [String(status), ""];
}

/** Returns a number with separators, or a dash for what is not known. */
export function count(value) {
  return typeof value === "number" ? value.toLocaleString("en") : "–";
}

/** Returns the share of the phase that is done, from 0 to 1, or null where that cannot be said. */
export function share(progress) {
  return progress.pages ? Math.min(1, (progress.pages_done ?? 0) / progress.pages) : null;
}

/** Returns label and value of what is worth knowing of a rebuild that runs. */
export function progressFigures(progress) {
  return [
    ["Documents", progress.documents && `${count(progress.documents_done)} of ${count(progress.documents)}`],
    ["Chunks", progress.chunks && `${count(progress.chunks_done)} of about ${count(progress.chunks)}`],
    ["Rate", progress.chunks_per_second && `${count(Math.round(progress.chunks_per_second))} chunks/s`],
    ["Left in this phase", typeof progress.eta_seconds === "number" && `about ${span(progress.eta_seconds)}`],
    ["Embedded", count(progress.embedded ?? 0)],
    ["Waited for services", span(progress.throttle_wait_seconds ?? 0)],
    ["Unreadable", count(progress.failures ?? 0)],
    ["Source", progress.source],
    ["Started", progress.started && ago(progress.started)],
    ["Why", progress.reason],
  ].filter(([, value]) => value);
}

/** Returns one sentence for a screen reader. */
export function spoken(progress) {
  const done = share(progress);
  const phase = PHASES[progress.phase] ?? progress.phase;
  return done === null ? `${phase}.` : `${phase}: ${Math.floor(done * 100)} percent.`;
}

/** Returns label and value of what a plan says. */
export function planFigures(plan) {
  const estimate = plan.estimate;
  return [
    ["Documents", count(plan.documents)],
    ["Size", bytes(plan.bytes)],
    ["Chunks", `about ${count(estimate.chunks)}`],
    ["Embedded already", `${count(estimate.stored_chunks)} chunks of ${count(estimate.stored_documents)} documents`],
    ["To embed", `${count(estimate.tokens_to_embed)} tokens`],
    ["Embedding takes", minutes(estimate.embedding_minutes, "not known: no quota is set")],
    ["Indexing takes", minutes(estimate.indexing_minutes, "not known: nothing has been measured yet")],
    ["Embedding costs", estimate.embedding_cost === null ? "not known: no price is set" : estimate.embedding_cost.toFixed(2)],
    ["Reads", plan.source === "secondary" ? `the copy as of ${moment(plan.last_sync_time)}` : "the lake's account"],
    ["Live now", plan.previous ?? "nothing"],
  ];
}

/** Returns label and value of what a report says. */
export function reportFigures(report) {
  const documents = Object.entries(report.documents ?? {}).map(([kind, number]) => `${count(number)} ${kind}`).join(", ");
  const chunks = report.chunks ?? {};
  return [
    ["Documents", documents],
    ["Chunks written", report.chunks && count(chunks.added)],
    ["Chunks removed", chunks.removed ? count(chunks.removed) : ""],
    ["Chunks embedded", report.chunks && count(chunks.embedded)],
    ["Rate", report.chunks_per_second && `${count(Math.round(report.chunks_per_second))} chunks/s`],
    ["Took", report.seconds && took(report.seconds)],
    ["Waited for services", report.throttle_wait_seconds ? span(report.throttle_wait_seconds) : ""],
    ["Unreadable", report.failures?.count ? count(report.failures.count) : ""],
    ["Generation", report.plan?.generation],
    ["Source", report.source],
    ["Last Sync Time", report.rpo?.last_sync_time && moment(report.rpo.last_sync_time)],
    ["Newer than the copy", report.rpo?.newer_versions ? `${count(report.rpo.newer_versions)} versions` : ""],
    ["Why", report.reason],
  ].filter(([, value]) => value);
}

/** Returns the lists of a report: [title, paths, all there are]. */
export function reportLists(report) {
  const found = Object.entries(report.verification ?? {}).filter(([, kind]) => kind.count)
    .map(([kind, { count: all, paths }]) => [`Verification: ${kind.replaceAll("_", " ")}`, paths, all]);
  const failures = report.failures?.count
    ? [["Could not be read", Object.entries(report.failures.paths).map(([path, reason]) => `${path} (${reason})`), report.failures.count]]
    : [];
  const probes = report.failed_probes?.length
    ? [["Questions that do not find their document", report.failed_probes.map(({ question, path }) => `${question} → ${path}`), report.failed_probes.length]]
    : [];
  return [...found, ...failures, ...probes];
}

/** Returns the seconds of all phases together in words. */
export function took(seconds) {
  const all = Object.values(seconds).reduce((sum, one) => sum + one, 0);
  return all < 10 ? `${all.toFixed(1)} s` : span(all);
}

/** Returns a number of bytes in the unit that suits it. */
export function bytes(value) {
  let rest = value;
  for (const unit of ["B", "kB", "MB", "GB"]) {
    if (rest < 1_000) return `${unit === "B" ? rest : rest.toFixed(1)} ${unit}`;
    rest /= 1_000;
  }
  return `${rest.toFixed(1)} TB`;
}

function minutes(value, unknown) {
  if (value === null || value === undefined) return unknown;
  return value < 1 ? "less than a minute" : `about ${span(value * 60)}`;
}

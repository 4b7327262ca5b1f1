/** The HTTP API as the page uses it (Microsoft's AI Chat Protocol, status, suggestions). */

import { fromBody, fromResponse, Problem } from "./problems.js";
import { readLines } from "./stream.js";

/**
 * Asks the last of `messages` and yields the stream's events: {context}, {delta} ..., the last with `done`. `followUps`: further questions
 * are wanted too. Throws Problem for an error reply, an error in mid-stream and a stream that ends early; throws AbortError once
 * `signal` is aborted.
 */
export async function* ask(messages, followUps, signal) {
  const response = await fetch("/api/chat/stream", {
    method: "POST",
    headers: { "Content-Type": "application/json", Accept: "application/jsonl" },
    body: JSON.stringify({ messages, context: { follow_ups: followUps }, sessionState: null }),
    signal,
  });
  if (!response.ok) throw await fromResponse(response);
  for await (const event of readLines(response.body)) {
    if (event.error) throw fromBody(event.error);
    yield event;
    if (event.done) return;
  }
  throw new Problem("The answer broke off", "The connection ended before the answer was complete.");
}

/** Returns the status, or null when there is none to be had. */
export async function status() {
  return optional("/api/status");
}

/** Returns the suggested questions; none when the service has none. */
export async function suggestions() {
  const reply = await optional("/api/suggestions");
  return Array.isArray(reply?.questions) ? reply.questions.filter((question) => typeof question === "string") : [];
}

/** Returns the versions of a document, newest first: {version_id, is_current, last_modified, url}; none when they are not to be had. */
export async function versions(documentId) {
  const reply = await optional(`/api/documents/${encodeURIComponent(documentId)}/versions`);
  return Array.isArray(reply?.versions) ? reply.versions : [];
}

/**
 * Returns parts of the cited version as text, from the place `from` on, at most `count`: {count, parts: [{ordinal, heading, page, text}]}.
 * Throws Problem, with status 404 when that version is not the indexed one.
 */
export async function text(citation, from, count) {
  const [id, version] = [citation.document_id, citation.version_id].map(encodeURIComponent);
  const response = await fetch(`/api/documents/${id}/versions/${version}/text?from=${from}&count=${count}`);
  if (!response.ok) throw await fromResponse(response);
  return response.json();
}

/** Has the service keep the rating of `turn`, an answer; a rating of null takes it back. Throws Problem. */
export async function rate(turn) {
  const response = await fetch("/api/feedback", {
    method: "POST",
    headers: { "Content-Type": "application/json", Accept: "application/json" },
    body: JSON.stringify({
      id: turn.id,
      rating: turn.rating,
      comment: turn.comment ?? "",
      question: turn.question ?? "",
      query: turn.query ?? "",
      answer: turn.content,
      generation: turn.generation ?? "",
      model: turn.model ?? "",
      passages: passages(turn),
    }),
  });
  if (!response.ok) throw await fromResponse(response);
}

/** Every passage that was found, with its text where the answer cites it. */
function passages({ found, citations }) {
  const cited = new Map(citations.map((citation) => [citation.n, citation]));
  const all = Array.isArray(found) && found.length > 0 ? found : citations;
  return all.map(({ n, path, version_id, document_id, heading, page }) => {
    const passage = cited.get(n)?.passage ?? cited.get(n)?.snippet ?? "";
    return { n, path, version_id, document_id, heading: heading ?? "", page: page ?? null, passage };
  });
}

async function optional(address) {
  try {
    const response = await fetch(address, { headers: { Accept: "application/json" } });
    // A status of 503 still says in its body what is missing.
    return response.ok || response.status === 503 ? await response.json() : null;
  } catch {
    return null; // offline, or not JSON: the page shows "Offline" and asks again
  }
}

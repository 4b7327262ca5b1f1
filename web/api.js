/** The HTTP API as the page uses it (Microsoft's AI Chat Protocol, status, suggestions). */

import { fromBody, fromResponse, Problem } from "./problems.js";
import { readLines } from "./stream.js";

/**
 * Asks the last of `messages` and yields the stream's events: {context}, {delta} ..., the last with `done`. Throws Problem for an
 * error reply, an error in mid-stream and a stream that ends early; throws AbortError once `signal` is aborted.
 */
export async function* ask(messages, signal) {
  const response = await fetch("/api/chat/stream", {
    method: "POST",
    headers: { "Content-Type": "application/json", Accept: "application/jsonl" },
    body: JSON.stringify({ messages, context: {}, sessionState: null }),
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

async function optional(address) {
  try {
    const response = await fetch(address, { headers: { Accept: "application/json" } });
    // A status of 503 still says in its body what is missing.
    return response.ok || response.status === 503 ? await response.json() : null;
  } catch {
    return null; // offline, or not JSON: the page shows "Offline" and asks again
  }
}

/** Every failure as one shape that can be shown: what went wrong, in a sentence, and when trying again makes sense. */

/** A failure to show. `retryAfter` is in seconds or null; `status` is the HTTP status, or 0 when no reply came. */
export class Problem extends Error {
  constructor(title, detail = "", { status = 0, retryAfter = null } = {}) {
    super(title);
    this.name = "Problem";
    this.title = title;
    this.detail = detail;
    this.status = status;
    this.retryAfter = retryAfter;
  }
}

const SENTENCES = {
  400: "The question was not understood",
  401: "Please sign in",
  403: "You may not ask here",
  404: "The chat is not available at this address",
  413: "The conversation is too long",
  429: "Too many questions at once",
  503: "The service cannot answer right now",
};

/** Returns the Problem that an RFC 9457 body stands for; a body of any other shape gives a sentence by its status. */
export function fromBody(body, status = 0, retryAfter = null) {
  const known = body !== null && typeof body === "object" ? body : {};
  const code = Number(known.status) || status;
  const title = SENTENCES[code] ?? (text(known.title) || "The service could not answer");
  return new Problem(title, text(known.detail), { status: code, retryAfter: retryAfter ?? seconds(known.retry_after) });
}

/** Returns the Problem of a reply that is not a success. */
export async function fromResponse(response) {
  const body = await response.json().catch(() => null); // a proxy's error page is not JSON
  return fromBody(body, response.status, seconds(response.headers.get("Retry-After")));
}

/** Returns the Problem of whatever was thrown while asking. */
export function fromFault(fault) {
  if (fault instanceof Problem) return fault;
  if (fault instanceof SyntaxError) return new Problem("The reply was damaged", "A part of it could not be read.");
  return new Problem("The service cannot be reached", "Check the connection. Nothing of the question was lost.");
}

/** Returns the seconds of a Retry-After value (a number of seconds or an HTTP date), or null. */
export function seconds(value, now = Date.now()) {
  if (value === null || value === undefined || value === "") return null;
  const number = Number(value);
  const wait = Number.isNaN(number) ? (Date.parse(value) - now) / 1000 : number;
  return Number.isNaN(wait) ? null : Math.max(0, Math.ceil(wait));
}

function text(value) {
  return typeof value === "string" ? value : "";
}

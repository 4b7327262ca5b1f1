/** The recovery API as the page uses it. The operator's key is kept for this tab only. */

import { Problem } from "./problems.js";

const KEY = "warmlake.key";

/** Keeps the key for the tab's life; "" forgets it. */
export function keepKey(value) {
  if (value) sessionStorage.setItem(KEY, value);
  else sessionStorage.removeItem(KEY);
}

/** Whether a key is kept. */
export function hasKey() {
  return Boolean(sessionStorage.getItem(KEY));
}

/** Returns what an operator starts from: running, interrupted, generations, reports, acts. Throws Problem. */
export function overview() {
  return request("/api/recovery");
}

/** Returns one rebuild: its progress while it runs, its report afterwards. Throws Problem. */
export function rebuild(id) {
  return request(`/api/recovery/${encodeURIComponent(id)}`);
}

/** Asks for an act ("rebuild", "cancel", "rollback") and returns what the app says of it. Throws Problem. */
export function act(name, body) {
  return request(`/api/recovery/${name}`, body);
}

async function request(address, body = null) {
  const key = sessionStorage.getItem(KEY);
  const headers = { Accept: "application/json", ...(key ? { "x-functions-key": key } : {}) };
  const options = body === null ? { headers } : {
    method: "POST",
    headers: { ...headers, "Content-Type": "application/json" },
    body: JSON.stringify(body),
  };
  let response;
  try {
    response = await fetch(address, { cache: "no-store", ...options });
  } catch (fault) {
    throw new Problem("The app does not answer", "It may be starting again; this page goes on asking.", { status: 0 });
  }
  const said = await response.json().catch(() => null); // a proxy's error page, or an empty 401, is not JSON
  if (response.ok && said !== null) return said;
  const detail = typeof said?.detail === "string" ? said.detail : "";
  throw new Problem(said?.title ?? response.statusText, detail || `The app answers ${response.status}.`, { status: response.status });
}

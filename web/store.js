/** Chats kept in this browser, for all its tabs. Nothing of it leaves the machine but the messages of the chat that goes on. */

const PREFIX = "warmlake.chat."; // one entry a chat, so that tabs that write at the same time write different entries
const MOST_CHATS = 30;
const MOST_TURNS = 100;

/**
 * A chat: {id, updated (ISO), turns}. A turn: {role: "user", content} or {role: "assistant", id, question, query, content, found,
 * citations, generation, model, state: "done" | "stopped" | "failed", problem, rating: "up" | "down" | null, comment}.
 *
 * The browser's storage is read anew whenever it is asked for: another tab may have written to it. What it does not take, because it is
 * blocked or full, lasts as long as the page.
 */
export class Store {
  #unwritten = new Map();

  /** Returns every chat that has a turn, newest first. */
  all() {
    const chats = new Map([...written(), ...this.#unwritten.values()].map((chat) => [chat.id, chat]));
    return [...chats.values()].sort((one, other) => String(other.updated).localeCompare(String(one.updated)));
  }

  /** Returns the chat with this id, or undefined. */
  get(id) {
    return this.#unwritten.get(id) ?? read(PREFIX + id);
  }

  /**
   * Keeps `turns` as the newest chat, and returns its {id, updated}. `known` has those of the chat that they go on: where another tab
   * has gone on with it since, they become a chat of their own, and nothing of either is lost.
   */
  save(known, turns) {
    const stored = this.get(known.id);
    const id = stored && stored.updated !== known.updated ? newId() : known.id;
    const chat = { id, updated: new Date().toISOString(), turns: turns.slice(-MOST_TURNS) };
    this.#write(chat);
    this.all().slice(MOST_CHATS).forEach((old) => this.remove(old.id));
    return { id, updated: chat.updated };
  }

  /** Replaces the answer that has the id of `turn`, wherever it is kept. */
  amend(turn) {
    for (const chat of this.all().filter(({ turns }) => turns.some(({ id }) => id === turn.id))) {
      this.#write({ ...chat, turns: chat.turns.map((other) => other.id === turn.id ? turn : other) });
    }
  }

  /** Forgets one chat. */
  remove(id) {
    this.#unwritten.delete(id);
    erase(PREFIX + id);
  }

  /** Forgets all chats. */
  clear() {
    this.all().forEach(({ id }) => this.remove(id));
  }

  /** Calls `removed()` whenever another tab forgot a chat. */
  watch(removed) {
    addEventListener("storage", ({ key, newValue }) => {
      if (newValue === null && (key === null || key.startsWith(PREFIX))) removed();
    });
  }

  /** When the browser's quota is full, the oldest chats make room. */
  #write(chat) {
    this.#unwritten.delete(chat.id);
    for (;;) {
      const fault = write(PREFIX + chat.id, chat);
      if (!fault) return;
      const oldest = fault.name === "QuotaExceededError" && this.all().findLast(({ id }) => id !== chat.id && !this.#unwritten.has(id));
      if (!oldest) break;
      this.remove(oldest.id);
    }
    this.#unwritten.set(chat.id, chat);
  }
}

/** Returns the chats in the browser's storage, in any order. */
function written() {
  return keys().filter((key) => key.startsWith(PREFIX)).map(read).filter(Boolean);
}

function keys() {
  try {
    return Object.keys(localStorage);
  } catch {
    return []; // storage is blocked
  }
}

/** Stored data may be of another release, or edited by hand: what has not the expected shape is left out. */
function read(key) {
  try {
    const chat = JSON.parse(localStorage.getItem(key));
    return isChat(chat) && key === PREFIX + chat.id ? chat : undefined;
  } catch {
    return undefined; // blocked, or not JSON
  }
}

/** Returns what kept the chat from being written, or null. */
function write(key, chat) {
  try {
    localStorage.setItem(key, JSON.stringify(chat));
    return null;
  } catch (fault) {
    return fault;
  }
}

function erase(key) {
  try {
    localStorage.removeItem(key);
  } catch {
    return; // blocked: there is nothing to remove
  }
}

/** Returns the id for a new chat. */
export function newId() {
  return `${Date.now().toString(36)}-${Math.random().toString(36).slice(2, 8)}`;
}

/** Returns the id of a new answer, which its rating goes by: nobody can guess it. */
export function newAnswerId() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Returns the title of a chat: its first question on one line. */
export function title(chat) {
  const question = chat.turns.find((turn) => turn.role === "user")?.content ?? "";
  return question.replace(/\s+/g, " ").trim().slice(0, 120);
}

function isChat(chat) {
  return typeof chat?.id === "string" && Array.isArray(chat.turns) && chat.turns.length > 0 && chat.turns.every(isTurn);
}

function isTurn(turn) {
  const known = turn?.role === "user" || (turn?.role === "assistant" && Array.isArray(turn.citations));
  return known && typeof turn.content === "string";
}

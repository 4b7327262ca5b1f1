/** Chats kept in this browser. Nothing of it leaves the machine but the messages of the chat that goes on. */

const KEY = "warmlake.chats.v1";
const MOST_CHATS = 30;
const MOST_TURNS = 100;

/**
 * The chats, newest first. A chat: {id, updated (ISO), turns}. A turn: {role: "user", content} or {role: "assistant", content,
 * citations, query, model, state: "done" | "stopped" | "failed", problem}. Where storage is blocked, chats last as long as the page.
 */
export class Store {
  #chats = load();

  /** Returns every chat that has a turn, newest first. */
  all() {
    return this.#chats;
  }

  /** Returns the chat with this id, or undefined. */
  get(id) {
    return this.#chats.find((chat) => chat.id === id);
  }

  /** Keeps `turns` as the chat `id`, as the newest. */
  save(id, turns) {
    const chat = { id, updated: new Date().toISOString(), turns: turns.slice(-MOST_TURNS) };
    this.#chats = [chat, ...this.#chats.filter((other) => other.id !== id)].slice(0, MOST_CHATS);
    this.#write();
  }

  /** Forgets one chat. */
  remove(id) {
    this.#chats = this.#chats.filter((chat) => chat.id !== id);
    this.#write();
  }

  /** Forgets all chats. */
  clear() {
    this.#chats = [];
    this.#write();
  }

  /** Writes what fits: when the browser's quota is full, the oldest chats go first. */
  #write() {
    for (let count = this.#chats.length; count >= 0; count -= 1) {
      try {
        localStorage.setItem(KEY, JSON.stringify(this.#chats.slice(0, count)));
        return;
      } catch (fault) {
        if (fault.name !== "QuotaExceededError") return; // storage is blocked: memory is all there is
      }
    }
  }
}

/** Returns the id for a new chat. */
export function newId() {
  return `${Date.now().toString(36)}-${Math.random().toString(36).slice(2, 8)}`;
}

/** Returns the title of a chat: its first question on one line. */
export function title(chat) {
  const question = chat.turns.find((turn) => turn.role === "user")?.content ?? "";
  return question.replace(/\s+/g, " ").trim().slice(0, 120);
}

/** Stored data may be of another release, or edited by hand: what has not the expected shape is left out. */
function load() {
  try {
    const chats = JSON.parse(localStorage.getItem(KEY) ?? "[]");
    return Array.isArray(chats) ? chats.filter(isChat) : [];
  } catch {
    return []; // blocked, or not JSON
  }
}

function isChat(chat) {
  return typeof chat?.id === "string" && Array.isArray(chat.turns) && chat.turns.length > 0 && chat.turns.every(isTurn);
}

function isTurn(turn) {
  const known = turn?.role === "user" || (turn?.role === "assistant" && Array.isArray(turn.citations));
  return known && typeof turn.content === "string";
}

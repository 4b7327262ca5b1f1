/** The conversation: asks, shows the answer as it arrives, keeps the chat. */

import { ask } from "./api.js";
import { fromFault } from "./problems.js";
import { newAnswerId, newId } from "./store.js";
import { AnswerView, questionNode } from "./turns.js";

const MOST_MESSAGES = 12; // older ones say little about the question, and the service limits how many it takes

export class Conversation {
  #list;
  #store;
  #open;
  #next;
  #followUps;
  #announce;
  #changed;
  #chat = begun(); // what the store knows of the chat on the page
  #turns = [];
  #running = null; // the AbortController of the answer under way

  /**
   * `list`: the element for the turns. `open(citation, opener)` shows a citation. `next(question)` asks a further question that the service
   * suggested, which it is asked to do while `followUps()` is true. `announce(text)` tells screen readers.
   * `changed({busy, empty})` is called whenever one of the two may have changed, and after every piece that was shown.
   */
  constructor(list, store, { open, next, followUps, announce, changed }) {
    this.#list = list;
    this.#store = store;
    this.#open = open;
    this.#next = next;
    this.#followUps = followUps;
    this.#announce = announce;
    this.#changed = changed;
  }

  get busy() {
    return this.#running !== null;
  }

  /** Leaves this chat and begins an empty one. */
  clear() {
    this.load({ ...begun(), turns: [] });
  }

  /** Leaves this chat if it was forgotten, here or in another tab. */
  leaveForgotten() {
    if (this.#isForgotten(this.#chat)) this.clear();
  }

  /** Shows `chat`, and goes on with it. */
  load(chat) {
    this.stop();
    this.#chat = { id: chat.id, updated: chat.updated };
    this.#turns = answered(chat.turns);
    this.#list.replaceChildren(...this.#turns.map((turn) => this.#restored(turn)));
    this.#report();
  }

  /** Stops the answer under way; what has arrived stays. */
  stop() {
    this.#running?.abort();
    this.#running = null;
  }

  /** Asks `question`. The page stays usable: errors are shown in the answer's place. */
  async ask(question) {
    if (this.busy) return;
    this.leaveForgotten();
    this.#turns.push({ role: "user", content: question });
    this.#list.append(questionNode(question));
    this.#keep(this.#chat, this.#turns);
    await this.#answer(question);
  }

  /** Asks the last question again, in place of its answer. */
  async #again() {
    if (this.busy || this.#turns.at(-1)?.role !== "assistant") return;
    this.#turns.pop();
    this.#list.lastElementChild.remove();
    await this.#answer(this.#turns.at(-1).content);
  }

  async #answer(question) {
    const running = new AbortController();
    const [chat, turns] = [this.#chat, this.#turns];
    const turn = emptyAnswer(question);
    const view = this.#view();
    this.#running = running;
    this.#list.append(view.node);
    view.wait();
    this.#announce("Searching the documents");
    this.#report();
    const spoken = await this.#follow(ask(messages(turns), this.#followUps(), running.signal), turn, view, running);
    if (this.#running === running) this.#running = null;
    view.finish(turn);
    turns.push(turn);
    this.#keep(chat, turns);
    if (turns !== this.#turns) return; // another chat is on the page
    this.#announce(ending(turn, view.spoken(spoken, true).text));
    this.#report();
  }

  /** Takes in the events until the end, a stop or a failure. Returns how many blocks were announced. */
  async #follow(events, turn, view, running) {
    let spoken = 0;
    const paint = onceAFrame(() => {
      if (running.signal.aborted || !view.node.isConnected) return;
      view.grow(turn);
      const { text, count } = view.spoken(spoken, false);
      if (text) this.#announce(text);
      spoken = count;
      this.#report();
    });
    try {
      for await (const event of events) {
        take(event, turn);
        paint();
      }
    } catch (fault) {
      turn.state = running.signal.aborted ? "stopped" : "failed";
      turn.problem = running.signal.aborted ? null : { ...fromFault(fault) };
    }
    paint.cancel();
    if (turn.state !== "done") turn.citations = used(turn);
    return spoken;
  }

  #view() {
    return new AnswerView({
      open: this.#open, next: this.#next, retry: () => this.#again(), rated: (turn) => this.#store.amend(turn),
    });
  }

  /** Stores the chat, unless it was forgotten meanwhile. */
  #keep(chat, turns) {
    if (!this.#isForgotten(chat)) Object.assign(chat, this.#store.save(chat, turns));
  }

  #isForgotten({ id, updated }) {
    return updated !== null && !this.#store.get(id);
  }

  #restored(turn) {
    if (turn.role === "user") return questionNode(turn.content);
    const view = this.#view();
    // How long to wait was said in another hour: trying again is possible at once.
    if (turn.problem) turn.problem.retryAfter = null;
    view.finish(turn);
    return view.node;
  }

  #report() {
    this.#changed({ busy: this.busy, empty: this.#turns.length === 0 });
  }
}

/** A chat of which nothing is stored yet. */
function begun() {
  return { id: newId(), updated: null };
}

/** Returns `turns` with an answer to the last question: the page may have been closed before one came. */
function answered(turns) {
  const last = turns.at(-1);
  return last?.role === "user" ? [...turns, { ...emptyAnswer(last.content), state: "stopped" }] : [...turns];
}

function emptyAnswer(question) {
  return {
    role: "assistant", id: newAnswerId(), question, query: "", content: "", found: [], citations: [], generation: "", model: "",
    state: "done", problem: null, truncated: false, unsupported: 0, followUps: [], rating: null, comment: "",
  };
}

/** Returns the messages to send: what was asked and answered, without the questions whose answer failed. */
export function messages(turns) {
  const sent = [];
  turns.forEach((turn, index) => {
    const answer = turns[index + 1];
    const failed = turn.role === "user" && answer && !(answer.role === "assistant" && answer.content);
    if (!failed && turn.content) sent.push({ role: turn.role, content: turn.content });
  });
  const last = sent.slice(-MOST_MESSAGES);
  return last[0]?.role === "assistant" ? last.slice(1) : last;
}

function take(event, turn) {
  turn.content += event.delta?.content ?? "";
  const context = event.context ?? {};
  if (Array.isArray(context.citations)) {
    if (!event.done) turn.found = context.citations.map(({ passage, snippet, ...place }) => place); // the text stays with what is cited
    turn.citations = context.citations;
  }
  if (context.index?.generation) turn.generation = context.index.generation;
  if (context.query) turn.query = context.query;
  if (context.model) turn.model = context.model;
  if (Array.isArray(context.follow_ups)) turn.followUps = context.follow_ups;
  if (Array.isArray(context.unsupported)) turn.unsupported = context.unsupported.length;
  if (context.truncated) turn.truncated = true;
}

/** The first event cites every passage that was found; an answer that was cut short used only those it names. */
function used(turn) {
  return turn.citations.filter((citation) => turn.content.includes(`[${citation.n}]`));
}

function ending(turn, rest) {
  if (turn.state === "failed") return ""; // the alert speaks for itself
  if (turn.state === "stopped") return "Stopped.";
  const count = turn.citations.length;
  return `${rest} ${count === 0 ? "No sources." : count === 1 ? "1 source." : `${count} sources.`}`;
}

/** Returns a function that runs `work` at most once a frame, however often it is called. */
function onceAFrame(work) {
  let frame = 0;
  const run = () => {
    frame ||= requestAnimationFrame(() => {
      frame = 0;
      work();
    });
  };
  run.cancel = () => {
    cancelAnimationFrame(frame);
    frame = 0;
  };
  return run;
}

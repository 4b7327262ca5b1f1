/** The conversation: asks, shows the answer as it arrives, keeps the chat. */

import { ask } from "./api.js";
import { fromFault } from "./problems.js";
import { newId } from "./store.js";
import { AnswerView, questionNode } from "./turns.js";

const MOST_MESSAGES = 12; // older ones say little about the question, and the service limits how many it takes

export class Conversation {
  #list;
  #store;
  #open;
  #announce;
  #changed;
  #id = newId();
  #turns = [];
  #running = null; // the AbortController of the answer under way

  /**
   * `list`: the element for the turns. `open(citation, opener)` shows a citation. `announce(text)` tells screen readers.
   * `changed({busy, empty})` is called whenever one of the two may have changed, and after every piece that was shown.
   */
  constructor(list, store, { open, announce, changed }) {
    this.#list = list;
    this.#store = store;
    this.#open = open;
    this.#announce = announce;
    this.#changed = changed;
  }

  get id() {
    return this.#id;
  }

  get busy() {
    return this.#running !== null;
  }

  /** Leaves this chat and begins an empty one. */
  clear() {
    this.load({ id: newId(), turns: [] });
  }

  /** Shows `chat`, and goes on with it. */
  load(chat) {
    this.stop();
    this.#id = chat.id;
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
    this.#turns.push({ role: "user", content: question });
    this.#list.append(questionNode(question));
    this.#store.save(this.#id, this.#turns);
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
    const [id, turns] = [this.#id, this.#turns];
    const view = this.#view();
    const turn = emptyAnswer(question);
    this.#running = running;
    this.#list.append(view.node);
    view.wait();
    this.#announce("Searching the documents");
    this.#report();
    const spoken = await this.#follow(ask(messages(turns), running.signal), turn, view, running);
    if (this.#running === running) this.#running = null;
    view.finish(turn);
    turns.push(turn);
    if (this.#store.get(id)) this.#store.save(id, turns); // else it was forgotten meanwhile
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
    return new AnswerView(this.#open, () => this.#again());
  }

  #restored(turn) {
    if (turn.role === "user") return questionNode(turn.content);
    const view = this.#view();
    // How long to wait was said in another hour: trying again is possible at once.
    view.finish({ ...turn, problem: turn.problem && { ...turn.problem, retryAfter: null } });
    return view.node;
  }

  #report() {
    this.#changed({ busy: this.busy, empty: this.#turns.length === 0 });
  }
}

/** Returns `turns` with an answer to the last question: the page may have been closed before one came. */
function answered(turns) {
  const last = turns.at(-1);
  return last?.role === "user" ? [...turns, { ...emptyAnswer(last.content), state: "stopped" }] : [...turns];
}

function emptyAnswer(question) {
  return { role: "assistant", content: "", citations: [], query: "", question, model: "", state: "done", problem: null };
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
  if (Array.isArray(context.citations)) turn.citations = context.citations;
  if (context.query) turn.query = context.query;
  if (context.model) turn.model = context.model;
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

/** As much of a browser as the script needs, with a clock and a network that the test moves by hand. */

import { readFileSync } from "node:fs";

const SOURCE = readFileSync(new URL("../../../../../agent/shim/page/shim.js", import.meta.url), "utf8");

/** Node has none before version 23. */
class CloseEvent extends Event {
  constructor(type, { code = 0, reason = "", wasClean = false } = {}) {
    super(type);
    Object.assign(this, { code, reason, wasClean });
  }
}

/** The browser's own, which only says what it was made of. */
class NativeWebSocket extends EventTarget {
  #url;
  #handler = null;

  constructor(url) {
    super();
    this.#url = url;
  }

  get url() {
    return `native ${this.#url}`;
  }

  get onopen() {
    return this.#handler;
  }

  set onopen(value) {
    this.#handler = value;
  }

  send(data) {
    return this.#url + data;
  }
}

/** Until all that can happen without a timer or an answer has happened. */
export async function settled() {
  for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}

class Channel {
  constructor() {
    this.port1 = { onmessage: null };
    this.port2 = { postMessage: () => setImmediate(() => this.port1.onmessage()) };
  }
}

/** One request of the script, to be answered by the test. */
class Call {
  constructor(url, options, resolve, reject) {
    Object.assign(this, { url, options, resolve, reject });
    this.action = url.slice(url.lastIndexOf("/") + 1);
    options.signal.addEventListener("abort", () => reject(new Error("aborted")));
  }

  get json() {
    return JSON.parse(this.options.body);
  }

  async answer(status, content = "") {
    const text = typeof content === "string" ? content : JSON.stringify(content);
    this.resolve({ status, text: async () => text });
    await settled();
  }

  async fail() {
    this.reject(new TypeError("Failed to fetch"));
    await settled();
  }
}

export class Browser {
  constructor({ href = "http://page.test/app/page", random = 1, protocol = "h2" } = {}) {
    this.calls = []; // Those that wait for an answer.
    this.count = 0; // Of all calls.
    this.timers = [];
    const location = new URL(href);
    this.window = new EventTarget();
    Object.assign(this.window, {
      AbortController,
      Blob,
      CloseEvent,
      DOMException,
      Event,
      EventTarget,
      MessageEvent,
      TextDecoder,
      TextEncoder,
      URL,
      atob,
      btoa,
      location,
      MessageChannel: Channel,
      WebSocket: NativeWebSocket,
      document: { baseURI: href },
      performance: { getEntriesByType: () => [{ nextHopProtocol: protocol }] },
      fetch: (url, options) => this.fetch(url, options),
      setTimeout: (act, delay) => this.timers.push({ act, delay }),
      clearTimeout: (number) => delete this.timers[number - 1],
    });
    this.random = random;
    this.load();
  }

  load() {
    const source = SOURCE.replace("@SHIM_PATH@", "/shim");
    const math = Object.create(Math, { random: { value: () => this.random } });
    new Function("window", "Math", source)(this.window, math);
  }

  fetch(url, options) {
    this.count += 1;
    return new Promise((resolve, reject) => this.calls.push(new Call(url, options, resolve, reject)));
  }

  /** The oldest request of that kind that waits for an answer. */
  take(action) {
    const index = this.calls.findIndex((call) => call.action === action);
    if (index < 0) throw new Error(`no ${action} among ${this.calls.map((call) => call.action)}`);
    return this.calls.splice(index, 1)[0];
  }

  /** The sessions whose polls have not been given up, sorted. */
  polling() {
    const polls = this.calls.filter((call) => call.action === "poll" && !call.options.signal.aborted);
    return polls.map((call) => call.json.id).sort();
  }

  waiting() {
    return this.calls.map((call) => call.action);
  }

  /** The delays of the timers that run, the limits of requests left out. */
  pauses() {
    return this.timers.filter((timer) => timer && timer.delay < 60000).map((timer) => timer.delay);
  }

  /** Let the timers of at most that delay come. */
  async elapse(delay) {
    this.timers.forEach((timer, index) => {
      if (timer.delay > delay) return;
      delete this.timers[index];
      timer.act();
    });
    await settled();
  }

  /** A socket, and the list of what happens to it. */
  socket(url = "/echo", protocols = []) {
    const socket = new this.window.WebSocket(url, protocols);
    const seen = [];
    for (const type of ["open", "message", "error", "close"]) {
      socket.addEventListener(type, (event) => {
        if (type === "message") seen.push(event.data);
        else if (type === "close") seen.push([event.code, event.reason, event.wasClean]);
        else seen.push(type);
      });
    }
    return { socket, seen };
  }

  /** The same, open: at our agent, which numbers messages, or at the original's. */
  async opened({ isOurs = true, ...answer } = {}) {
    const opened = this.socket();
    await this.take("open").answer(200, { id: "7", msg: "ws://x/", v: 1, ...(isOurs ? { ack: true } : {}), ...answer });
    return opened;
  }
}

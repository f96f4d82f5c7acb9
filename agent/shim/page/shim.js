/**
 * A WebSocket that needs no websockets on its way: for pages behind a proxy that carries only requests and answers.
 *
 * It replaces `window.WebSocket` and behaves as https://websockets.spec.whatwg.org/ says. What it sends goes by `fetch`
 * to the agent, which holds the real websocket to the server; what the server sends is fetched by long polls. The
 * format of those requests is described in the agent, in `agent/shim/__init__.py`.
 *
 * Only sockets to the page's own host take this way: the host of the address bar is the proxy. Sockets to other hosts
 * are the browser's own. Not covered, because no script of a page reaches there: workers, and frames without a document
 * from the server (`about:blank`, `srcdoc`).
 *
 * What a page can tell from the browser's own socket: `extensions` is always empty, events are not `isTrusted`, and what
 * it sends in a handler of `pagehide` may be lost.
 *
 * The file is ES2020, strict, and has no build step. The agent puts its path in place of the text in the last line.
 */
(function (shimPath) {
  "use strict";

  // The page may replace any of these later on (zone.js, mocks, tracing): then its own long polls would be counted as
  // work of the application, or be delayed by a clock that the page controls. So all are taken before its first script.
  const {
    AbortController,
    Blob,
    CloseEvent,
    DOMException,
    Event,
    EventTarget,
    MessageChannel,
    MessageEvent,
    TextDecoder,
    TextEncoder,
    URL,
    WebSocket: NativeWebSocket,
    atob,
    btoa,
    clearTimeout,
    document,
    location,
    performance,
    setTimeout,
  } = window;
  const fetch = window.fetch.bind(window);
  const { addEventListener, dispatchEvent, removeEventListener } = EventTarget.prototype;

  // The name that other such scripts look for, so that a page that passes two of them is changed once.
  if (window.nativeWebSocket !== undefined) return;
  Object.defineProperty(window, "nativeWebSocket", { value: NativeWebSocket });

  const CONNECTING = 0;
  const OPEN = 1;
  const CLOSING = 2;
  const CLOSED = 3;

  const NORMAL = 1000;
  const GOING_AWAY = 1001; // What a browser says to the server when the page ends.
  const NO_STATUS = 1005; // What a CloseEvent says when the Close frame had no code (RFC 6455, section 7.4.1).
  const ABNORMAL = 1006; // ... and when there was no Close frame.

  const REASON_LIMIT = 123; // Bytes: a control frame has 125, two are the code's (RFC 6455, section 5.5).
  const BATCH_LIMIT = 1 << 20; // Characters of messages in one request; a longer message goes alone.
  const BATCH_COUNT = 256; // Messages in one request. The agent takes 1,000 of them, and 16 MiB.
  const KEEPALIVE_LIMIT = 8192; // Characters of a request that outlives its page: browsers allow 64 KiB for all together.
  const BASE64_STEP = 3 << 13; // Bytes turned into base64 at once: a multiple of 3, few enough for one call's arguments.

  const OPEN_LIMIT = 120000; // Milliseconds, all of them; the agent's own limits are below these.
  const POLL_LIMIT = 60000;
  const DATA_LIMIT = 120000;
  const CLOSE_LIMIT = 60000; // Also of the closing handshake.

  const POLLS = 4; // At a time, where connections are few: see `inTurn`.
  const TURN = 1000; // Milliseconds that a poll may wait while others wait for their turn.

  const RETRIES = 7; // In a row, before a socket is given up: about half a minute.
  const FIRST_PAUSE = 500;
  const LONGEST_PAUSE = 8000;

  // ---------------------------------------------------------------------------------------------------------- Values

  const encoder = new TextEncoder();
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

  /** A USVString: what is no Unicode, halves of surrogate pairs, becomes U+FFFD. */
  function toWellFormed(value) {
    const text = `${value}`;
    return /[\uD800-\uDFFF]/.test(text) ? decoder.decode(encoder.encode(text)) : text;
  }

  /** Web IDL's `[Clamp] unsigned short`: to the nearest, halves to the even. */
  function toClampedShort(value) {
    const number = Math.min(Math.max(+value, 0), 65535);
    if (Number.isNaN(number)) return 0;
    const below = Math.floor(number);
    const rest = number - below;
    return rest > 0.5 || (rest === 0.5 && below % 2 === 1) ? below + 1 : below;
  }

  /** Web IDL's `(DOMString or sequence<DOMString>)`, as a list. */
  function toProtocols(value) {
    const isList =
      value !== null && (typeof value === "object" || typeof value === "function") && value[Symbol.iterator];
    const protocols = isList ? Array.from(value, (item) => `${item}`) : [`${value}`];
    const isRight = protocols.every((item) => /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/.test(item));
    if (!isRight || new Set(protocols).size !== protocols.length) {
      throw new DOMException("The subprotocols are not names, each given once.", "SyntaxError");
    }
    return protocols;
  }

  /** The bytes of an ArrayBuffer or a view; null for anything else. Not `instanceof`: it may come from another frame. */
  function bytesOf(value) {
    const isView = ArrayBuffer.isView(value);
    if (!isView && !hasBrand(value, ArrayBuffer.prototype, "byteLength")) return null;
    if (value.byteLength === 0) return new Uint8Array(0); // Also one that was transferred away: no view of it can be made.
    return isView ? new Uint8Array(value.buffer, value.byteOffset, value.byteLength) : new Uint8Array(value);
  }

  /** Whether a getter of a built-in class accepts the object. */
  function hasBrand(value, prototype, attribute) {
    try {
      Reflect.get(prototype, attribute, value);
      return true;
    } catch {
      return false;
    }
  }

  function toBase64(bytes) {
    const parts = [];
    for (let start = 0; start < bytes.length; start += BASE64_STEP) {
      parts.push(btoa(String.fromCharCode.apply(null, bytes.subarray(start, start + BASE64_STEP))));
    }
    return parts.join("");
  }

  function fromBase64(text) {
    const binary = atob(text);
    const bytes = new Uint8Array(binary.length);
    for (let index = 0; index < binary.length; index += 1) bytes[index] = binary.charCodeAt(index);
    return bytes;
  }

  // ------------------------------------------------------------------------------------------------------------ Time

  const tasks = [];
  const turns = new MessageChannel();
  turns.port1.onmessage = () => tasks.shift()();

  /**
   * Run it in a turn of its own: the standard's sockets queue a task for each event, so that promises settled by the
   * handler of one message are dealt with before the next message. A time-out would be throttled in a hidden page.
   */
  function queueTask(task) {
    tasks.push(task);
    turns.port2.postMessage(null);
  }

  /** Wait before the next of so many attempts: longer each time, and not all pages at the same moment. */
  function pause(attempt) {
    const longest = Math.min(FIRST_PAUSE * 2 ** (attempt - 1), LONGEST_PAUSE);
    return new Promise((resolve) => setTimeout(resolve, longest * (0.5 + Math.random() / 2)));
  }

  // ------------------------------------------------------------------------------------------------------------ Wire

  // Not relative: that would be relative to the page's `<base>`.
  const agent = location.origin + shimPath;

  /** One request to the agent: `{status, text}`, status 0 when there was no answer or none within `limit`. */
  async function call(action, body, limit, { aborting = new AbortController(), headers, keepalive = false } = {}) {
    const timer = setTimeout(() => aborting.abort(), limit);
    try {
      const answer = await fetch(`${agent}/${action}`, {
        method: "POST",
        mode: "same-origin",
        credentials: "same-origin",
        cache: "no-store",
        redirect: "error", // To a page for signing in, which is no answer of the agent.
        body,
        signal: aborting.signal,
        keepalive,
        headers: { "X-Websocket-Shim-Version": "1", ...headers },
      });
      return { status: answer.status, text: await answer.text() };
    } catch {
      return { status: 0, text: "" };
    } finally {
      clearTimeout(timer);
    }
  }

  /** What JSON says, undefined when it is none: a proxy on the way answers with a page of its own. */
  function parse(text) {
    try {
      return JSON.parse(text);
    } catch {
      return undefined;
    }
  }

  /** Whether the same request may fare better later: nobody answered, the proxy had no agent, or too much to do. */
  function isPassing(status) {
    return status === 0 || status === 408 || status === 429 || status >= 500;
  }

  /** Whether it was the agent that could take no more, because the server does not read. That may last. */
  function isFull(answer) {
    const error = answer.status === 503 ? parse(answer.text) : undefined;
    return Boolean(error) && typeof error.taken === "number";
  }

  // ----------------------------------------------------------------------------------------------------------- Turns

  const running = new Set(); // {aborting, isOver}: the polls that are at the agent.
  const waiting = []; // The same with `begin`: those for which there is no room.

  /**
   * Make a poll when it is its turn; undefined if it was given up for the next one.
   *
   * In HTTP/1.1 a browser has six connections to one host, and a poll holds one of them for as long as it waits: with
   * six sockets nothing else would get through. So there are fewer polls than that, and when more sockets are open they
   * take turns. A poll that is given up loses nothing, because the agent sends again what is not acknowledged.
   */
  async function inTurn(poll) {
    const turn = { aborting: new AbortController(), isOver: false, isCut: false };
    if (running.size < POLLS) {
      running.add(turn);
    } else {
      const begun = new Promise((begin) => waiting.push({ turn, begin }));
      makeRoom();
      await begun;
    }
    const timer = setTimeout(() => {
      turn.isOver = true;
      makeRoom();
    }, TURN);
    const answer = await poll(turn.aborting);
    clearTimeout(timer);
    running.delete(turn);
    if (waiting.length > 0) {
      const next = waiting.shift();
      running.add(next.turn);
      next.begin();
    }
    return turn.isCut ? undefined : answer;
  }

  /** Give up as many polls as others wait, but none whose turn is not over. */
  function makeRoom() {
    let missing = waiting.length;
    for (const turn of running) {
      if (missing > 0 && turn.isOver) {
        turn.isCut = true;
        turn.aborting.abort();
        missing -= 1;
      }
    }
  }

  /** Whether connections are few: as the page came, so do its requests. */
  function hasFewConnections() {
    const [navigation] = performance.getEntriesByType("navigation");
    return navigation !== undefined && navigation.nextHopProtocol === "http/1.1";
  }

  // ------------------------------------------------------------------------------------------------------ Connection

  const BROKEN = { code: ABNORMAL, reason: "", wasClean: false };

  /** All connections that have not ended, for the end of the page. */
  const live = new Set();

  /** The state behind one socket, and its conversation with the agent. */
  class Connection {
    constructor(socket, url, protocols) {
      this.socket = socket;
      this.url = url;
      this.readyState = CONNECTING;
      this.protocol = "";
      this.extensions = "";
      this.binaryType = "blob";
      this.bufferedAmount = 0;
      this.handlers = new Map(); // Type of event -> {callback, listener}, see `setHandler`.

      this.id = undefined; // Of the session, from the answer to `open`.
      this.version = 0; // Of the messages' format, likewise.
      this.isNumbered = false; // Whether the agent numbers messages, so that a request can be made again.
      this.received = 0; // Messages from the server.
      this.sent = 0; // Messages that the agent has taken.
      this.handed = 0; // Those that are on their way to it, too.
      this.outbox = []; // {size, message}: those that it has not.
      this.isPumping = false;
      this.isRefused = false; // The agent has said that the session has ended.
      this.wanted = undefined; // The close event that the page has asked for by `close`.
      this.hasEnded = false; // The close event is on its way, or was.
      live.add(this);
      this.open(protocols);
    }

    // Opening

    async open(protocols) {
      const headers = protocols.length > 0 ? { "X-Websocket-Shim-Protocols": protocols.join(", ") } : {};
      const answer = await call("open", this.url.href, OPEN_LIMIT, { headers });
      const session = answer.status === 200 ? parse(answer.text) : undefined;
      if (!session || typeof session.id !== "string") {
        this.fail();
        return;
      }
      this.id = session.id;
      this.version = session.v || 0;
      this.isNumbered = session.ack === true;
      const protocol = session.s || "";
      if (this.hasEnded) {
        // The page has called `close` in the meantime. The session shall not wait for its idle limit.
        this.leave();
      } else if (!this.isAcceptable(protocol, protocols)) {
        this.fail();
      } else {
        queueTask(() => this.opened(protocol));
        this.poll();
      }
    }

    /** Whether the server's choice is one: one of those offered, or none of none. The original's agent offers nothing. */
    isAcceptable(protocol, protocols) {
      return protocol === "" ? protocols.length === 0 || !this.isNumbered : protocols.includes(protocol);
    }

    opened(protocol) {
      if (this.readyState !== CONNECTING) return;
      this.readyState = OPEN;
      this.protocol = protocol;
      this.dispatch(new Event("open"));
    }

    // Receiving

    async poll() {
      let failures = 0;
      while (!this.hasEnded) {
        const answer = await this.askForMessages();
        if (answer === undefined) continue;
        const messages = answer.status === 200 ? parse(answer.text) : undefined;
        const closure = answer.status === 400 ? this.closureIn(answer.text) : undefined;
        if (Array.isArray(messages)) {
          failures = 0;
          this.received += messages.length;
          await this.deliver(messages);
        } else if (closure !== undefined) {
          // Closed with a code, and not cleanly: the agent has failed the connection, as a browser does it when the
          // server breaks the rules. The page hears no more than that.
          if (closure.wasClean || closure.code === ABNORMAL) this.end(closure);
          else this.fail();
        } else if (answer.status === 408) {
          failures = 0;
          // There is nothing to come that would tell why the session takes no more.
          if (this.isRefused) this.fail();
        } else {
          failures += 1;
          if (failures > RETRIES) this.fail();
          else await pause(failures);
        }
      }
    }

    askForMessages() {
      if (!this.isNumbered) return call("poll", JSON.stringify({ id: this.id }), POLL_LIMIT);
      const poll = (aborting) => {
        return call("poll", JSON.stringify({ id: this.id, ack: this.received }), POLL_LIMIT, { aborting });
      };
      return hasFewConnections() ? inTurn(poll) : poll();
    }

    /**
     * How the session ended, as the answer 400 tells; undefined when it did not end. The original's agent says nothing
     * but that it is over: then after `close` it is taken as the answer to that.
     */
    closureIn(text) {
      const closed = parse(text);
      if (closed && typeof closed.code === "number") {
        return { code: closed.code, reason: closed.reason || "", wasClean: closed.clean === true };
      }
      return this.isNumbered ? undefined : this.wanted || BROKEN;
    }

    /** Settled when the page has seen them all, so that a slow page slows the server down, too. */
    deliver(messages) {
      return new Promise((resolve) => {
        for (const message of messages) queueTask(() => this.receive(message));
        queueTask(resolve);
      });
    }

    receive(message) {
      if (this.readyState !== OPEN) return;
      const data = typeof message === "string" ? message : this.toBinary(message[0]);
      this.dispatch(new MessageEvent("message", { data, origin: this.url.origin }));
    }

    toBinary(text) {
      const bytes = this.version === 0 ? encoder.encode(text) : fromBase64(text);
      return this.binaryType === "blob" ? new Blob([bytes]) : bytes.buffer;
    }

    // Sending

    /** `message` has `size` bytes, and is a string, the bytes themselves, or a promise of an ArrayBuffer. */
    send(message, size) {
      if (this.readyState === CONNECTING) {
        throw new DOMException("The socket is not open yet.", "InvalidStateError");
      }
      this.bufferedAmount += size;
      if (this.readyState !== OPEN) return;
      // Bytes are copied now: the page may change them as soon as `send` returns.
      this.outbox.push({ size, message: message instanceof Uint8Array ? this.toWire(message) : message });
      this.pump();
    }

    toWire(bytes) {
      return [this.version === 0 ? decoder.decode(bytes) : toBase64(bytes)];
    }

    /** Hand over the outbox, one request at a time and in order; then say goodbye, if `close` was called. */
    async pump() {
      if (this.isPumping) return;
      this.isPumping = true;
      await undefined; // What one run of the page's script sends makes one request.
      while (this.canSend() && this.outbox.length > 0) await this.sendBatch();
      this.isPumping = false;
      if (this.canSend() && this.wanted) this.sayGoodbye();
    }

    canSend() {
      return !this.isRefused && !this.hasEnded;
    }

    async sendBatch() {
      const batch = await this.nextBatch();
      if (batch === undefined || !this.canSend()) return;
      const body = JSON.stringify(batch);
      this.handed = this.sent + batch.length;
      let failures = 0;
      while (this.canSend()) {
        // A browser that has no room for one more request that outlives its page refuses: hence only the first time.
        const keepalive = this.isNumbered && failures === 0 && body.length < KEEPALIVE_LIMIT;
        const answer = await call("data", body, DATA_LIMIT, { keepalive });
        if (answer.status === 200) {
          this.sent += batch.length;
          for (const { size } of this.outbox.splice(0, batch.length)) this.bufferedAmount -= size;
          return;
        }
        if (answer.status === 400 && this.closureIn(answer.text) !== undefined) {
          this.isRefused = true; // The poll says so, too, after the messages that came before the end.
          return;
        }
        // Without numbers nobody knows what the server has: sending it again may be sending it twice.
        if (!this.isNumbered || !isPassing(answer.status)) this.fail();
        else if (isFull(answer)) failures = 1;
        else failures += 1;
        if (failures > RETRIES) this.fail();
        else if (!this.hasEnded) await pause(failures);
      }
    }

    /** The messages of the next request; undefined when one of them cannot be read. */
    async nextBatch() {
      const batch = [];
      let length = 0;
      while (batch.length < Math.min(this.outbox.length, BATCH_COUNT) && length < BATCH_LIMIT) {
        let { message } = this.outbox[batch.length];
        if (typeof message !== "string" && !Array.isArray(message)) {
          try {
            message = this.toWire(new Uint8Array(await message));
          } catch {
            this.fail(); // The file is gone, or was changed since.
            return undefined;
          }
        }
        const number = this.sent + batch.length;
        batch.push(this.isNumbered ? { id: this.id, msg: message, n: number } : { id: this.id, msg: message });
        length += typeof message === "string" ? message.length : message[0].length;
      }
      return batch;
    }

    // Closing

    close(code, reason) {
      const wasConnecting = this.readyState === CONNECTING;
      if (!wasConnecting && this.readyState !== OPEN) return;
      this.readyState = CLOSING;
      if (wasConnecting) {
        this.fail();
      } else {
        this.wanted = { code, reason, wasClean: true };
        this.pump();
      }
    }

    /** Ask for the closing handshake. How it ends, the poll tells; the original's agent does not, it says only that. */
    async sayGoodbye() {
      const { reason } = this.wanted;
      const code = this.wanted.code === NO_STATUS ? undefined : this.wanted.code;
      const answer = await call("close", this.goodbye(code, reason), CLOSE_LIMIT);
      if (answer.status === 200 && !this.isNumbered) this.end(this.wanted);
      else if (answer.status === 200 || answer.status === 400) setTimeout(() => this.fail(), CLOSE_LIMIT);
      else this.fail();
    }

    /** Have the agent forget the session; there is nobody to hear the answer. */
    leave(code) {
      if (this.id === undefined) return;
      call("close", this.goodbye(code), CLOSE_LIMIT, { keepalive: true });
    }

    /**
     * The page ends. What the agent has not taken goes at once, and once more if it is on its way already: the agent
     * knows by the numbers what is new to it. Not what has to be read first, and not more than outlives a page.
     */
    goAway() {
      if (this.isNumbered && this.canSend()) {
        const unread = this.outbox.findIndex(({ message }) => typeof message !== "string" && !Array.isArray(message));
        const messages = unread < 0 ? this.outbox : this.outbox.slice(0, unread);
        const batch = messages.map(({ message }, index) => ({ id: this.id, msg: message, n: this.sent + index }));
        const body = JSON.stringify(batch);
        if (batch.length > this.handed - this.sent && body.length < KEEPALIVE_LIMIT) {
          this.handed = this.sent + batch.length;
          call("data", body, DATA_LIMIT, { keepalive: true });
        }
      }
      this.leave(GOING_AWAY);
    }

    /** The request may overtake those of the messages: the agent is told how many go before it. */
    goodbye(code, reason) {
      return JSON.stringify({ id: this.id, code, reason, n: this.isNumbered ? this.handed : undefined });
    }

    /** The connection is lost, and so is what was on its way. */
    fail() {
      if (this.hasEnded) return;
      this.leave();
      this.end(BROKEN, { isFailure: true });
    }

    end(closure, { isFailure = false } = {}) {
      if (this.hasEnded) return;
      this.hasEnded = true;
      live.delete(this);
      queueTask(() => {
        this.readyState = CLOSED;
        if (isFailure) this.dispatch(new Event("error"));
        this.dispatch(new CloseEvent("close", closure));
      });
    }

    // Events

    dispatch(event) {
      dispatchEvent.call(this.socket, event);
    }

    /** An event handler IDL attribute: its place among the listeners is that of the first assignment. */
    setHandler(type, value) {
      const callback = typeof value === "function" || (typeof value === "object" && value !== null) ? value : null;
      const known = this.handlers.get(type);
      if (callback === null) {
        if (known) removeEventListener.call(this.socket, type, known.listener);
        this.handlers.delete(type);
      } else if (known) {
        known.callback = callback;
      } else {
        const handler = {
          callback,
          listener(event) {
            if (typeof handler.callback === "function") handler.callback.call(this, event);
          },
        };
        this.handlers.set(type, handler);
        addEventListener.call(this.socket, type, handler.listener);
      }
    }

    getHandler(type) {
      const handler = this.handlers.get(type);
      return handler ? handler.callback : null;
    }
  }

  // ------------------------------------------------------------------------------------------------------- WebSocket

  const connections = new WeakMap();

  /** What the page's `new WebSocket(url)` means, when that is the page's own host; null for all else. */
  function ownAddress(text) {
    let url;
    try {
      url = new URL(text, document.baseURI);
    } catch {
      return null;
    }
    url.protocol = url.protocol.replace(/^http/, "ws");
    const isWebSocket = url.protocol === "ws:" || url.protocol === "wss:";
    return isWebSocket && url.host === location.host && !url.href.includes("#") ? url : null;
  }

  class WebSocket extends EventTarget {
    constructor(url, protocols = []) {
      if (arguments.length === 0) throw new TypeError("Failed to construct 'WebSocket': 1 argument required.");
      const text = `${url}`;
      const address = ownAddress(text);
      if (address === null) {
        // Another host's, or an error that the browser has its own words for. The prototype is ours all the same, so
        // that it is an instance of what the page knows as WebSocket, or of the page's subclass.
        return Reflect.construct(NativeWebSocket, [text, protocols], new.target);
      }
      const list = toProtocols(protocols);
      super();
      connections.set(this, new Connection(this, address, list));
    }

    get url() {
      return read(this, "url", (connection) => connection.url.href);
    }

    get readyState() {
      return read(this, "readyState");
    }

    get bufferedAmount() {
      return read(this, "bufferedAmount");
    }

    get extensions() {
      return read(this, "extensions");
    }

    get protocol() {
      return read(this, "protocol");
    }

    get binaryType() {
      return read(this, "binaryType");
    }

    set binaryType(value) {
      const connection = connections.get(this);
      const text = `${value}`;
      if (connection === undefined) Reflect.set(NativeWebSocket.prototype, "binaryType", value, this);
      else if (text === "blob" || text === "arraybuffer") connection.binaryType = text;
    }

    send(data) {
      const connection = connections.get(this);
      if (connection === undefined) {
        NativeWebSocket.prototype.send.apply(this, arguments);
        return;
      }
      if (arguments.length === 0) throw new TypeError("Failed to execute 'send' on 'WebSocket': 1 argument required.");
      const bytes = bytesOf(data);
      if (bytes !== null) {
        connection.send(bytes, bytes.length);
      } else if (hasBrand(data, Blob.prototype, "size")) {
        connection.send(data.arrayBuffer(), data.size);
      } else {
        const text = toWellFormed(data);
        connection.send(text, encoder.encode(text).length);
      }
    }

    close(code = undefined, reason = undefined) {
      const connection = connections.get(this);
      if (connection === undefined) {
        NativeWebSocket.prototype.close.apply(this, arguments);
        return;
      }
      const status = code === undefined ? undefined : toClampedShort(code);
      const words = reason === undefined ? "" : toWellFormed(reason);
      if (status !== undefined && status !== NORMAL && !(status >= 3000 && status <= 4999)) {
        throw new DOMException(`The code must be 1000 or from 3000 to 4999, not ${status}.`, "InvalidAccessError");
      }
      if (encoder.encode(words).length > REASON_LIMIT) {
        throw new DOMException(`The reason has more than ${REASON_LIMIT} bytes.`, "SyntaxError");
      }
      // The standard's rule: no Close frame has a reason without a code.
      connection.close(status !== undefined ? status : words === "" ? NO_STATUS : NORMAL, words);
    }
  }

  /** An attribute of a socket: ours, or the browser's on anything else, which also has the right error for strangers. */
  function read(socket, name, get = (connection) => connection[name]) {
    const connection = connections.get(socket);
    return connection === undefined ? Reflect.get(NativeWebSocket.prototype, name, socket) : get(connection);
  }

  for (const type of ["open", "error", "close", "message"]) {
    const name = `on${type}`;
    const holder = {
      get [name]() {
        return read(this, name, (connection) => connection.getHandler(type));
      },
      set [name](value) {
        const connection = connections.get(this);
        if (connection === undefined) Reflect.set(NativeWebSocket.prototype, name, value, this);
        else connection.setHandler(type, value);
      },
    };
    Object.defineProperty(WebSocket.prototype, name, Object.getOwnPropertyDescriptor(holder, name));
  }

  // Web IDL: attributes and operations can be enumerated, constants are on class and prototype and cannot be changed.
  for (const name of Object.getOwnPropertyNames(WebSocket.prototype)) {
    if (name !== "constructor") Object.defineProperty(WebSocket.prototype, name, { enumerable: true });
  }
  for (const [name, value] of Object.entries({ CONNECTING, OPEN, CLOSING, CLOSED })) {
    Object.defineProperty(WebSocket, name, { value, enumerable: true });
    Object.defineProperty(WebSocket.prototype, name, { value, enumerable: true });
  }
  Object.defineProperty(WebSocket.prototype, Symbol.toStringTag, { value: "WebSocket", configurable: true });

  // ---------------------------------------------------------------------------------------------------- End of a page

  // A page that goes away takes its sockets along. One that is kept for the back button finds them closed.
  let left = [];
  window.addEventListener("pagehide", () => {
    left = [...live];
    left.forEach((connection) => connection.goAway());
  });
  window.addEventListener("pageshow", () => left.splice(0).forEach((connection) => connection.fail()));

  Object.defineProperty(window, "WebSocket", { value: WebSocket, writable: true, configurable: true });
})("@SHIM_PATH@");

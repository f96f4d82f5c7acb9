/**
 * What a page can do with websockets and what it sees of them: each case drives sockets of the page's own host and
 * records all that can be observed. `window.run(name)` settles with the record, in which the host has a fixed name.
 *
 * Written after the web-platform-tests' list of subjects, see the table in `test_websocket.py`; none of its code.
 */
"use strict";

const address = (path) => `ws://${location.host}${path}`;
const bytes = (...values) => new Uint8Array(values);
const allBytes = () => Uint8Array.from({ length: 256 }, (_, index) => index);
const turn = () => new Promise((resolve) => setTimeout(resolve, 0));

/** Bytes that no block of equal length repeats, so that a mistake in order or length shows. */
function pattern(length) {
  const out = new Uint8Array(length);
  let state = 1;
  for (let index = 0; index < length; index += 1) {
    state = (state * 1103515245 + 12345) & 0x7fffffff;
    out[index] = state >> 16;
  }
  return out;
}

/** Short data as they are, long ones as length and checksum. */
function show(data) {
  const list = Array.from(data);
  if (list.length <= 300) return list;
  return { length: list.length, sum: list.reduce((sum, value) => (sum * 31 + value) >>> 0, 7) };
}

const showText = (text) =>
  text.length <= 300 ? text : show(Array.from(text, (character) => character.codePointAt(0)));

class Recorder {
  constructor() {
    this.entries = [];
    this.reading = [];
    this.sockets = 0;
  }

  note(what, value) {
    this.entries.push({ note: what, value });
  }

  /** Record what the function returns or throws. */
  attempt(what, act) {
    try {
      this.note(what, act());
    } catch (error) {
      this.note(what, { throws: error.name, constructor: error.constructor.name, code: error.code });
    }
  }

  /** A socket all of whose events are recorded, with the socket's state at that moment. */
  open(target, protocols, options = {}) {
    const url = target.startsWith("/") ? address(target) : target;
    const socket = protocols === undefined ? new WebSocket(url) : new WebSocket(url, protocols);
    if (options.binaryType) socket.binaryType = options.binaryType;
    this.watch(socket);
    return socket;
  }

  watch(socket) {
    this.sockets += 1;
    const number = this.sockets;
    for (const type of ["open", "message", "error", "close"]) {
      socket.addEventListener(type, (event) => this.entries.push(this.describe(number, socket, event)));
    }
  }

  describe(number, socket, event) {
    const entry = {
      socket: number,
      type: event.type,
      class: Object.prototype.toString.call(event),
      readyState: socket.readyState,
      protocol: socket.protocol,
      extensions: socket.extensions,
      flags: [event.bubbles, event.cancelable, event.composed, event.defaultPrevented, event.eventPhase],
      isTarget: event.target === socket && event.currentTarget === socket,
    };
    if (event.type === "message") {
      Object.assign(entry, { origin: event.origin, lastEventId: event.lastEventId, source: event.source });
      entry.ports = event.ports.length;
      this.read(entry, event.data);
    } else if (event.type === "close") {
      Object.assign(entry, { code: event.code, reason: event.reason, wasClean: event.wasClean });
    }
    return entry;
  }

  read(entry, data) {
    if (typeof data === "string") {
      entry.text = showText(data);
    } else if (data instanceof Blob) {
      entry.blob = data.size;
      entry.blobType = data.type;
      this.reading.push(data.arrayBuffer().then((buffer) => (entry.bytes = show(new Uint8Array(buffer)))));
    } else {
      entry.class2 = Object.prototype.toString.call(data);
      entry.bytes = show(new Uint8Array(data));
    }
  }

  /** The next event of a type, or the one that makes it so many. */
  until(socket, type, count = 1) {
    let left = count;
    return new Promise((resolve) => {
      socket.addEventListener(type, (event) => {
        left -= 1;
        if (left === 0) resolve(event);
      });
    });
  }

  /** Open, act, and wait for the end. */
  async session(path, act, { protocols, binaryType } = {}) {
    const socket = this.open(path, protocols, { binaryType });
    const closed = this.until(socket, "close");
    await this.until(socket, "open");
    await act(socket);
    await closed;
    return socket;
  }

  /** Send, wait for as many answers of the echo server, and close. */
  async echo(sent, options = {}) {
    await this.session(
      "/echo",
      async (socket) => {
        const answered = this.until(socket, "message", sent.length);
        for (const item of sent) {
          this.attempt("send", () => socket.send(item));
          this.note("bufferedAmount", socket.bufferedAmount);
          await options.between?.();
        }
        await answered;
        socket.close(1000);
      },
      options,
    );
  }
}

const cases = {
  // ------------------------------------------------------------------------------------------------------- Interface

  async constants(t) {
    for (const name of ["CONNECTING", "OPEN", "CLOSING", "CLOSED"]) {
      t.note(name, [WebSocket[name], WebSocket.prototype[name]]);
      for (const holder of [WebSocket, WebSocket.prototype]) {
        t.note(name, Object.getOwnPropertyDescriptor(holder, name));
        t.attempt("delete", () => delete holder[name]);
        t.attempt("assign", () => (holder[name] = 17));
      }
    }
  },

  async interface(t) {
    t.note("class", [WebSocket.name, WebSocket.length, Object.getPrototypeOf(WebSocket) === EventTarget]);
    t.note("prototype", Object.getPrototypeOf(WebSocket.prototype) === EventTarget.prototype);
    t.note("constructor", WebSocket.prototype.constructor === WebSocket);
    t.note("tag", Object.prototype.toString.call(WebSocket.prototype));
    t.note("tag", Object.getOwnPropertyDescriptor(WebSocket.prototype, Symbol.toStringTag));
    const { enumerable, configurable, writable } = Object.getOwnPropertyDescriptor(window, "WebSocket");
    t.note("global", [enumerable, configurable, writable, Object.keys(window).includes("WebSocket")]);
    t.note("names", Object.getOwnPropertyNames(WebSocket.prototype).sort());
    for (const name of Object.getOwnPropertyNames(WebSocket.prototype).sort()) {
      const property = Object.getOwnPropertyDescriptor(WebSocket.prototype, name);
      const { get, set, value } = property;
      t.note(name, {
        kinds: [typeof get, typeof set, typeof value],
        names: [get?.name, set?.name, value?.name],
        lengths: [get?.length, set?.length, value?.length],
        flags: [property.enumerable, property.configurable, property.writable],
      });
    }
    t.note(
      "statics",
      Object.getOwnPropertyNames(WebSocket)
        .filter((name) => name !== "arguments" && name !== "caller")
        .sort(),
    );
  },

  async strangers(t) {
    for (const name of ["url", "readyState", "bufferedAmount", "protocol", "binaryType", "onopen"]) {
      t.attempt(name, () => WebSocket.prototype[name]);
      t.attempt(name, () => Reflect.get(WebSocket.prototype, name, new EventTarget()));
    }
    t.attempt("set", () => Reflect.set(WebSocket.prototype, "binaryType", "blob", {}));
    t.attempt("set", () => Reflect.set(WebSocket.prototype, "onopen", null, {}));
    t.attempt("send", () => WebSocket.prototype.send.call({}, "x"));
    t.attempt("close", () => WebSocket.prototype.close.call(window));
  },

  async instance(t) {
    await t.session("/echo", async (socket) => {
      t.note("own", Object.keys(socket));
      const seen = [];
      for (const name in socket) seen.push(name);
      t.note("enumerated", seen.sort());
      t.note("is", [socket instanceof WebSocket, socket instanceof EventTarget, String(socket)]);
      for (const name of ["url", "readyState", "protocol", "extensions", "bufferedAmount", "OPEN"]) {
        t.attempt(`assign ${name}`, () => (socket[name] = "other"));
        t.attempt(`delete ${name}`, () => delete socket[name]);
        t.note(name, socket[name]);
      }
      t.note("expando", ((socket.mine = 1), socket.mine));
      socket.close();
    });
  },

  async subclass(t) {
    class Mine extends WebSocket {
      constructor(url) {
        super(url);
        this.own = "field";
      }

      get url() {
        return `mine ${super.url}`;
      }

      send(data) {
        super.send(`mine ${data}`);
      }
    }
    const socket = new Mine(address("/echo"));
    t.watch(socket);
    const closed = t.until(socket, "close");
    t.note("is", [socket instanceof Mine, socket instanceof WebSocket, socket.own, socket.url, Mine.OPEN]);
    await t.until(socket, "open");
    const answered = t.until(socket, "message");
    socket.send("hello");
    await answered;
    socket.close();
    await closed;
  },

  // ----------------------------------------------------------------------------------------------------- Constructor

  async "constructor: arguments"(t) {
    t.attempt("none", () => new WebSocket());
    t.attempt("without new", () => WebSocket(address("/echo")));
    t.attempt("symbol", () => new WebSocket(Symbol("url")));
    t.attempt(
      "throws",
      () =>
        new WebSocket({
          toString: () => {
            throw new RangeError("mine");
          },
        }),
    );
    t.attempt("symbol as protocol", () => new WebSocket(address("/echo"), Symbol("a")));
    const object = t.open({ startsWith: () => false, toString: () => address("/echo?object") });
    t.note("url", object.url);
    object.close();
    await t.until(object, "close");
  },

  async "constructor: bad URLs"(t) {
    const urls = [
      "ws:",
      "ws://",
      "ws:///",
      "ws://?",
      "ws://foo:bar:80/",
      "ws://web platform.test/",
      "mailto:a@example.com",
      "about:blank",
      "ftp://127.0.0.1/",
      "javascript:0",
      "wss://[::1",
      "ws://a:99999/",
      "//",
      "http://",
      `${address("/echo")}#`,
      `${address("/echo")}#fragment`,
      "/echo#fragment",
      "data:,x",
      "blob:x",
    ];
    for (const url of urls) t.attempt(url, () => new WebSocket(url).url);
  },

  async "constructor: URLs"(t) {
    const { host } = location;
    const urls = [
      `ws://${host}/echo`,
      `http://${host}/echo?http`,
      "/echo?relative",
      "echo?relative",
      "?query",
      "",
      `//${host}/echo`,
      `WS://${host}/echo?upper`,
      `ws://${host}`,
      `ws://${host}/%20 é?ü b"`,
      `ws://${host}/a/../echo`,
      `ws://${host}/echo?`,
      `ws://${host}/\u{d800}`,
      ` ws://${host}/echo?space `,
      `ws:\\\\${host}\\echo`,
    ];
    for (const url of urls) {
      t.attempt(url, () => {
        const socket = new WebSocket(url);
        const found = socket.url;
        socket.close();
        return found;
      });
    }
    await turn();
  },

  async "constructor: base URL"(t) {
    const base = document.createElement("base");
    base.href = `http://${location.host}/folder/page`;
    document.head.append(base);
    const socket = t.open("echo?based");
    base.remove();
    t.note("url", socket.url);
    socket.close();
    await t.until(socket, "close");
  },

  async "constructor: bad protocols"(t) {
    const lists = [
      "",
      " ",
      "a b",
      "a,b",
      "a;b",
      'a"b',
      "a\u00e9",
      "a\u0000",
      "a\u007f",
      "(a)",
      "a/b",
      "[a]",
      "{a}",
      "a=b",
      "a?b",
      "a@b",
      "a\tb",
      "a\\b",
      "<a>",
      "a:b",
      [""],
      ["a", ""],
      ["a", "a"],
      ["a", "A"],
      ["a", "b", "a"],
      ["a, b"],
      [" a"],
      new Set(["x y"]),
      ["Upper", "upper", "Upper"],
    ];
    for (const list of lists) {
      t.attempt(JSON.stringify(list), () => {
        const socket = new WebSocket(address("/echo"), list);
        socket.close();
        return [socket.readyState, socket.protocol];
      });
    }
    await turn();
  },

  async "constructor: odd protocols"(t) {
    const lists = [undefined, null, 17, true, [], ["a"], new Set(["b", "c"]), [undefined], [null, 1], {}, [["d"]]];
    for (const list of lists) {
      t.attempt(JSON.stringify(list) ?? "undefined", () => {
        const socket = new WebSocket(address("/echo"), list);
        socket.close();
        return [socket.readyState, socket.protocol];
      });
    }
    t.attempt("not iterable", () => new WebSocket(address("/echo"), { [Symbol.iterator]: 1 }));
    await turn();
  },

  async "new socket"(t) {
    const socket = t.open("/echo?a=b");
    const { url, readyState, bufferedAmount, onopen, onerror, onclose, onmessage } = socket;
    t.note("first", { url, readyState, bufferedAmount, onopen, onerror, onclose, onmessage });
    t.note("first", [socket.extensions, socket.protocol, socket.binaryType]);
    t.attempt("send", () => socket.send("x"));
    t.attempt("send", () => socket.send(new Blob(["x"])));
    t.attempt("send", () => socket.send());
    await t.until(socket, "open");
    const closed = t.until(socket, "close");
    socket.close();
    t.note("closing", socket.readyState);
    await closed;
    t.note("closed", [socket.readyState, socket.url, socket.protocol]);
  },

  // -------------------------------------------------------------------------------------------------------- Protocol

  async "protocol: none offered"(t) {
    await t.session("/echo", async (socket) => socket.close());
  },

  async "protocol: the server's choice"(t) {
    const socket = await t.session("/echo?pick=superchat", async (open) => open.close(), {
      protocols: ["chat", "superchat"],
    });
    t.note("after", socket.protocol);
  },

  async "protocol: one as a string"(t) {
    await t.session("/echo?pick=v1.kernel.websocket.jupyter.org", async (socket) => socket.close(), {
      protocols: "v1.kernel.websocket.jupyter.org",
    });
  },

  async "protocol: offered, none chosen"(t) {
    const socket = t.open("/echo", ["chat"]);
    await t.until(socket, "close");
  },

  async "protocol: one that was not offered"(t) {
    const socket = t.open("/echo?force=other", ["chat"]);
    await t.until(socket, "close");
  },

  // ---------------------------------------------------------------------------------------------------------- Events

  async "events: order of handlers and listeners"(t) {
    const socket = new WebSocket(address("/echo"));
    const first = () => t.note("ran", "first handler");
    socket.addEventListener("open", () => t.note("ran", "listener 1"));
    socket.onopen = first;
    socket.addEventListener("open", () => t.note("ran", "listener 2"));
    t.note("get", socket.onopen === first);
    socket.onopen = () => t.note("ran", "second handler, in the place of the first");
    socket.onclose = () => t.note("ran", "close handler");
    socket.onclose = null;
    socket.addEventListener("close", () => t.note("ran", "close listener"));
    socket.onclose = () => t.note("ran", "close handler, set again");
    t.note("null", socket.onerror);
    await t.until(socket, "open");
    const closed = t.until(socket, "close");
    socket.close();
    await closed;
  },

  async "events: what a handler may be"(t) {
    const socket = new WebSocket(address("/echo"));
    const object = { handleEvent: () => t.note("ran", "handleEvent") };
    for (const value of [1, "text", undefined, true, Symbol("s"), null]) {
      socket.onmessage = value;
      t.note(`${String(value)}`, socket.onmessage);
    }
    socket.onmessage = object;
    t.note("object", socket.onmessage === object);
    socket.addEventListener("message", object);
    socket.onopen = function opened(event) {
      t.note("this", [this === socket, arguments.length, event.type]);
      return false;
    };
    await t.until(socket, "open");
    const answered = t.until(socket, "message");
    socket.send("x");
    await answered;
    const closed = t.until(socket, "close");
    socket.close();
    await closed;
  },

  async "events: exceptions of handlers"(t) {
    const failed = (event) => {
      event.preventDefault();
      t.note("reported", event.message);
    };
    window.addEventListener("error", failed);
    const socket = t.open("/echo");
    socket.onopen = () => {
      throw new Error("of onopen");
    };
    let count = 0;
    socket.onmessage = () => {
      count += 1;
      throw new Error(`of message ${count}`);
    };
    await t.until(socket, "open");
    const answered = t.until(socket, "message", 3);
    for (const text of ["a", "b", "c"]) socket.send(text);
    await answered;
    const closed = t.until(socket, "close");
    socket.close();
    await closed;
    await turn();
    window.removeEventListener("error", failed);
  },

  async "events: removed, once, synthetic"(t) {
    const socket = t.open("/echo");
    const never = () => t.note("ran", "never");
    socket.addEventListener("open", never);
    socket.removeEventListener("open", never);
    socket.addEventListener("message", () => t.note("ran", "once"), { once: true });
    socket.onmessage = (event) => t.note("handler", event.data);
    t.note("synthetic", socket.dispatchEvent(new MessageEvent("message", { data: "made by the page" })));
    await t.until(socket, "open");
    const answered = t.until(socket, "message", 2);
    socket.send("a");
    socket.send("b");
    await answered;
    socket.onmessage = () => t.note("ran", "replaced");
    t.note("synthetic", socket.dispatchEvent(new CloseEvent("close", { code: 4000 })));
    const again = t.until(socket, "message");
    socket.send("c");
    await again;
    const closed = t.until(socket, "close");
    socket.close();
    await closed;
  },

  async "events: promises between messages"(t) {
    const socket = t.open("/burst?count=5");
    socket.addEventListener("message", async (event) => {
      for (let step = 0; step < 20; step += 1) await undefined;
      t.note("after twenty promises", event.data);
    });
    await t.until(socket, "close");
  },

  // ------------------------------------------------------------------------------------------------------ binaryType

  async "binaryType: values"(t) {
    const socket = t.open("/echo");
    for (const value of [
      "arraybuffer",
      "blob",
      "Blob",
      "BLOB",
      "",
      "bytes",
      null,
      undefined,
      1,
      "arraybuffer",
      "nothing",
    ]) {
      t.attempt(`${value}`, () => {
        socket.binaryType = value;
        return socket.binaryType;
      });
    }
    socket.close();
    await t.until(socket, "close");
    socket.binaryType = "blob";
    t.note("after", socket.binaryType);
  },

  async "binaryType: blob"(t) {
    await t.echo([allBytes(), bytes(), "text", bytes(0)]);
  },

  async "binaryType: arraybuffer"(t) {
    await t.echo([allBytes(), bytes(), "text", bytes(0)], { binaryType: "arraybuffer" });
  },

  async "binaryType: changed in between"(t) {
    await t.session("/echo", async (socket) => {
      for (const type of ["arraybuffer", "blob", "arraybuffer"]) {
        socket.binaryType = type;
        const answered = t.until(socket, "message");
        socket.send(bytes(1, 2, 200));
        await answered;
      }
      socket.close();
    });
  },

  // ------------------------------------------------------------------------------------------------------------ Send

  async "send: text"(t) {
    await t.echo([
      "hello",
      "",
      "\u0000",
      "\ufeffmark",
      "caf\u00e9",
      "\u{1f600}",
      "\u2028\u2029",
      "</script><!--",
      '{"a": "\\"}',
      "\r\n",
    ]);
  },

  async "send: halves of surrogate pairs"(t) {
    await t.echo(["\ud800", "a\udc00b", "\udc00\ud800", "\ud83d\ude00 \ud83d", "\ufeff\ud800"]);
  },

  async "send: what is no string"(t) {
    const object = { toString: () => "object" };
    await t.echo([null, undefined, 17, true, object, ["a", "b"], 1.5, new String("s"), new Date(NaN), 10n]);
  },

  async "send: refused"(t) {
    await t.session("/echo", async (socket) => {
      t.attempt("none", () => socket.send());
      t.attempt("symbol", () => socket.send(Symbol("x")));
      t.attempt("throws", () =>
        socket.send({
          toString: () => {
            throw new RangeError("mine");
          },
        }),
      );
      t.attempt("no text", () => socket.send(Object.create(null)));
      t.note("bufferedAmount", socket.bufferedAmount);
      socket.close();
    });
  },

  async "send: buffers and views"(t) {
    const { buffer } = allBytes();
    const detached = new ArrayBuffer(8);
    const view = new Uint8Array(detached);
    structuredClone(detached, { transfer: [detached] });
    await t.echo(
      [
        buffer,
        new Uint8Array(buffer, 100, 7),
        new DataView(buffer, 250),
        new Uint16Array(buffer, 2, 3),
        new ArrayBuffer(0),
        new Float64Array([1.5, -0, NaN]),
        new Int8Array([-1]),
        new Uint8ClampedArray([300]),
        new BigInt64Array([1n]),
        view,
      ],
      { binaryType: "arraybuffer" },
    );
  },

  async "send: blobs"(t) {
    const blobs = [
      new Blob([allBytes()]),
      new Blob([]),
      new File(["file"], "name.txt"),
      new Blob(["a", bytes(255)]).slice(1),
    ];
    await t.echo(blobs, { binaryType: "arraybuffer" });
  },

  async "send: order of blobs and others"(t) {
    const sent = [];
    for (let index = 0; index < 20; index += 1) {
      sent.push(new Blob([`blob ${index} `, new Uint8Array(index * 1000)]), `text ${index}`, bytes(index));
    }
    await t.echo(sent, { binaryType: "arraybuffer" });
  },

  async "send: of another frame"(t) {
    const frame = document.createElement("iframe");
    document.body.append(frame);
    const other = frame.contentWindow;
    const sent = [
      new other.ArrayBuffer(3),
      new other.Uint8Array([1, 2]),
      new other.Blob(["blob"]),
      new other.String("text"),
    ];
    await t.echo(sent, { binaryType: "arraybuffer" });
    frame.remove();
  },

  async "send: changed afterwards"(t) {
    await t.session(
      "/echo",
      async (socket) => {
        const answered = t.until(socket, "message", 2);
        const data = bytes(1, 2, 3);
        socket.send(data);
        data.fill(9);
        socket.send(data.buffer);
        data.fill(7);
        await answered;
        socket.close();
      },
      { binaryType: "arraybuffer" },
    );
  },

  async "send: long messages"(t) {
    const text = Array.from(pattern(70000), (value) => String.fromCharCode(0x100 + value)).join("");
    await t.echo([pattern(65535), pattern(65536), pattern(1 << 20), text, "x".repeat(1 << 20)], {
      binaryType: "arraybuffer",
    });
  },

  async "send: three million bytes"(t) {
    await t.echo([pattern(3000001)], { binaryType: "arraybuffer" });
    await t.echo([new Blob([pattern(3000002)])]);
  },

  async "send: thousands of messages"(t) {
    await t.session(
      "/echo",
      async (socket) => {
        const answered = t.until(socket, "message", 3000);
        for (let index = 0; index < 1500; index += 1) {
          socket.send(`${index}`);
          socket.send(bytes(index & 255, index >> 8));
          if (index % 100 === 0) await turn();
        }
        await answered;
        socket.close();
      },
      { binaryType: "arraybuffer" },
    );
  },

  async "send: when closing and closed"(t) {
    const socket = await t.session("/echo", async (open) => {
      open.close();
      for (const data of ["text", "\u00e9", bytes(1, 2, 3), new Blob(["blob"])]) {
        t.attempt("send", () => open.send(data));
        t.note("bufferedAmount", open.bufferedAmount);
      }
    });
    t.note("before", socket.bufferedAmount);
    t.attempt("send", () => socket.send("1234567"));
    t.attempt("send", () => socket.send(new ArrayBuffer(10)));
    t.note("after", socket.bufferedAmount);
    await turn();
    t.note("later", socket.bufferedAmount);
  },

  async "send: before close, all arrives"(t) {
    const key = `${Math.random()}`;
    await t.session(`/record?key=${key}`, async (socket) => {
      socket.send("text");
      socket.send(new Blob([new Uint8Array(100000)]));
      socket.send(bytes(1, 2));
      socket.close(3001, "enough");
      socket.send("too late");
    });
    t.note("server", await (await fetch(`/recorded?key=${key}`)).json());
  },

  // -------------------------------------------------------------------------------------------------- bufferedAmount

  async "bufferedAmount: falls to zero"(t) {
    await t.session("/echo", async (socket) => {
      const answered = t.until(socket, "message", 3);
      for (const data of ["abc", new ArrayBuffer(5), new Blob(["seven b"])]) {
        socket.send(data);
        t.note("at once", socket.bufferedAmount);
      }
      t.note("the same run", socket.bufferedAmount);
      await answered;
      // Not at once: when it falls is the network's affair, only that it does.
      while (socket.bufferedAmount > 0) await turn();
      socket.close();
      t.note("closing", socket.bufferedAmount);
    });
  },

  async "bufferedAmount: bytes, not characters"(t) {
    await t.session("/echo", async (socket) => {
      const answered = t.until(socket, "message");
      socket.send("\u00e5\u{1f600}\ud800");
      t.note("bytes", socket.bufferedAmount);
      await answered;
      socket.close();
    });
  },

  // ----------------------------------------------------------------------------------------------------------- Close

  async "close: bad codes and reasons"(t) {
    await t.session("/echo", async (socket) => {
      for (const code of [
        0,
        500,
        999,
        1001,
        1004,
        1005,
        1006,
        1015,
        2999,
        5000,
        65536,
        -1,
        NaN,
        null,
        "text",
        "",
        {},
        Infinity,
      ]) {
        t.attempt(`${code}`, () => socket.close(code));
      }
      t.attempt("999.5, to the even", () => socket.close(998.5));
      t.attempt("bigint", () => socket.close(1000n));
      t.attempt("symbol", () => socket.close(Symbol("x")));
      t.attempt("124 bytes", () => socket.close(1000, "a".repeat(124)));
      t.attempt("124 bytes in 62 characters", () => socket.close(1000, "\u00e9".repeat(62)));
      t.attempt("123 of surrogates", () => socket.close(1000, "\ud800".repeat(42)));
      t.attempt("only a reason", () => socket.close("a reason"));
      t.attempt("both wrong", () => socket.close(1, "a".repeat(124)));
      t.attempt("symbol as reason", () => socket.close(1000, Symbol("x")));
      t.note("state", socket.readyState);
      t.attempt("return", () => socket.close());
    });
  },

  async "close: bad arguments before it is open"(t) {
    const socket = t.open("/echo");
    t.attempt("code", () => socket.close(1001));
    t.attempt("reason", () => socket.close(1000, "a".repeat(124)));
    t.note("state", socket.readyState);
    socket.close(1000, "right");
    await t.until(socket, "close");
    t.attempt("after", () => socket.close(1001));
    t.attempt("after", () => socket.close(1000));
  },

  async "close: codes"(t) {
    for (const code of [1000, 3000, 3001, 4000, 4999, 1000.4, "3002", undefined]) {
      await t.session("/echo", async (socket) => socket.close(code));
    }
    await t.session("/echo", async (socket) => socket.close());
  },

  async "close: reasons"(t) {
    for (const reason of [
      "",
      "a reason",
      "caf\u00e9 \u{1f600}",
      "a".repeat(123),
      "\ud800",
      undefined,
      null,
      17,
      "\u0000",
    ]) {
      await t.session("/echo", async (socket) => socket.close(3000, reason));
    }
  },

  async "close: what the server sees"(t) {
    const ends = [[], [1000], [1000, "done"], [3000], [4999, "caf\u00e9"], [undefined]];
    for (const end of ends) {
      const key = `${Math.random()}`;
      await t.session(`/record?key=${key}`, async (socket) => socket.close(...end));
      t.note("server", await (await fetch(`/recorded?key=${key}`)).json());
    }
  },

  async "close: before it is open"(t) {
    const socket = t.open("/echo");
    socket.close(3000, "reason");
    t.note("state", socket.readyState);
    socket.close();
    await t.until(socket, "close");
    t.note("state", socket.readyState);
    await turn();
  },

  async "close: before it is open, later"(t) {
    const socket = t.open("/late?ms=300");
    await new Promise((resolve) => setTimeout(resolve, 50));
    socket.close();
    t.note("state", socket.readyState);
    await t.until(socket, "close");
    await new Promise((resolve) => setTimeout(resolve, 600));
  },

  async "close: twice"(t) {
    const socket = await t.session("/echo", async (open) => {
      open.close(3000, "first");
      open.close(4000, "second");
      t.note("state", open.readyState);
    });
    socket.close(3000);
    t.note("state", socket.readyState);
    await turn();
  },

  async "close: within handlers"(t) {
    const socket = t.open("/echo");
    socket.onopen = () => socket.close(3000, "of onopen");
    socket.onclose = () => {
      t.note("state", socket.readyState);
      socket.close(4000);
    };
    await t.until(socket, "close");
    await turn();
  },

  async "close: within onerror"(t) {
    const socket = t.open("/refuse?status=403");
    socket.onerror = () => {
      t.note("state", socket.readyState);
      socket.close();
    };
    await t.until(socket, "close");
    await turn();
  },

  async "close: no message after it"(t) {
    const socket = t.open("/burst?count=50&stay=1");
    socket.onmessage = () => socket.close(3000);
    await t.until(socket, "close");
  },

  async "close: by the server"(t) {
    for (const code of [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 4000, 4999]) {
      const socket = t.open(`/close?code=${code}&reason=r${code}`);
      await t.until(socket, "close");
    }
  },

  async "close: by the server, without code"(t) {
    const socket = t.open("/close");
    await t.until(socket, "close");
  },

  async "close: by the server, with a long reason"(t) {
    const socket = t.open(`/close?code=4000&reason=${encodeURIComponent("\u00e9".repeat(61))}`);
    await t.until(socket, "close");
  },

  async "close: by the server, after messages"(t) {
    const socket = t.open("/burst?count=200");
    await t.until(socket, "close");
    await new Promise((resolve) => setTimeout(resolve, 300));
    t.note("state", socket.readyState);
  },

  async "close: with another code by the server"(t) {
    await t.session("/answer?code=4001&reason=mine", async (socket) => socket.close(3000, "yours"));
  },

  async "close: slow server"(t) {
    await t.session("/answer?code=3000&ms=400", async (socket) => {
      socket.close(3000);
      await new Promise((resolve) => setTimeout(resolve, 100));
      t.note("state", socket.readyState);
    });
  },

  async "close: on a message of the page"(t) {
    await t.session("/goodbye", async (socket) => socket.send("goodbye"));
  },

  // -------------------------------------------------------------------------------------------------------- Failures

  async "failure: connection dropped"(t) {
    await t.session("/drop", async (socket) => socket.send("drop"));
  },

  async "failure: connection dropped at once"(t) {
    const socket = t.open("/drop?now=1");
    await t.until(socket, "close");
  },

  async "failure: handshake refused"(t) {
    for (const status of [200, 301, 401, 403, 404, 429, 500, 503]) {
      const socket = t.open(`/refuse?status=${status}`);
      await t.until(socket, "close");
      t.attempt("send", () => socket.send("x"));
      t.note("state", [socket.readyState, socket.bufferedAmount]);
    }
  },

  async "failure: text that is not UTF-8"(t) {
    const socket = t.open("/invalid?kind=utf8");
    await t.until(socket, "close");
  },

  async "failure: a frame that is none"(t) {
    const socket = t.open("/invalid?kind=frame");
    await t.until(socket, "close");
  },

  // ---------------------------------------------------------------------------------------------------------- Others

  async "fragments become one message"(t) {
    const socket = t.open("/fragments");
    await t.until(socket, "close");
  },

  async "several sockets"(t) {
    await Promise.all(
      [1, 2, 3].map(async (number) => {
        const quiet = new Recorder();
        await quiet.echo([`${number} a`, `${number} b`]);
        await Promise.all(quiet.reading);
        t.entries.push({ socket: number, entries: quiet.entries });
      }),
    );
    t.entries.sort((one, other) => one.socket - other.socket);
  },

  async "end of a frame: removed"(t) {
    const key = `${Math.random()}`;
    const frame = document.createElement("iframe");
    frame.src = `/frame?key=${key}`;
    document.body.append(frame);
    await new Promise((resolve) => addEventListener("message", resolve, { once: true }));
    frame.remove();
    t.note("server", await (await fetch(`/recorded?key=${key}`)).json());
  },

  async "end of a frame: navigated"(t) {
    const key = `${Math.random()}`;
    const frame = document.createElement("iframe");
    frame.src = `/frame?key=${key}`;
    document.body.append(frame);
    await new Promise((resolve) => addEventListener("message", resolve, { once: true }));
    frame.src = "/empty";
    t.note("server", await (await fetch(`/recorded?key=${key}`)).json());
    frame.remove();
  },
};

/** The record of a case. */
window.run = async (name) => {
  const recorder = new Recorder();
  await cases[name](recorder);
  await Promise.all(recorder.reading);
  const text = JSON.stringify(recorder.entries, (_, value) => {
    if (typeof value === "bigint" || typeof value === "symbol") return String(value);
    return value === undefined ? "undefined" : value;
  });
  return text.replaceAll(location.host, "page.test");
};

window.cases = Object.keys(cases);

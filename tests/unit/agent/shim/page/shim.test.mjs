/** The script against an agent that answers by hand: failures, pauses, numbers, other agents, the end of the page. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { Browser, settled } from "./browser.mjs";

const CLOSED = { error: "closed", code: 4001, reason: "bye", clean: true };
const BROKEN = [1006, "", false];

// ---------------------------------------------------------------------------------------------------------------- Polls

test("failed polls are repeated after pauses that grow, and then the socket is given up", async () => {
  const browser = new Browser();
  const { socket, seen } = await browser.opened();
  const pauses = [];
  for (let failure = 0; failure < 7; failure += 1) {
    await browser.take("poll").answer(502, "<html>");
    pauses.push(...browser.pauses());
    await browser.elapse(8000);
  }
  await browser.take("poll").fail();

  assert.deepEqual(pauses, [500, 1000, 2000, 4000, 8000, 8000, 8000]);
  assert.deepEqual(seen, ["open", "error", BROKEN]);
  assert.equal(socket.readyState, 3);
  assert.deepEqual(browser.waiting(), ["close"]);
});

test("pauses are between half and all of their length", async () => {
  const browser = new Browser({ random: 0 });
  await browser.opened();
  await browser.take("poll").fail();

  assert.deepEqual(browser.pauses(), [250]);
});

test("an answer ends the count of failures", async () => {
  for (const [status, content] of [
    [408, ""],
    [200, ["text"]],
  ]) {
    const browser = new Browser();
    await browser.opened();
    for (let round = 0; round < 3; round += 1) {
      for (let failure = 0; failure < 5; failure += 1) {
        await browser.take("poll").answer(503);
        await browser.elapse(8000);
      }
      await browser.take("poll").answer(status, content);
    }
    assert.deepEqual(browser.waiting(), ["poll"]);
  }
});

test("what is no answer of an agent counts as a failure", async () => {
  for (const [status, content] of [
    [200, "<html>sign in</html>"],
    [200, { a: 1 }],
    [401, ""],
    [404, ""],
    [400, "{}"],
  ]) {
    const browser = new Browser();
    const { seen } = await browser.opened();
    await browser.take("poll").answer(status, content);

    assert.deepEqual([seen, browser.pauses()], [["open"], [500]]);
  }
});

test("a poll that nobody answers ends by itself", async () => {
  const browser = new Browser();
  await browser.opened();
  browser.take("poll");
  await browser.elapse(60000);

  assert.deepEqual(browser.pauses(), [500]);
});

test("after the end there is one close event and never another request", async () => {
  const browser = new Browser();
  const { socket, seen } = await browser.opened();
  await browser.take("poll").answer(200, ["last words"]);
  await browser.take("poll").answer(400, CLOSED);
  const { count } = browser;
  socket.close();
  socket.send("too late");
  await browser.elapse(1e9);

  assert.deepEqual(seen, ["open", "last words", [4001, "bye", true]]);
  assert.equal(browser.count, count);
});

test("polls say how many messages have come", async () => {
  const browser = new Browser();
  await browser.opened();
  const acks = [];
  for (const messages of [["a", "b"], ["c"], []]) {
    const poll = browser.take("poll");
    acks.push(poll.json);
    await poll.answer(200, messages);
  }

  assert.deepEqual(acks, [
    { id: "7", ack: 0 },
    { id: "7", ack: 2 },
    { id: "7", ack: 3 },
  ]);
});

test("a connection that the agent failed is an error for the page", async () => {
  const browser = new Browser();
  const { seen } = await browser.opened();
  await browser.take("poll").answer(400, { error: "x", code: 1007, reason: "not UTF-8", clean: false });

  assert.deepEqual(seen, ["open", "error", BROKEN]);
});

test("with few connections the polls of many sockets take turns", async () => {
  const browser = new Browser({ protocol: "http/1.1" });
  const sockets = [];
  for (let number = 0; number < 6; number += 1) sockets.push(await browser.opened({ id: `${number}` }));
  const rounds = [browser.polling()];
  for (let round = 0; round < 2; round += 1) {
    await browser.elapse(1000);
    rounds.push(browser.polling());
  }

  assert.deepEqual(rounds, [
    ["0", "1", "2", "3"],
    ["0", "1", "4", "5"],
    ["2", "3", "4", "5"],
  ]);
  assert.deepEqual(
    browser.pauses().filter((delay) => delay !== 1000),
    [],
  );
  assert.deepEqual(
    sockets.map(({ seen }) => seen),
    Array(6).fill(["open"]),
  );
});

test("a poll whose turn is over makes room at once, and so does one that is answered", async () => {
  const browser = new Browser({ protocol: "http/1.1" });
  for (let number = 0; number < 4; number += 1) await browser.opened({ id: `${number}` });
  await browser.elapse(1000);
  await browser.opened({ id: "late" });
  assert.deepEqual(browser.polling(), ["0", "1", "2", "late"]);
  await browser.calls.find((call) => call.json.id === "late").answer(400, CLOSED);
  assert.deepEqual(browser.polling(), ["0", "1", "2", "3", "late"]);
});

test("with enough connections, and at the original's agent, all poll at once", async () => {
  for (const [protocol, isOurs] of [
    ["h2", true],
    ["http/1.1", false],
  ]) {
    const browser = new Browser({ protocol });
    for (let number = 0; number < 8; number += 1) await browser.opened({ isOurs });

    assert.equal(browser.calls.length, 8);
  }
});

// ----------------------------------------------------------------------------------------------------------------- Data

test("one request at a time, each with all that waits, numbered through", async () => {
  const browser = new Browser();
  const { socket } = await browser.opened();
  socket.send("a");
  socket.send("b");
  await settled();
  const first = browser.take("data");
  socket.send("c");
  await settled();
  assert.deepEqual(browser.waiting(), ["poll"]);
  await first.answer(200, "ok");
  const second = browser.take("data");

  assert.deepEqual(first.json, [
    { id: "7", msg: "a", n: 0 },
    { id: "7", msg: "b", n: 1 },
  ]);
  assert.deepEqual(second.json, [{ id: "7", msg: "c", n: 2 }]);
});

test("a blob that is read for long keeps its place", async () => {
  const browser = new Browser();
  const { socket } = await browser.opened();
  const blob = new Blob(["slow"]);
  let read;
  blob.arrayBuffer = () => new Promise((resolve) => (read = resolve));
  socket.send(blob);
  socket.send("behind");
  await settled();
  assert.deepEqual(browser.waiting(), ["poll"]);
  read(new Uint8Array([1, 2]).buffer);
  await settled();

  assert.deepEqual(
    browser.take("data").json.map(({ msg }) => msg),
    [["AQI="], "behind"],
  );
});

test("a blob that cannot be read is the end of the socket", async () => {
  const browser = new Browser();
  const { socket, seen } = await browser.opened();
  const blob = new Blob(["gone"]);
  blob.arrayBuffer = () => Promise.reject(new Error("NotReadableError"));
  socket.send(blob);
  await settled();

  assert.deepEqual(seen, ["open", "error", BROKEN]);
});

test("long messages go in several requests", async () => {
  const browser = new Browser();
  const { socket } = await browser.opened();
  for (const letter of ["a", "b", "c"]) socket.send(letter.repeat(700000));
  for (let index = 0; index < 300; index += 1) socket.send("x");
  await settled();
  const lengths = [];
  while (browser.waiting().includes("data")) {
    const call = browser.take("data");
    lengths.push(call.json.length);
    await call.answer(200, "ok");
  }

  assert.deepEqual(lengths, [2, 256, 45]);
});

test("bufferedAmount falls when the agent has taken it", async () => {
  const browser = new Browser();
  const { socket } = await browser.opened();
  socket.send("\u00e9");
  await settled();
  assert.equal(socket.bufferedAmount, 2);
  await browser.take("data").answer(200, "ok");
  assert.equal(socket.bufferedAmount, 0);
});

test("data that failed is sent again as it was", async () => {
  const browser = new Browser();
  const { socket } = await browser.opened();
  socket.send("a");
  await settled();
  const first = browser.take("data");
  await first.fail();
  await browser.elapse(500);
  const second = browser.take("data");
  await second.answer(504);
  await browser.elapse(1000);
  const third = browser.take("data");
  await third.answer(200, "ok");

  assert.equal(second.options.body, first.options.body);
  assert.equal(third.options.body, first.options.body);
  assert.deepEqual(
    [first, second, third].map((call) => call.options.keepalive),
    [true, false, false],
  );
});

test("data that cannot be delivered is the end of the socket", async () => {
  const browser = new Browser();
  const { socket, seen } = await browser.opened();
  socket.send("a");
  await settled();
  for (let failure = 0; failure < 8; failure += 1) {
    await browser.take("data").answer(502);
    await browser.elapse(8000);
  }

  assert.deepEqual(seen, ["open", "error", BROKEN]);
  assert.equal(socket.bufferedAmount, 1);
});

test("data that the agent finds wrong is the end of the socket", async () => {
  for (const status of [400, 409, 413]) {
    const browser = new Browser();
    const { socket, seen } = await browser.opened();
    socket.send("a");
    await settled();
    await browser.take("data").answer(status, { error: "wrong" });

    assert.deepEqual(seen, ["open", "error", BROKEN]);
  }
});

test("a server that does not read is waited for", async () => {
  const browser = new Browser();
  const { socket, seen } = await browser.opened();
  socket.send("a");
  await settled();
  for (let round = 0; round < 50; round += 1) {
    await browser.take("data").answer(503, { error: "full", taken: 0 });
    await browser.elapse(500);
  }

  assert.deepEqual(seen, ["open"]);
  assert.deepEqual(browser.waiting(), ["poll", "data"]);
});

test("when the session has ended, the messages before its end still come", async () => {
  const browser = new Browser();
  const { socket, seen } = await browser.opened();
  socket.send("a");
  await settled();
  await browser.take("data").answer(400, CLOSED);
  socket.send("b");
  await settled();
  await browser.take("poll").answer(200, ["last words"]);
  await browser.take("poll").answer(400, CLOSED);

  assert.deepEqual(seen, ["open", "last words", [4001, "bye", true]]);
  assert.deepEqual(browser.waiting(), []);
});

// -------------------------------------------------------------------------------------------------------------- Opening

test("open says the URL, the version, and the subprotocols only if there are some", async () => {
  const browser = new Browser();
  browser.socket("echo?a=b", ["chat", "superchat"]);
  browser.socket("ws://page.test/echo");
  const [first, second] = [browser.take("open"), browser.take("open")];

  assert.equal(first.url, "http://page.test/shim/open");
  assert.equal(first.options.body, "ws://page.test/app/echo?a=b");
  assert.deepEqual(first.options.headers, {
    "X-Websocket-Shim-Version": "1",
    "X-Websocket-Shim-Protocols": "chat, superchat",
  });
  assert.deepEqual(second.options.headers, { "X-Websocket-Shim-Version": "1" });
  assert.deepEqual(
    [first.options.method, first.options.mode, first.options.redirect, first.options.cache],
    ["POST", "same-origin", "error", "no-store"],
  );
});

test("an open that fails is not tried again", async () => {
  for (const [status, content] of [
    [403, "{}"],
    [502, ""],
    [200, "<html>"],
    [200, "null"],
    [200, { id: 7 }],
  ]) {
    const browser = new Browser();
    const { seen } = browser.socket();
    await browser.take("open").answer(status, content);
    await browser.elapse(1e9);

    assert.deepEqual([seen, browser.waiting()], [["error", BROKEN], []]);
  }
});

test("a session that nobody wants any more is closed when it opens", async () => {
  const browser = new Browser();
  const { socket, seen } = browser.socket();
  socket.close();
  await browser.take("open").answer(200, { id: "7", v: 1, ack: true });

  assert.deepEqual(seen, ["error", BROKEN]);
  assert.deepEqual([browser.take("close").json, browser.waiting()], [{ id: "7", n: 0 }, []]);
});

test("the server must choose one of the subprotocols", async () => {
  const outcomes = { chat: "open", "": "error", other: "error" };
  for (const [choice, outcome] of Object.entries(outcomes)) {
    const browser = new Browser();
    const { seen } = browser.socket("/echo", ["chat"]);
    await browser.take("open").answer(200, { id: "7", v: 1, s: choice, ack: true });

    assert.equal(seen[0], outcome);
  }
});

// -------------------------------------------------------------------------------------------------------------- Closing

test("close is said after all that was sent, and the poll says how it ended", async () => {
  const browser = new Browser();
  const { socket, seen } = await browser.opened();
  socket.send("a");
  socket.close(3000, "enough");
  await settled();
  assert.deepEqual(browser.waiting(), ["poll", "data"]);
  await browser.take("data").answer(200, "ok");
  const goodbye = browser.take("close");
  await goodbye.answer(200, "ok");
  assert.deepEqual(seen, ["open"]);
  await browser.take("poll").answer(200, ["not delivered"]);
  await browser.take("poll").answer(400, CLOSED);

  assert.deepEqual(goodbye.json, { id: "7", code: 3000, reason: "enough", n: 1 });
  assert.deepEqual(seen, ["open", [4001, "bye", true]]);
});

test("close without a code says none", async () => {
  const browser = new Browser();
  const { socket } = await browser.opened();
  socket.close();
  await settled();

  assert.deepEqual(browser.take("close").json, { id: "7", reason: "", n: 0 });
});

test("a reason without a code goes with 1000", async () => {
  const browser = new Browser();
  const { socket } = await browser.opened();
  socket.close(undefined, "reason");
  await settled();

  assert.deepEqual(browser.take("close").json, { id: "7", code: 1000, reason: "reason", n: 0 });
});

test("a closing handshake that does not end is ended", async () => {
  const browser = new Browser();
  const { socket, seen } = await browser.opened();
  socket.close();
  await settled();
  await browser.take("close").answer(200, "ok");
  await browser.elapse(60000);

  assert.deepEqual(seen, ["open", "error", BROKEN]);
});

// ------------------------------------------------------------------------------------------------- The original's agent

test("the original's agent: no numbers, every 400 is the end", async () => {
  const browser = new Browser();
  const { socket, seen } = await browser.opened({ isOurs: false });
  socket.send("a");
  await settled();
  const data = browser.take("data");
  await data.answer(200, "ok");
  const poll = browser.take("poll");
  await poll.answer(400, 'attempt to read data from a closed session: "7"\n');

  assert.deepEqual(data.json, [{ id: "7", msg: "a" }]);
  assert.equal(data.options.keepalive, false);
  assert.deepEqual(poll.json, { id: "7" });
  assert.deepEqual(seen, ["open", BROKEN]);
  assert.deepEqual(browser.waiting(), []);
});

test("the original's agent: close is over when it is answered, by whatever comes first", async () => {
  for (const [action, status, text] of [
    ["close", 200, "ok"],
    ["poll", 400, "attempt to read data from a closed session"],
  ]) {
    const browser = new Browser();
    const { socket, seen } = await browser.opened({ isOurs: false });
    socket.close(3000, "enough");
    await settled();
    await browser.take(action).answer(status, text);

    assert.deepEqual(seen, ["open", [3000, "enough", true]]);
  }
});

test("the original's agent: data that may have arrived is not sent twice", async () => {
  const browser = new Browser();
  const { socket, seen } = await browser.opened({ isOurs: false });
  socket.send("a");
  await settled();
  await browser.take("data").answer(504);

  assert.deepEqual(seen, ["open", "error", BROKEN]);
});

test("the original's agent: no subprotocol although some were offered", async () => {
  const browser = new Browser();
  const { socket, seen } = browser.socket("/echo", ["chat"]);
  await browser.take("open").answer(200, { id: "1", msg: "ws://x/", v: 1 });

  assert.deepEqual([seen, socket.protocol], [["open"], ""]);
});

test("version 0 carries binary messages as text", async () => {
  const browser = new Browser();
  const { socket, seen } = await browser.opened({ isOurs: false, v: undefined });
  socket.binaryType = "arraybuffer";
  socket.send(new TextEncoder().encode("caf\u00e9"));
  await settled();
  await browser.take("poll").answer(200, [["caf\u00e9"]]);

  assert.deepEqual(browser.take("data").json, [{ id: "7", msg: ["caf\u00e9"] }]);
  assert.deepEqual(seen, ["open", new TextEncoder().encode("caf\u00e9").buffer]);
});

// ------------------------------------------------------------------------------------------------------------- The page

test("the end of the page closes its sockets", async () => {
  const browser = new Browser();
  const { seen } = await browser.opened();
  browser.window.dispatchEvent(new Event("pagehide"));
  const call = browser.take("close");
  await settled();

  assert.deepEqual([call.json, call.options.keepalive], [{ id: "7", code: 1001, n: 0 }, true]);
  assert.deepEqual(seen, ["open"]);
});

/** One message is taken, one is on its way, and the last ones came after that. */
async function sending({ isOurs = true, last = ["c"] } = {}) {
  const browser = new Browser();
  const { socket } = await browser.opened({ isOurs });
  socket.send("a");
  await settled();
  await browser.take("data").answer(200, "ok");
  socket.send("b");
  await settled();
  last.forEach((message) => socket.send(message));
  const onItsWay = browser.take("data");
  assert.equal(onItsWay.json.length, 1);
  return { browser, onItsWay };
}

test("the end of the page sends all that was not taken, and then says how much that is", async () => {
  const { browser } = await sending({ last: ["c", new Uint8Array([1])] });
  browser.window.dispatchEvent(new Event("pagehide"));
  const data = browser.take("data");

  assert.equal(data.options.keepalive, true);
  assert.deepEqual(data.json, [
    { id: "7", msg: "b", n: 1 },
    { id: "7", msg: "c", n: 2 },
    { id: "7", msg: ["AQ=="], n: 3 },
  ]);
  assert.deepEqual(browser.take("close").json, { id: "7", code: 1001, n: 4 });
});

test("what has to be read first, or is too much, does not outlive the page", async () => {
  for (const message of [new Blob(["c"]), "c".repeat(10000)]) {
    const { browser } = await sending({ last: [message, "d"] });
    browser.window.dispatchEvent(new Event("pagehide"));

    assert.deepEqual([browser.take("close").json, browser.waiting()], [{ id: "7", code: 1001, n: 2 }, ["poll"]]);
  }
});

test("the original's agent: at the end of the page nothing is sent twice", async () => {
  const { browser } = await sending({ isOurs: false });
  browser.window.dispatchEvent(new Event("pagehide"));

  assert.deepEqual([browser.take("close").json, browser.waiting()], [{ id: "7", code: 1001 }, ["poll"]]);
});

test("a page that comes back finds its sockets closed", async () => {
  const browser = new Browser();
  const { seen } = await browser.opened();
  browser.window.dispatchEvent(new Event("pagehide"));
  browser.window.dispatchEvent(new Event("pageshow"));
  await settled();

  assert.deepEqual(seen, ["open", "error", BROKEN]);
});

test("sockets that have ended are not closed again at the end of the page", async () => {
  const browser = new Browser();
  await browser.opened();
  await browser.take("poll").answer(400, CLOSED);
  browser.window.dispatchEvent(new Event("pagehide"));

  assert.deepEqual(browser.waiting(), []);
});

test("other hosts have the browser's own sockets, which are instances all the same", () => {
  const browser = new Browser();
  const { WebSocket } = browser.window;
  class Mine extends WebSocket {}
  for (const url of [
    "ws://other.test/",
    "ws://page.test:81/",
    "wss://page.test:8443/",
    "ws://page.test/#fragment",
    "ws:",
  ]) {
    const socket = new Mine(url);
    socket.onopen = assert;
    socket.send("data");

    assert.equal(socket.url, `native ${url}`);
    assert.equal(socket.onopen, assert);
    assert.ok(socket instanceof Mine && socket instanceof WebSocket && socket instanceof EventTarget);
  }
  assert.equal(browser.count, 0);
});

test("the page's own host is taken by either scheme, whatever its case", () => {
  for (const url of ["ws://page.test/", "wss://page.test/", "https://PAGE.test/x", "//page.test/", "?a"]) {
    const browser = new Browser({ href: "https://page.test/" });
    const { socket } = browser.socket(url);

    assert.match(socket.url, /^wss?:\/\/page\.test\//);
    assert.deepEqual(browser.waiting(), ["open"]);
  }
});

test("a second script changes nothing", () => {
  const browser = new Browser();
  const { WebSocket, nativeWebSocket } = browser.window;
  browser.load();

  assert.equal(browser.window.WebSocket, WebSocket);
  assert.notEqual(nativeWebSocket, WebSocket);
});

test("what the page replaces later is not used", async () => {
  const browser = new Browser();
  for (const name of ["fetch", "setTimeout", "CloseEvent", "MessageEvent", "btoa", "URL"]) {
    browser.window[name] = () => assert.fail(`${name} of the page`);
  }
  const { socket, seen } = await browser.opened();
  socket.send(new Uint8Array([1]));
  await settled();
  await browser.take("data").answer(200, "ok");
  await browser.take("poll").answer(400, CLOSED);

  assert.deepEqual(seen, ["open", [4001, "bye", true]]);
});

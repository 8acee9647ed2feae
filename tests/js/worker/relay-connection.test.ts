import assert from "node:assert/strict";
import { mock, test } from "node:test";
import { RelayConnection, type RelayHooks } from "../../../worker/relay-connection.js";

/** The part of WebSocket that the connection uses, at virtual time. */
class Socket extends EventTarget {
  readyState = 0;
  readonly sent: string[] = [];

  open(): void {
    this.readyState = 1;
    this.dispatchEvent(new Event("open"));
  }

  receive(message: object): void {
    this.dispatchEvent(new MessageEvent("message", { data: JSON.stringify(message) }));
  }

  send(data: string): void {
    this.sent.push(data);
  }

  close(): void {
    this.readyState = 3;
  }

  fail(): void {
    this.readyState = 3;
    this.dispatchEvent(new Event("close"));
  }
}

function setUp() {
  mock.timers.enable({ apis: ["setTimeout", "setInterval"] });
  let now = 0;
  const sockets: Socket[] = [];
  const heard: unknown[] = [];
  const hooks: RelayHooks = {
    onOpen: () => heard.push("open"),
    onMessage: (message) => heard.push(message.t),
    onLost: (retryInMs) => heard.push(["lost", retryInMs]),
    onRefused: (code) => heard.push(["refused", code]),
  };
  const connection = new RelayConnection("ws://relay.example", hooks, {
    open: () => {
      const socket = new Socket();
      sockets.push(socket);
      return socket as unknown as WebSocket;
    },
    now: () => now,
    random: () => 1,
  });
  connection.start();
  const pass = (ms: number) => {
    for (let step = 0; step < ms; step += 100) {
      now += 100;
      mock.timers.tick(100);
    }
  };
  const last = () => {
    const socket = sockets.at(-1);
    assert.ok(socket);
    return socket;
  };
  return { connection, sockets, heard, pass, last };
}

test("a line that falls silent is noticed within ten seconds, and made anew", (t) => {
  t.after(() => mock.timers.reset());
  const { sockets, heard, pass, last } = setUp();
  last().open();
  last().receive({ t: "ready" });
  pass(10_000);
  assert.deepEqual(heard, ["open", "ready", ["lost", 250]]);
  pass(300);
  assert.equal(sockets.length, 2);
});

test("pongs keep an idle line alive, and are nobody else's business", (t) => {
  t.after(() => mock.timers.reset());
  const { sockets, heard, pass, last } = setUp();
  last().open();
  for (let second = 0; second < 60; second++) {
    pass(1_000);
    while (last().sent.length > 0) if (last().sent.shift()?.includes("ping")) last().receive({ t: "pong" });
  }
  assert.equal(sockets.length, 1);
  assert.deepEqual(heard, ["open"]);
});

test("tries again for as long as it is wanted, ever more slowly up to a cap", (t) => {
  t.after(() => mock.timers.reset());
  const { sockets, heard, pass, last } = setUp();
  for (let attempt = 0; attempt < 12; attempt++) {
    last().fail();
    pass(8_100);
  }
  assert.equal(sockets.length, 13);
  const waits = heard.map((entry) => (entry as [string, number])[1]);
  assert.deepEqual(waits.slice(0, 6), [250, 500, 1_000, 2_000, 4_000, 8_000]);
  assert.ok(waits.slice(6).every((ms) => ms === 8_000));
});

test("reconnecting gives up the present connection, and what it still says", (t) => {
  t.after(() => mock.timers.reset());
  const { connection, sockets, heard, pass, last } = setUp();
  last().open();
  last().receive({ t: "ready" });
  const given = last();
  connection.reconnect();
  assert.equal(given.readyState, 3);
  given.receive({ t: "app" });
  assert.deepEqual(heard, ["open", "ready", ["lost", 250]]);
  connection.reconnect();
  pass(300);
  assert.equal(sockets.length, 2, "one new connection, however often it is asked for");
});

test("an attempt that hangs is given up", (t) => {
  t.after(() => mock.timers.reset());
  const { heard, pass } = setUp();
  pass(9_500);
  assert.deepEqual(heard, [["lost", 250]]);
});

test("a refusal is final; the core hears it too", (t) => {
  t.after(() => mock.timers.reset());
  for (const code of ["not_admitted", "replaced_by_another", "visit_over"]) {
    const { sockets, heard, pass, last } = setUp();
    last().open();
    last().receive({ t: "error", code, detail: "no" });
    pass(60_000);
    assert.deepEqual(heard, ["open", "error", ["refused", code]]);
    assert.equal(sockets.length, 1);
    mock.timers.reset();
  }
});

test("other errors, and messages that cannot be read, change nothing", (t) => {
  t.after(() => mock.timers.reset());
  const { sockets, heard, pass, last } = setUp();
  last().open();
  last().receive({ t: "error", code: "malformed", detail: "?" });
  last().dispatchEvent(new MessageEvent("message", { data: "{" }));
  last().dispatchEvent(new MessageEvent("message", { data: new ArrayBuffer(3) }));
  pass(1_000);
  assert.deepEqual(heard, ["open", "error"]);
  assert.equal(sockets.length, 1);
});

test("going online again does not wait for the timer", (t) => {
  t.after(() => mock.timers.reset());
  const { connection, sockets, last } = setUp();
  last().fail();
  connection.retryNow();
  assert.equal(sockets.length, 2);
  connection.retryNow();
  assert.equal(sockets.length, 2);
});

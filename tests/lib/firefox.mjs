/**
 * Firefox, driven over WebDriver BiDi: one profile, and one process, for each person.
 *
 *     const patient = await openFirefox({ name: "patient", initScript });
 *     await patient.goto(stack.link("patient", link));
 *     await patient.fill("join-name", "Sam Lindqvist");       // `data-testid`s, in shadow roots too
 *     await patient.click("join-button");                      // with a real pointer
 *     await patient.waitFor('[data-testid="indicator"][data-kind="recording"]');
 *     await patient.evaluate(() => globalThis.sealedVisit.visit.state);   // what it returns, as JSON
 *     await patient.screenshot("patient.png");
 *     patient.problems;        // uncaught errors and errors on the console
 *     await patient.close();   // and removes the profile
 *
 * Its microphone is Firefox's own: a tone of FIREFOX_TONE_HZ. `initScript` runs before the page's own scripts.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { WebSocket } from "ws";
import { ProcessGroup } from "../../scripts/lib/processes.mjs";
import { ensure } from "../../scripts/setup.mjs";

export const FIREFOX_TONE_HZ = 1_000;

const PATIENCE_MS = 45_000;
const LOOK_EVERY_MS = 50;
const VIEWPORT = { width: 1280, height: 800 };
const prefs = {
  "app.normandy.enabled": false,
  "app.update.disabledForTesting": true,
  "browser.aboutwelcome.enabled": false,
  "browser.shell.checkDefaultBrowser": false,
  "datareporting.policy.dataSubmissionEnabled": false,
  "media.autoplay.default": 0,
  "media.navigator.permission.disabled": true,
  "media.navigator.streams.fake": true,
  "media.peerconnection.ice.obfuscate_host_addresses": false,
  "network.captive-portal-service.enabled": false,
  "network.connectivity-service.enabled": false,
  "toolkit.telemetry.enabled": false,
};

/** @param {{ name?: string, initScript?: string }} [options] */
export async function openFirefox({ name = "firefox", initScript } = {}) {
  const { firefox } = await ensure("firefox");
  const profile = mkdtempSync(path.join(tmpdir(), `sealed-visit-${name}-`));
  const lines = Object.entries(prefs).map(([key, value]) => `user_pref(${JSON.stringify(key)}, ${value});`);
  writeFileSync(path.join(profile, "user.js"), `${lines.join("\n")}\n`);
  const processes = new ProcessGroup();
  const close = async () => {
    await processes.stop();
    rmSync(profile, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  };
  try {
    const started = await processes.start({
      name: `firefox of ${name}`,
      command: firefox.path,
      args: ["--headless", "--no-remote", "--profile", profile, "--remote-debugging-port", "0", "about:blank"],
      listening: /WebDriver BiDi listening on (ws:\S+)/,
      timeoutMs: 60_000,
    });
    const connection = await Connection.open(`${started.match[1]}/session`);
    await connection.send("session.new", { capabilities: {} });
    const page = new FirefoxPage(connection, await firstContext(connection));
    await page.prepare(initScript);
    page.close = async () => {
      connection.close();
      await close();
    };
    return page;
  } catch (error) {
    await close();
    throw error;
  }
}

async function firstContext(connection) {
  const { contexts } = await connection.send("browsingContext.getTree", {});
  return contexts[0].context;
}

/** Commands and their answers, events, over one socket. */
class Connection {
  #socket;
  #last = 0;
  #waiting = new Map();
  /** @type {Map<string, (params: object) => void>} */
  listeners = new Map();

  static async open(url) {
    const connection = new Connection();
    connection.#socket = new WebSocket(url);
    connection.#socket.on("message", (data) => connection.#receive(JSON.parse(data)));
    connection.#socket.on("close", () => connection.#fail(new Error("Firefox closed the connection")));
    await new Promise((resolve, reject) => connection.#socket.on("open", resolve).on("error", reject));
    return connection;
  }

  send(method, params) {
    const id = ++this.#last;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject, method });
      this.#socket.send(JSON.stringify({ id, method, params }), (error) => {
        if (error) reject(error);
      });
    });
  }

  close() {
    this.#socket.close();
  }

  #receive(message) {
    if (message.type === "event") return this.listeners.get(message.method)?.(message.params);
    if (message.id === null) return this.#fail(new Error(`Firefox: ${message.error}: ${message.message}`));
    const { resolve, reject, method } = this.#waiting.get(message.id);
    this.#waiting.delete(message.id);
    if (message.type === "success") resolve(message.result);
    else reject(new Error(`${method}: ${message.error}: ${message.message}`));
  }

  #fail(error) {
    for (const { reject } of this.#waiting.values()) reject(error);
    this.#waiting.clear();
  }
}

class FirefoxPage {
  problems = [];
  /** @type {() => Promise<void>} */
  close;
  #connection;
  #context;

  constructor(connection, context) {
    this.#connection = connection;
    this.#context = context;
  }

  async prepare(initScript) {
    this.#connection.listeners.set("log.entryAdded", ({ level, text, type }) => {
      if (level === "error") this.problems.push({ kind: type, text });
    });
    await this.#connection.send("session.subscribe", { events: ["log.entryAdded"] });
    await this.resize(VIEWPORT);
    if (initScript !== undefined) {
      await this.#connection.send("script.addPreloadScript", { functionDeclaration: `() => {${initScript}\n}` });
    }
  }

  async resize(viewport) {
    await this.#connection.send("browsingContext.setViewport", { context: this.#context, viewport });
  }

  async goto(url) {
    // A page that differs by its fragment only would not be loaded anew.
    for (const next of ["about:blank", url])
      await this.#connection.send("browsingContext.navigate", { context: this.#context, url: next, wait: "complete" });
  }

  async evaluate(act, argument) {
    const { value } = await this.#call(`async (given) => JSON.stringify(await (${act})(JSON.parse(given))) ?? "null"`, [
      string(JSON.stringify(argument ?? null)),
    ]);
    return JSON.parse(value);
  }

  /** Resolves when `holds` does, in the page. */
  async until(holds, argument) {
    await this.#patiently(`${holds} ${JSON.stringify(argument ?? null)}`, () => this.evaluate(holds, argument));
  }

  /** Resolves when what the selector matches can be seen; with `gone`, when it cannot. */
  async waitFor(selector, { gone = false } = {}) {
    await this.#patiently(gone ? `to go: ${selector}` : selector, async () => {
      const isThere = (await this.#find(selector)) !== null;
      return isThere !== gone;
    });
  }

  async text(testid) {
    return (await this.#call(`(selector) => (${findVisible})(selector)?.textContent ?? ""`, [string(byTestid(testid))]))
      .value;
  }

  /** With a pointer, once it can be pressed. */
  async click(testid) {
    const element = await this.#usable(testid);
    const pointer = [
      { type: "pointerMove", x: 0, y: 0, origin: { type: "element", element } },
      { type: "pointerDown", button: 0 },
      { type: "pointerUp", button: 0 },
    ];
    await this.#perform({ type: "pointer", id: "mouse", actions: pointer });
  }

  /** Replaces what a field holds, with keys. */
  async fill(testid, text) {
    const element = await this.#usable(testid);
    await this.#call("(element) => { element.focus(); element.select(); }", [element]);
    const keys = [...text].flatMap((value) => [
      { type: "keyDown", value },
      { type: "keyUp", value },
    ]);
    await this.#perform({ type: "key", id: "keyboard", actions: keys });
  }

  async screenshot(file) {
    const { data } = await this.#connection.send("browsingContext.captureScreenshot", { context: this.#context });
    writeFileSync(file, Buffer.from(data, "base64"));
  }

  /** In the middle of the window, not disabled. */
  async #usable(testid) {
    let element = null;
    await this.#patiently(testid, async () => {
      element = await this.#find(byTestid(testid));
      return element && (await this.#call("(element) => !element.disabled", [element])).value;
    });
    await this.#call('(element) => element.scrollIntoView({ block: "center", behavior: "instant" })', [element]);
    return element;
  }

  /** A handle on the first element that can be seen, or null. */
  async #find(selector) {
    const { sharedId } = await this.#call(findVisible, [string(selector)]);
    return sharedId === undefined ? null : { sharedId };
  }

  async #patiently(what, look) {
    const giveUpAt = Date.now() + PATIENCE_MS;
    while (!(await look())) {
      if (Date.now() > giveUpAt) throw new Error(`Firefox: did not come: ${what}`);
      await sleep(LOOK_EVERY_MS);
    }
  }

  async #call(functionDeclaration, args) {
    const { result, exceptionDetails } = await this.#connection.send("script.callFunction", {
      functionDeclaration: String(functionDeclaration),
      arguments: args,
      awaitPromise: true,
      target: { context: this.#context },
      userActivation: true,
    });
    if (exceptionDetails) throw new Error(`in Firefox: ${exceptionDetails.text}`);
    return result;
  }

  async #perform(source) {
    await this.#connection.send("input.performActions", { context: this.#context, actions: [source] });
  }
}

const string = (value) => ({ type: "string", value });
const byTestid = (testid) => `[data-testid="${testid}"]`;

/** Runs in the page: looks into shadow roots too. */
function findVisible(selector) {
  const all = (root) => [
    ...root.querySelectorAll(selector),
    ...[...root.querySelectorAll("*")].flatMap(({ shadowRoot }) => (shadowRoot ? all(shadowRoot) : [])),
  ];
  return all(document).find((element) => element.checkVisibility()) ?? null;
}

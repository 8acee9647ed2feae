/**
 * Chromium, driven through playwright-core: one profile, and one process, for each person.
 *
 *     const clinician = await openBrowser({ name: "clinician" });
 *     await installSyntheticMedia(clinician.context, { participant: 0 });   // tests/lib/synthetic-media.mjs
 *     const page = await clinician.newPage();
 *     await page.goto(site.url("/clinician.html#.."));
 *     clinician.problems;         // uncaught errors, console errors, CSP violations: [{ kind, page, text }]
 *     await clinician.processes();   // [{ type: "browser" | "renderer" | .., id }]: for crash tests
 *     await clinician.close();    // and removes the profile, unless `profileDirectory` was given
 *
 * Options: `headless` (true), `profileDirectory`, `args`, `fakeDevices` (true: Chromium's own green
 * camera where synthetic media is not installed), and everything that playwright's
 * launchPersistentContext takes in `context` (viewport, locale, colorScheme, ...).
 *
 * `hideable: true` gives tabs as people have them: a page is hidden when another one is brought to
 * the front (`await other.bringToFront()`), and a hidden page is throttled. Otherwise playwright
 * makes every page believe that it is visible. In this mode `context` options do not apply: use
 * `page.setViewportSize` and `page.emulateMedia`. And it can be left to itself:
 *
 *     await recorder.unwatched(async () => { ... });   // afterwards its pages are in `recorder.context`, as new objects
 *
 * A browser that is watched keeps the bodies of what its pages send, up to 100 MB a page or worker.
 */
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { ensure } from "../setup.mjs";
import { toolsDir } from "./paths.mjs";
import { ProcessGroup } from "./processes.mjs";
import { which } from "./run.mjs";

const baseArguments = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--use-fake-ui-for-media-stream",
  // Loopback candidates, by address: there is no mDNS between processes on a test machine.
  "--allow-loopback-in-peer-connection",
  "--disable-features=WebRtcHideLocalIpsWithMdns",
  "--autoplay-policy=no-user-gesture-required",
];

/**
 * @typedef {object} BrowserOptions
 * @property {string} [name]
 * @property {boolean} [headless]
 * @property {string} [profileDirectory]
 * @property {string[]} [args]
 * @property {boolean} [hideable]
 * @property {boolean} [fakeDevices]
 * @property {import("playwright-core").BrowserContextOptions} [context]
 */

/** @param {BrowserOptions} [options] */
export async function openBrowser({
  name = "browser",
  headless = true,
  profileDirectory,
  args = [],
  hideable = false,
  fakeDevices = true,
  context: contextOptions = {},
} = {}) {
  const { browser } = await ensure("node", "browser");
  const profile = profileDirectory ?? mkdtempSync(path.join(tmpdir(), `sealed-visit-${name}-`));
  const launch = hideable ? launchHideable : launchWithPlaywright;
  const program = ordinaryPriority(browser.path);
  const { current, processes, closeBrowser, unwatched } = await launch({
    name,
    path: program,
    profile,
    headless,
    args: [...baseArguments, ...(fakeDevices ? ["--use-fake-device-for-media-stream"] : []), ...args],
    contextOptions,
  });
  const problems = [];
  const watch = () => {
    current().on("page", (page) => watchPage(page, problems));
    for (const page of current().pages()) watchPage(page, problems);
  };
  watch();
  return {
    name,
    get context() {
      return current();
    },
    problems,
    profile,
    newPage: async () => {
      // A persistent context comes with one blank page: use it first.
      const blank = current()
        .pages()
        .find((page) => page.url() === "about:blank");
      return blank ?? (await current().newPage());
    },
    async unwatched(during) {
      await unwatched(during);
      watch();
    },
    processes,
    async close() {
      await closeBrowser();
      if (!profileDirectory) rmSync(profile, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
    },
  };
}

/**
 * Started by root, Chromium raises the priority of most of its threads, but not of those that encode a recording: on a busy
 * machine these starve. On a person's computer it may not, so here it may not either.
 */
function ordinaryPriority(browserPath) {
  if (process.platform !== "linux" || process.getuid?.() !== 0) return browserPath;
  const setpriv = which("setpriv");
  if (!setpriv) return browserPath;
  const script = `#!/bin/sh\nexec "${setpriv}" --inh-caps=-sys_nice --bounding-set=-sys_nice "${browserPath}" "$@"\n`;
  const wrapper = path.join(toolsDir, "chromium-at-ordinary-priority");
  if (!existsSync(wrapper) || readFileSync(wrapper, "utf8") !== script) {
    mkdirSync(toolsDir, { recursive: true });
    writeFileSync(`${wrapper}.${process.pid}`, script, { mode: 0o755 });
    renameSync(`${wrapper}.${process.pid}`, wrapper);
  }
  return wrapper;
}

async function launchWithPlaywright({ path: executablePath, profile, headless, args, contextOptions }) {
  const { chromium } = await import("playwright-core");
  const context = await chromium.launchPersistentContext(profile, {
    executablePath,
    headless,
    viewport: { width: 1280, height: 800 },
    ...contextOptions,
    args,
  });
  return {
    current: () => context,
    async processes() {
      const session = await context.browser().newBrowserCDPSession();
      const { processInfo } = await session.send("SystemInfo.getProcessInfo");
      await session.detach();
      return processInfo;
    },
    closeBrowser: () => context.close().catch(() => {}),
  };
}

/** A browser started by us has none of playwright's switches, and is told nothing about focus. */
async function launchHideable({ name, path: command, profile, headless, args }) {
  const { chromium } = await import("playwright-core");
  const processes = new ProcessGroup();
  const started = await processes.start({
    name: `chromium of ${name}`,
    command,
    args: [
      ...args,
      ...(headless ? ["--headless=new"] : []),
      ...["--remote-debugging-port=0", `--user-data-dir=${profile}`, "--window-size=1280,800", "about:blank"],
    ],
    listening: /DevTools listening on (\S+)/,
  });
  const address = started.match[1];
  const connect = () => chromium.connectOverCDP(address, { noDefaults: true });
  let browser = await connect();
  return {
    current: () => browser.contexts()[0],
    processes: async () => (await askOnce(address, "SystemInfo.getProcessInfo")).processInfo,
    async unwatched(during) {
      // Closes the connection, not the browser.
      await browser.close();
      try {
        await during();
      } finally {
        browser = await connect();
      }
    },
    async closeBrowser() {
      await browser.close().catch(() => {});
      await processes.stop();
    },
  };
}

/** One question to the browser as a whole, on a connection of its own: its pages do not notice. */
async function askOnce(address, method) {
  const { WebSocket } = await import("ws");
  const socket = new WebSocket(address);
  try {
    await once(socket, "open");
    socket.send(JSON.stringify({ id: 1, method }));
    const [answer] = await once(socket, "message");
    return JSON.parse(answer).result;
  } finally {
    socket.close();
  }
}

/** Collects what went wrong in a page and its workers. */
function watchPage(page, problems) {
  const add = (kind, text) => problems.push({ kind, page: new URL(page.url(), "about:blank").pathname, text });
  page.on("pageerror", (error) => add("uncaught", error.stack ?? String(error)));
  page.on("crash", () => add("crash", "the page crashed"));
  page.on("console", (message) => {
    if (message.type() !== "error") return;
    const isCsp = /Content.Security.Policy/i.test(message.text());
    add(isCsp ? "csp" : "console", message.text());
  });
}

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
 * `page.setViewportSize` and `page.emulateMedia`.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { ensure } from "../setup.mjs";
import { ProcessGroup } from "./processes.mjs";

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
  const { context, closeBrowser } = await launch({
    name,
    path: browser.path,
    profile,
    headless,
    args: [...baseArguments, ...(fakeDevices ? ["--use-fake-device-for-media-stream"] : []), ...args],
    contextOptions,
  });
  const problems = [];
  context.on("page", (page) => watchPage(page, problems));
  for (const page of context.pages()) watchPage(page, problems);
  return {
    name,
    context,
    problems,
    profile,
    newPage: async () => {
      // A persistent context comes with one blank page: use it first.
      const blank = context.pages().find((page) => page.url() === "about:blank");
      return blank ?? (await context.newPage());
    },
    async processes() {
      const session = await context.browser().newBrowserCDPSession();
      const { processInfo } = await session.send("SystemInfo.getProcessInfo");
      await session.detach();
      return processInfo;
    },
    async close() {
      await closeBrowser();
      if (!profileDirectory) rmSync(profile, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
    },
  };
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
  return { context, closeBrowser: () => context.close().catch(() => {}) };
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
  const browser = await chromium.connectOverCDP(started.match[1], { noDefaults: true });
  const closeBrowser = async () => {
    await browser.close().catch(() => {});
    await processes.stop();
  };
  return { context: browser.contexts()[0], closeBrowser };
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

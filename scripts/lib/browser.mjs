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
 * Options: `headless` (true), `profileDirectory`, `args`, `backgroundThrottling` (false; true keeps
 * Chromium's throttling of hidden tabs, which automation otherwise switches off), `fakeDevices`
 * (true: Chromium's own green camera where synthetic media is not installed), and everything that
 * playwright's launchPersistentContext takes in `context` (viewport, locale, colorScheme, ...).
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { ensure } from "../setup.mjs";

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

/** Playwright's defaults that would hide what a hidden tab suffers. */
const antiThrottlingArguments = [
  "--disable-background-timer-throttling",
  "--disable-backgrounding-occluded-windows",
  "--disable-renderer-backgrounding",
];

export async function openBrowser({
  name = "browser",
  headless = true,
  profileDirectory,
  args = [],
  backgroundThrottling = false,
  fakeDevices = true,
  context: contextOptions = {},
} = {}) {
  const { browser } = await ensure("node", "browser");
  const { chromium } = await import("playwright-core");
  const profile = profileDirectory ?? mkdtempSync(path.join(tmpdir(), `sealed-visit-${name}-`));
  const context = await chromium.launchPersistentContext(profile, {
    executablePath: browser.path,
    headless,
    viewport: { width: 1280, height: 800 },
    ignoreDefaultArgs: backgroundThrottling ? antiThrottlingArguments : [],
    ...contextOptions,
    args: [...baseArguments, ...(fakeDevices ? ["--use-fake-device-for-media-stream"] : []), ...args],
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
      await context.close().catch(() => {});
      if (!profileDirectory) rmSync(profile, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
    },
  };
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

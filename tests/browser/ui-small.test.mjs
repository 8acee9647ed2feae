/**
 * Small and zoomed screens (WCAG 2.2, 1.4.10 Reflow and 2.4.11 Focus Not Obscured): everything can be reached by
 * scrolling in one direction, only the indicator stays, and nobody agrees to a text that was not on the screen.
 *
 * Screenshots go to `test-out/ui-small/`.
 */
import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { after, before, test } from "node:test";
import { chromium } from "playwright-core";
import { readTexts } from "../../scripts/lib/demo-visit.mjs";
import { inRoot } from "../../scripts/lib/paths.mjs";
import { servePages } from "./ui/pages.mjs";

const shots = inRoot("test-out", "ui-small");
/** 1280x800 at 200 %, 1366x768 at 200 %, a small phone, 1280x1024 at 400 %. */
const sizes = [
  { width: 640, height: 400 },
  { width: 683, height: 384 },
  { width: 320, height: 568 },
  { width: 320, height: 256 },
];
const states = [
  ...["alone", "live", "live-host", "waiting-people", "asked-patient", "asked-host", "asked-part2", "text-missing"],
  ...["answers-host", "all-agreed-host", "recording", "recording-host", "recorder-silent", "paused-by-me"],
  ...["asked-interpreter", "live-host+request", "recording+wish", "recording+phone-call"],
];
const pages = ["start.html", "lost.html", "record.html", "withdraw.html", "recorder.html", "playback.html"];

let server;
let browser;

before(async () => {
  mkdirSync(shots, { recursive: true });
  server = await servePages();
  browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: ["--no-sandbox", "--disable-gpu"] });
});
after(async () => {
  await browser?.close();
  server?.close();
});

for (const size of sizes) {
  const named = `${size.width}x${size.height}`;

  test(`at ${named} everything can be scrolled to, and only the indicator stays`, { timeout: 240_000 }, async () => {
    for (const language of ["en", "es"]) {
      await inPage(size, language, async (page) => {
        for (const state of states) {
          await show(page, state, language);
          await page.screenshot({ path: `${shots}/${state}.${named}.${language}.png` });
          const found = await page.evaluate(inspectPage);
          assert.deepEqual(found, [], `${state}, ${language}`);
        }
      });
    }
  });

  test(`at ${named} no page scrolls sideways`, { timeout: 120_000 }, async () => {
    for (const language of ["en", "es"]) {
      await inPage(size, language, async (page) => {
        for (const name of pages) {
          await page.goto(`${server.url}/${name}?lang=${language}`);
          await page.locator("h1").first().waitFor();
          const wider = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
          assert.ok(wider <= 0, `${name}, ${language}: ${wider} pixels`);
        }
      });
    }
  });

  test(`at ${named} nobody agrees blindly: clicks sign nothing before the text was on the screen`, async () => {
    await inPage(size, "en", async (page) => {
      await show(page, "asked-patient", "en");
      const click = async (...testids) => {
        for (const testid of testids) await page.getByTestId(testid).evaluate((element) => element.click());
      };
      await click("consent-information-agree", "consent-recording-agree", "consent-people-none", "consent-submit");
      assert.deepEqual(await commands(page), []);
      const submit = page.getByTestId("consent-submit");
      assert.equal(await submit.getAttribute("aria-disabled"), "true");
      const why = await submit.evaluate(
        (button) => button.getRootNode().getElementById(button.getAttribute("aria-describedby")).textContent,
      );
      assert.match(why, /whole text has been shown/);
      assert.match(await page.getByTestId("consent-error").textContent(), /whole text has been shown/);

      // The end alone is not the whole text.
      const paragraphs = page.locator('[data-testid$="-text"] :is(p, li)');
      await paragraphs.last().evaluate((last) => last.scrollIntoView());
      await settled(page);
      await click("consent-submit");
      assert.deepEqual(await commands(page), []);

      await readTexts(page);
      assert.equal(await submit.getAttribute("aria-disabled"), "false");
      await submit.click();
      assert.deepEqual(
        (await commands(page)).map(({ name }) => name),
        ["grant"],
      );
    });
  });

  test(`at ${named} scrolling through the text is enough`, async () => {
    await inPage(size, "en", async (page) => {
      await show(page, "asked-patient", "en");
      const unread = page.getByTestId("consent-show-unread");
      for (let step = 0; step < 200 && (await unread.isVisible()); step++) {
        await page.mouse.move(size.width / 2, size.height - 20);
        await page.mouse.wheel(0, 60);
        await settled(page);
      }
      assert.ok(await unread.isHidden());
      assert.match(await page.getByTestId("consent-unread").textContent(), /whole text has been shown/);
    });
  });

  test(`at ${named} refusing never waits for reading`, async () => {
    await inPage(size, "en", async (page) => {
      await show(page, "asked-patient", "en");
      await page.getByTestId("consent-recording-refuse").check();
      await page.getByTestId("consent-submit").click();
      assert.equal((await commands(page))[0].name, "refuse");
    });
  });
}

test("what comes into view shows from which part the text was not seen, with the focus on it", async () => {
  await inPage(sizes[0], "en", async (page) => {
    await show(page, "asked-patient", "en");
    await page.getByTestId("consent-show-unread").focus();
    await page.keyboard.press("Enter");
    const focused = await page.evaluate(() => {
      let active = document.activeElement;
      while (active?.shadowRoot?.activeElement) active = active.shadowRoot.activeElement;
      const { top, bottom } = active.getBoundingClientRect();
      return { isText: active.closest(".text") !== null, inView: bottom > 0 && top < window.innerHeight };
    });
    assert.deepEqual(focused, { isText: true, inView: true });
  });
});

test("a portrait picture is shown whole, in every layout", { timeout: 120_000 }, async () => {
  for (const size of [{ width: 1280, height: 800 }, { width: 360, height: 740 }, ...sizes]) {
    await inPage(size, "en", async (page) => {
      await show(page, "live", "en");
      for (const layout of ["grid", "speaker"]) {
        const cut = await page.evaluate(async (wanted) => {
          const canvas = Object.assign(document.createElement("canvas"), { width: 90, height: 160 });
          const paint = () => canvas.getContext("2d").fillRect(0, 0, 90, 160);
          // A canvas that stands still delivers nothing.
          const painting = setInterval(paint, 50);
          paint();
          /** @type {HTMLElement} */ (document.querySelector("[data-layout]")).dataset.layout = wanted;
          const found = [];
          for (const video of /** @type {NodeListOf<HTMLVideoElement>} */ (document.querySelectorAll(".tile video"))) {
            const stream = canvas.captureStream();
            const sized = new Promise((resolve) => video.addEventListener("resize", resolve, { once: true }));
            video.srcObject = stream;
            while (video.videoHeight !== 160)
              await Promise.race([sized, new Promise((resolve) => setTimeout(resolve, 50))]);
            const box = video.getBoundingClientRect();
            // As the browser draws it: `contain` fits the larger ratio, `cover` the smaller.
            const ratios = [box.width / video.videoWidth, box.height / video.videoHeight];
            const fit = getComputedStyle(video).objectFit;
            const scale = fit === "contain" ? Math.min(...ratios) : Math.max(...ratios);
            if (video.videoHeight * scale > box.height + 1 || box.height < 20) found.push([fit, box.height]);
          }
          clearInterval(painting);
          return found;
        }, layout);
        assert.deepEqual(cut, [], `${size.width}x${size.height} ${layout}`);
      }
    });
  }
});

/** In the page: what cannot be reached, what stays and is too high, what makes the page scroll sideways. */
function inspectPage() {
  const all = (root) =>
    [...root.querySelectorAll("*")].flatMap((element) => [
      element,
      ...(element.shadowRoot ? all(element.shadowRoot) : []),
    ]);
  const elements = all(document);
  const found = [];
  const wider = document.documentElement.scrollWidth - window.innerWidth;
  if (wider > 0) found.push(`${wider} pixels wider than the window`);
  const isShown = (element) => element.checkVisibility({ visibilityProperty: true });
  const isDialogOpen = document.querySelector("dialog[open]") !== null;
  const stays = elements.filter(
    (element) => isShown(element) && ["sticky", "fixed"].includes(getComputedStyle(element).position),
  );
  for (const element of stays) {
    const { height } = element.getBoundingClientRect();
    if (element.tagName !== "DIALOG" && height > window.innerHeight / 4)
      found.push(`${element.tagName}.${element.className} stays, ${height} pixels high`);
  }
  const indicator = document.querySelector("recording-indicator");
  const { scrollingElement } = document;
  for (const top of [0, scrollingElement.scrollHeight / 2, scrollingElement.scrollHeight]) {
    scrollingElement.scrollTop = top;
    const box = indicator.getBoundingClientRect();
    const banner = indicator.shadowRoot.querySelector(".banner");
    if (box.top < 0 || box.bottom > window.innerHeight / 4 + 1) found.push(`the indicator is at ${box.top} of ${top}`);
    if (banner.scrollHeight > banner.clientHeight + 1) found.push("the indicator's words do not fit");
    const middle = document.elementFromPoint((box.left + box.right) / 2, (box.top + box.bottom) / 2);
    if (middle !== indicator && !isDialogOpen) found.push(`${middle?.tagName} covers the indicator`);
  }
  const controls = elements.filter((element) => element.matches("button, input, select, textarea, a[href]"));
  const scope = document.querySelector("dialog[open]");
  for (const control of controls.filter(isShown)) {
    if (scope && !scope.contains(control)) continue;
    control.scrollIntoView({ block: "center" });
    const box = control.getBoundingClientRect();
    const name = control.dataset.testid ?? control.textContent;
    if (box.left < -1 || box.right > window.innerWidth + 1) found.push(`${name} is cut off at the side`);
    const [x, y] = [(box.left + box.right) / 2, (box.top + box.bottom) / 2];
    let hit = document.elementFromPoint(x, y);
    while (hit?.shadowRoot?.elementFromPoint(x, y)) {
      const inner = hit.shadowRoot.elementFromPoint(x, y);
      if (inner === hit) break;
      hit = inner;
    }
    const isHit = hit && (control.contains(hit) || hit.contains(control) || control.labels?.[0]?.contains(hit));
    if (!isHit || hit === document.body || hit === document.documentElement)
      found.push(`${name} cannot be pressed: ${hit?.tagName}.${hit?.className} is there`);
  }
  scrollingElement.scrollTop = 0;
  return found;
}

async function inPage(viewport, language, use) {
  const context = await browser.newContext({
    viewport,
    locale: language === "es" ? "es-US" : "en-US",
    colorScheme: language === "es" ? "dark" : "light",
    reducedMotion: "reduce",
  });
  try {
    await use(await context.newPage());
  } finally {
    await context.close();
  }
}

async function show(page, state, language) {
  await page.goto("about:blank");
  await page.goto(`${server.url}/dev/states.html?lang=${language}#${state}`);
  await page.getByTestId("indicator").waitFor();
  if (state.startsWith("asked")) await page.getByTestId("consent-submit").waitFor();
}

const commands = async (page) => JSON.parse(await page.evaluate(() => JSON.stringify(window.visit.commands)));

/** Observers report after a frame. */
const settled = (page) =>
  page.evaluate(
    () => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(resolve)))),
  );

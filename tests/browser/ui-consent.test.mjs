/**
 * What people do with the pages, by keyboard wherever that is the point: answering, refusing, asking,
 * stopping. The page is shown a visit that stands still and writes down what it was asked to do.
 */
import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";
import { chromium } from "playwright-core";
import { readTexts } from "../../scripts/lib/demo-visit.mjs";
import { servePages } from "./ui/pages.mjs";

let server;
let browser;
let page;

before(async () => {
  server = await servePages();
  browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: ["--no-sandbox", "--disable-gpu"] });
});
after(async () => {
  await browser?.close();
  server?.close();
});
beforeEach(async () => {
  await page?.context().close();
  const context = await browser.newContext({ viewport: { width: 1000, height: 900 }, locale: "en-US" });
  page = await context.newPage();
});

test("the prompt takes the focus, preselects nothing, and sends nothing until everything is decided", async () => {
  await show("asked-patient");
  assert.equal(await page.evaluate(() => window.deepActive()?.textContent), "May we record this visit?");
  const preselected = page.locator('visit-consent input[type=radio]:checked:not([data-testid^="consent-behalf"])');
  assert.equal(await preselected.count(), 0);
  await testid("consent-submit").click();
  assert.match(await testid("consent-error").textContent(), /I agree/);
  await testid("consent-information-agree").check();
  await testid("consent-submit").click();
  await testid("consent-recording-agree").check();
  await testid("consent-submit").click();
  // Who else is in the room is still open.
  assert.match(await testid("consent-error").textContent(), /room/);
  assert.deepEqual(await commands(), []);
});

test("agreeing by keyboard alone sends one grant with both layers, the language and the place", async () => {
  await show("asked-patient");
  for (const choice of ["consent-information-agree", "consent-recording-agree", "consent-people-none"]) {
    await tabTo(choice);
    await page.keyboard.press("Space");
  }
  await tabTo("consent-country");
  await page.keyboard.type("United");
  await tabTo("consent-state");
  await page.keyboard.type("Calif");
  // What a screen of this size did not show comes with this button, which leads to the text itself.
  const next = testid("consent-show-unread");
  for (let presses = 0; presses < 300; presses++) {
    // What scrolling shows is counted after a frame.
    await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))));
    if (await next.isHidden()) break;
    const isFocused = await page.evaluate(() => window.deepActive()?.dataset?.testid === "consent-show-unread");
    await page.keyboard.press(isFocused ? "Enter" : "Tab");
  }
  await tabTo("consent-submit");
  await page.keyboard.press("Enter");
  assert.deepEqual(await commands(), [
    {
      name: "grant",
      args: [
        {
          answers: [{ person: "self", on_behalf_of: { kind: "myself" }, information: true, recording: true }],
          language: "en",
          place: "US-CA",
          spoken: "",
          interpreted_for: [],
        },
      ],
    },
  ]);
});

test("one refusal is enough, and by keyboard no further away than agreeing", async () => {
  await show("asked-patient");
  await tabTo("consent-information-agree");
  await page.keyboard.press("ArrowRight");
  await tabTo("consent-submit");
  assert.match(await testid("consent-submit").textContent(), /do not record me/);
  await page.keyboard.press("Enter");
  const [command] = await commands();
  assert.equal(command.name, "refuse");
  assert.deepEqual(command.args[0].answers, [
    { person: "self", on_behalf_of: { kind: "myself" }, information: false, recording: false },
  ]);
});

test("refusing is as large as agreeing, in both layers, wide and narrow, in both languages", async () => {
  for (const width of [1280, 360]) {
    for (const language of ["en", "es"]) {
      await page.setViewportSize({ width, height: 800 });
      await show("asked-patient", language);
      for (const layer of ["information", "recording"]) {
        const agree = await testid(`consent-${layer}-agree`).boundingBox();
        const refuse = await testid(`consent-${layer}-refuse`).boundingBox();
        assert.equal(Math.round(agree.width), Math.round(refuse.width));
        assert.equal(Math.round(agree.height), Math.round(refuse.height));
        assert.ok(agree.height >= 44);
      }
    }
  }
});

test("each adult in the room decides: one who is undecided blocks, one who refuses means a refusal", async () => {
  await show("asked-patient");
  await agreeForSelf();
  await testid("consent-people-more").check();
  await testid("consent-submit").click();
  assert.deepEqual(await commands(), []);
  await testid("consent-person-2-information-agree").check();
  await testid("consent-person-2-recording-refuse").check();
  await testid("consent-submit").click();
  const [command] = await commands();
  assert.equal(command.name, "refuse");
  assert.deepEqual(
    command.args[0].answers.map(({ person, recording }) => [person, recording]),
    [
      ["self", true],
      ["person-2", false],
    ],
  );
});

test("taking a person off forgets what was decided for that person", async () => {
  await show("asked-patient");
  await agreeForSelf();
  await testid("consent-people-more").check();
  await testid("consent-person-2-recording-refuse").check();
  await testid("consent-people-none").check();
  await testid("consent-submit").click();
  const [command] = await commands();
  assert.equal(command.name, "grant");
  assert.equal(command.args[0].answers.length, 1);
});

test("a representative signs with capacity and basis, or not at all", async () => {
  await show("asked-patient");
  await agreeForSelf();
  await testid("consent-people-none").check();
  await testid("consent-behalf-other").check();
  await testid("consent-submit").click();
  assert.match(await testid("consent-error").textContent(), /act for/);
  await testid("consent-capacity").selectOption("parent");
  await testid("consent-basis").selectOption("parent_of_minor");
  await testid("consent-submit").click();
  const [command] = await commands();
  assert.deepEqual(command.args[0].answers[0].on_behalf_of, {
    kind: "represented",
    capacity: "parent",
    basis: "parent_of_minor",
  });
});

test("a text that did not arrive unchanged cannot be agreed to, but refused", async () => {
  await show("text-missing");
  assert.ok(await testid("consent-information-agree").isDisabled());
  assert.ok(await testid("consent-recording-agree").isDisabled());
  await testid("consent-recording-refuse").check();
  await testid("consent-submit").click();
  assert.equal((await commands())[0].name, "refuse");
});

test("another language shows that language's text, takes decisions back, and is named in the answer", async () => {
  await show("asked-patient");
  await agreeForSelf();
  await testid("consent-language-es").click();
  assert.match(await testid("consent-recording-text").textContent(), /Dejar de grabarme/);
  assert.equal(await page.locator('visit-consent input[data-testid$="-agree"]:checked').count(), 0);
  await agreeForSelf();
  await testid("consent-people-none").check();
  await testid("consent-submit").click();
  assert.equal((await commands())[0].args[0].language, "es");
});

test("other people's answers do not disturb whoever is still reading", async () => {
  await show("asked-patient");
  await testid("consent-information-agree").check();
  await page.evaluate(() => {
    const { state } = window.visit;
    window.visit.show({ ...state, consent: { ...state.consent, answered: 2 } });
  });
  assert.ok(await testid("consent-information-agree").isChecked());
});

test("after a refusal nobody but the host reads who it was", async () => {
  await show("refused");
  assert.match(await testid("consent-status").textContent(), /Not everyone agreed/);
  assert.equal(await testid("consent-answers").count(), 0);
  await show("refused-host");
  assert.match(await testid("consent-answers").textContent(), /Carla Okafor: did not agree/);
});

test("a host whose browser cannot record gets a link, and asks when the recorder was opened elsewhere", async () => {
  await show("live-host+elsewhere+no-link");
  const dialog = testid("elsewhere-dialog");
  assert.equal(await page.evaluate(() => window.deepActive()?.textContent), "This browser cannot record");
  // A link voids an earlier one: nobody gets one without asking.
  assert.equal(await testid("recorder-url").count(), 0);
  await testid("recorder-link-get").click();
  assert.match(await dialog.getByRole("alert").textContent(), /does not answer/);
  await testid("recorder-link-get").click();
  assert.match(await testid("recorder-url").inputValue(), /recorder\.html#visit=v&secret=2$/);
  assert.equal(await page.evaluate(() => window.deepActive()?.dataset.testid), "recorder-url");
  await page.context().grantPermissions(["clipboard-read", "clipboard-write"]);
  await testid("recorder-copy").click();
  await dialog.getByText("Copied").waitFor();
  assert.match(await page.evaluate(() => navigator.clipboard.readText()), /recorder\.html/);
  assert.equal(await page.locator("consent-request:not([hidden])").count(), 0, "nobody is asked yet");

  await page.evaluate(() => window.showExample("recorder-waits-host"));
  await dialog.waitFor({ state: "detached" });
  for (const tick of ["identity_verified", "emergency_place_known", "private_setting"])
    await testid(`tick-${tick}`).check();
  await testid("purpose-medical_record").check();
  await testid("request-consent").click();
  const request = (await commands()).find(({ name }) => name === "requestConsent").args[0];
  assert.equal(request.recorder, "w".repeat(22), "the recorder that waits, not one of this page");
});

test("a host whose browser cannot record may leave it at that, and finds the same link again", async () => {
  await show("live-host+elsewhere");
  await testid("recorder-link-get").click();
  const url = await testid("recorder-url").inputValue();
  await testid("elsewhere-cancel").click();
  await testid("elsewhere-dialog").waitFor({ state: "detached" });
  assert.equal(await page.locator("consent-request:not([hidden])").count(), 0);
  assert.deepEqual(await commands(), []);
  await testid("record-button").click();
  assert.equal(await testid("recorder-url").inputValue(), url);
  await testid("recorder-link-get").click();
  await page.waitForFunction(
    (old) => /** @type {HTMLInputElement} */ (document.querySelector('[data-testid="recorder-url"]'))?.value !== old,
    url,
  );
});

test("the host cannot ask without three checked boxes and a purpose; nothing is preselected", async () => {
  await show("live-host");
  await testid("record-button").click();
  assert.equal(await page.locator("consent-request input:checked").count(), 0);
  await testid("request-consent").click();
  assert.match(await testid("request-error").textContent(), /check all three/);
  for (const tick of ["identity_verified", "emergency_place_known", "private_setting"])
    await testid(`tick-${tick}`).check();
  await testid("request-consent").click();
  assert.match(await testid("request-error").textContent(), /reason/);
  assert.ok(await testid("purpose-supervision").isDisabled(), "no supervisor in the clinic's document");
  await testid("purpose-medical_record").check();
  await testid("request-consent").click();
  const request = (await commands()).find(({ name }) => name === "requestConsent").args[0];
  assert.equal(request.purpose, "medical_record");
  assert.equal(request.recorder, "r".repeat(22));
  assert.deepEqual(request.recipients, [{ fingerprint: "f1", role: "responsible_clinician" }]);
  assert.deepEqual(request.texts.map(({ layer, language }) => `${layer} ${language}`).sort(), [
    "information en",
    "information es",
    "recording en",
    "recording es",
  ]);
  assert.equal(request.checklist.length, 3);
});

test("asking a second time needs a reason, which stands in the text", async () => {
  await show("refused-host");
  await testid("ask-again").click();
  for (const tick of ["identity_verified", "emergency_place_known", "private_setting"])
    await testid(`tick-${tick}`).check();
  await testid("purpose-medical_record").check();
  await testid("request-consent").click();
  assert.match(await testid("request-error").textContent(), /why/);
  await testid("request-again-reason").fill("We forgot to explain who watches it.");
  await testid("request-consent").click();
  const request = (await commands()).find(({ name }) => name === "requestConsent").args[0];
  assert.equal(request.again_after, "q".repeat(22));
  assert.match(request.texts[0].text, /We forgot to explain who watches it\./);
});

test("whoever is here can stop and pause while a recorder is in the roster, and only then", async () => {
  for (const [state, present] of /** @type {[string, boolean][]} */ ([
    ["recording", true],
    ["recording-host", true],
    ["recorder-silent", true],
    ["withdrawing", true],
    ["paused-by-me", false],
    ["live", false],
    ["stopped-by-me", false],
  ])) {
    await show(state);
    assert.equal(await testid("withdraw").count(), present ? 1 : 0, state);
    assert.equal(await testid("pause-recording").count(), present ? 1 : 0, state);
  }
});

test("stopping by keyboard: the wish travels with the withdrawal; Enter on the question decides nothing", async () => {
  await show("recording");
  await tabTo("withdraw");
  await page.keyboard.press("Enter");
  await testid("wish-dialog").waitFor();
  await page.keyboard.press("Enter");
  // Sending stops before the question is there.
  assert.deepEqual(await commands(), [{ name: "hold", args: [] }]);
  await tabTo("withdraw-delete");
  await page.keyboard.press("Enter");
  await page.waitForFunction(() => window.visit.commands.length === 3);
  assert.deepEqual((await commands()).slice(1), [
    { name: "withdraw", args: [{ wish: "delete" }] },
    { name: "release", args: [] },
  ]);
});

test("closing the question without an answer stops the recording all the same; going back does not", async () => {
  await show("recording");
  await testid("withdraw").click();
  await page.keyboard.press("Escape");
  await page.waitForFunction(() => window.visit.commands.length === 3);
  assert.deepEqual((await commands())[1], { name: "withdraw", args: [{}] });
  await show("recording");
  await testid("withdraw").click();
  await testid("withdraw-back").click();
  await page.waitForFunction(() => window.visit.commands.length === 2);
  assert.deepEqual(
    (await commands()).map(({ name }) => name),
    ["hold", "release"],
  );
});

test("the indicator's live region is there before its text changes, and changes only with the state", async () => {
  await show("live");
  await page.evaluate(() => {
    const region = document.querySelector("recording-indicator").shadowRoot.querySelector("[role=status]");
    window.said = [];
    new MutationObserver(() => window.said.push(region.textContent)).observe(region, {
      childList: true,
      characterData: true,
      subtree: true,
    });
    for (const name of ["live", "recording", "recording", "recorder-silent", "paused-by-me", "live"])
      window.showExample(name);
  });
  await page.waitForTimeout(50);
  await page.evaluate(() => window.showExample("recording"));
  await page.waitForTimeout(50);
  const said = await page.evaluate(() => window.said);
  assert.match(said.at(-1), /^Recording for your medical record since 2:02\s?PM$/);
  await page.evaluate(() => window.showExample("recording"));
  await page.waitForTimeout(50);
  assert.equal((await page.evaluate(() => window.said)).length, said.length);
});

test("each kind of indicator has words and a shape of its own", async () => {
  const seen = new Map();
  for (const state of ["live", "recording", "recorder-silent", "paused-by-me", "stopped-by-me"]) {
    await show(state);
    const drawn = await testid("indicator").evaluate((banner) => [
      banner.textContent,
      banner.querySelector("svg").innerHTML,
    ]);
    seen.set(drawn[0], drawn[1]);
  }
  assert.equal(seen.size, 5);
  assert.equal(new Set(seen.values()).size, 5);
});

test("a recorder is listed with a warning, a server changes the label", async () => {
  await show("recording");
  assert.match(await testid(`member-${"r".repeat(22)}`).textContent(), /may be recording/);
  assert.match(await testid("label").textContent(), /End-to-end encrypted: only the people listed here/);
  await show("server");
  assert.equal((await testid("label").textContent()).trim(), "The clinic’s server can see this visit");
});

test("during a recording someone new is asked first, or comes in as the recorder leaves", async () => {
  const participant = "c".repeat(22);
  await show("recording-late-joiner");
  assert.equal(await testid("admit-all").count(), 0);
  await testid(`ask-${participant}`).click();
  await testid(`admit-${participant}`).click();
  assert.deepEqual(await commands(), [
    { name: "askWaiting", args: [participant] },
    { name: "pauseAndAdmit", args: [participant] },
  ]);
  await show("recording-late-asked");
  assert.match(await testid(`waiting-${"b".repeat(22)}`).textContent(), /No answer yet/);
  assert.match(await testid(`waiting-${participant}`).textContent(), /Does not agree to be recorded/);
  assert.equal(await page.locator('[data-testid^="ask-"]').count(), 0);
});

test("asked in the waiting room: who asks is named, and no is as easy as yes", async () => {
  await show("outside-asked");
  assert.match(await testid("consent-prompt").textContent(), /Dr\. Ana Ruiz is asking you before you join/);
  await testid("consent-recording-refuse").check();
  await testid("consent-submit").click();
  const [{ name, args }] = await commands();
  assert.equal(name, "refuse");
  assert.equal(args[0].language, "en");
  await show("outside-refused");
  assert.match(await testid("consent-status").textContent(), /You did not agree\..*only the host sees your answer/);
  await show("outside-granted");
  assert.match(await testid("consent-status").textContent(), /You agreed\. The host is letting you in\./);
});

test("someone whose language is not there names it, and is told that an interpreter has to sign", async () => {
  await show("asked-patient");
  await tabTo("consent-other-language");
  await page.keyboard.press("Space");
  assert.match(await testid("consent-prompt").textContent(), /An interpreter in this visit must read this to you/);
  await agreeForSelf();
  await testid("consent-people-none").check();
  await testid("consent-submit").click();
  assert.match(await testid("consent-error").textContent(), /choose your language/);
  assert.deepEqual(await commands(), []);
  await tabTo("consent-spoken");
  await page.keyboard.type("Vietnam");
  await testid("consent-submit").click();
  const [{ name, args }] = await commands();
  assert.deepEqual([name, args[0].language, args[0].spoken], ["grant", "en", "vi"]);
});

test("refusing in another language needs no interpreter, and taking the tick off takes the language back", async () => {
  await show("asked-patient");
  await testid("consent-other-language").check();
  await testid("consent-recording-refuse").check();
  await testid("consent-submit").click();
  assert.equal((await commands())[0].name, "refuse");
  await show("asked-patient");
  await testid("consent-other-language").check();
  await testid("consent-spoken").selectOption("vi");
  await testid("consent-other-language").uncheck();
  await agreeForSelf();
  await testid("consent-people-none").check();
  await testid("consent-submit").click();
  assert.equal((await commands())[0].args[0].spoken, "");
});

test("where no text is in the page's language, it is named in the grant: nobody agrees as if they had read it", async () => {
  await show("asked-unshown");
  assert.equal(await testid("consent-other-language").count(), 0);
  assert.match(await testid("consent-recording-text").textContent(), /Dejar de grabarme/);
  await agreeForSelf();
  await testid("consent-people-none").check();
  await testid("consent-submit").click();
  const [{ args }] = await commands();
  assert.deepEqual([args[0].language, args[0].spoken], ["es", "en"]);
});

test("outside, and for an interpreter, nothing waits for an interpreter", async () => {
  for (const state of ["outside-asked", "asked-interpreter"]) {
    await show(state);
    assert.equal(await testid("consent-other-language").count(), 0, state);
  }
});

test("an interpreter says for whom it signs, sees who needs it, and is asked again when someone does", async () => {
  const [ana, ben, carla] = ["a", "b", "c"].map((letter) => letter.repeat(22));
  await show("asked-interpreter");
  assert.equal(await page.locator('[data-testid^="consent-interpreted-"]').count(), 3);
  assert.equal(await page.locator('[data-testid^="consent-interpreted-"]:checked').count(), 0);
  assert.match(await testid("consent-interpreted").textContent(), /Ben Okafor\s*needs your signature/);
  await agreeForSelf();
  await tabTo(`consent-interpreted-${carla}`);
  await page.keyboard.press("Space");
  await testid("consent-people-none").check();
  await testid("consent-submit").click();
  assert.deepEqual((await commands())[0].args[0].interpreted_for, [carla]);
  // The same round goes on: Ben has agreed in another language.
  await page.evaluate(() => window.showExample("interpreter-again"));
  assert.match(await testid("interpreter-again").textContent(), /Ben Okafor agreed in another language/);
  await agreeForSelf();
  await testid(`consent-interpreted-${ben}`).check();
  await testid("consent-people-none").check();
  await testid("consent-submit").click();
  const again = (await commands())[1].args[0].interpreted_for;
  assert.deepEqual(again.toSorted(), [ben, carla], "who was signed for before stays");
  assert.ok(!again.includes(ana));
});

test("that an interpreter is missing is said to all, for whom only to the host", async () => {
  await show("interpreter-missing");
  assert.match(await testid("consent-status").textContent(), /An interpreter must sign too\. Nothing is recorded yet/);
  assert.equal(await testid("interpreter-needed").count(), 0);
  await show("interpreter-missing-host");
  assert.match(await testid("interpreter-needed").textContent(), /Ben Okafor: an interpreter must sign too/);
  assert.match(await testid("consent-status").textContent(), /no interpreter in this visit/);
});

test("the number for an emergency goes with the request; where people say they are, the host confirms", async () => {
  await show("live-host");
  await testid("record-button").click();
  for (const tick of ["identity_verified", "emergency_place_known", "private_setting"])
    await testid(`tick-${tick}`).check();
  await testid("request-emergency").fill(" +1 415 555 0136 ");
  await testid("purpose-medical_record").check();
  await testid("request-consent").click();
  const request = (await commands()).find(({ name }) => name === "requestConsent").args[0];
  assert.equal(request.emergency, "+1 415 555 0136");
  assert.ok(!request.texts.some(({ text }) => text.includes("0136")), "never in a text that is hashed");
  await show("emergency-host");
  assert.equal(await testid("emergency-number").locator("a").getAttribute("href"), "tel:+14155550136");
  const ben = "b".repeat(22);
  assert.match(await testid(`place-${ben}`).textContent(), /Ben Okafor says: California, United States/);
  await tabTo(`confirm-place-${ben}`);
  await page.keyboard.press("Enter");
  assert.deepEqual(await commands(), [{ name: "confirmPlace", args: [ben] }]);
  assert.match(await testid(`place-${"c".repeat(22)}`).textContent(), /Mexico.*Confirmed/);
  for (const state of ["recording", "two-clinicians-host"]) {
    await show(state);
    assert.equal(await testid("emergency").count(), 0, state);
  }
});

test("the host locks and unlocks; everyone sees it; who waits comes in by an unlocking", async () => {
  await show("live");
  assert.equal(await testid("lock-visit").count(), 0);
  await page.evaluate(() => window.showExample("locked"));
  assert.match(await testid("lock-state").textContent(), /Locked: nobody else can join/);
  assert.match(await testid("notices").textContent(), /The visit is locked/);
  await show("live-host");
  await tabTo("lock-visit");
  await page.keyboard.press("Enter");
  assert.deepEqual(await commands(), [{ name: "lock", args: [true] }]);
  await show("locked-host");
  assert.equal(await testid("admit-all").count(), 0);
  await page.evaluate(() => {
    const { visit } = window;
    const locked = Object.assign(new Error("the visit is locked"), { code: "visit-locked" });
    Object.defineProperty(visit, "admit", {
      value: async (...args) => {
        visit.commands.push({ name: "admit", args });
        if (visit.commands.length === 1) throw locked;
      },
    });
  });
  const carla = "c".repeat(22);
  await testid(`unlock-admit-${carla}`).click();
  await page.waitForFunction(() => window.visit.commands.length === 3);
  // Whoever was in before needs no unlocking: that is tried first.
  assert.deepEqual(await commands(), [
    { name: "admit", args: [carla] },
    { name: "lock", args: [false] },
    { name: "admit", args: [carla] },
  ]);
  await show("locked-recording-host");
  assert.equal((await testid(`admit-${carla}`).count()) + (await testid(`ask-${carla}`).count()), 0);
  await testid("unlock-first").click();
  assert.deepEqual(await commands(), [{ name: "lock", args: [false] }]);
});

test("handing over asks first, goes to clinicians only, and is told to everyone", async () => {
  const dan = "d".repeat(22);
  await show("two-clinicians-host");
  assert.equal(await page.locator('[data-testid^="hand-"]').count(), 1);
  await tabTo(`hand-${dan}`);
  await page.keyboard.press("Enter");
  assert.deepEqual(await commands(), []);
  assert.equal(await page.evaluate(() => window.deepActive().dataset.testid), `hand-yes-${dan}`);
  await tabTo(`hand-no-${dan}`);
  await page.keyboard.press("Enter");
  assert.equal(await page.evaluate(() => window.deepActive().dataset.testid), `hand-${dan}`);
  await testid(`hand-${dan}`).click();
  await testid(`hand-yes-${dan}`).click();
  assert.deepEqual(await commands(), [{ name: "handOver", args: [dan] }]);
  // The old host's page gives up what only a host can do.
  await page.evaluate(() => window.showExample("handed-over-before"));
  assert.match(await testid("notices").textContent(), /Dr\. Dan Osei is now the host/);
  assert.match(await testid(`member-${dan}`).textContent(), /Host/);
  for (const gone of ["end-visit", "record-button", "share-screen", "lock-visit", `hand-${dan}`])
    assert.equal(await testid(gone).count(), 0, gone);
  await show("two-clinicians");
  assert.equal(await testid("end-visit").count(), 0);
  await page.evaluate(() => window.showExample("handed-over"));
  assert.match(await testid("notices").textContent(), /You are now the host/);
  assert.equal(await testid("end-visit").count(), 1);
});

test("who commits while the host is away is no host", async () => {
  await show("host-away");
  assert.equal(await page.locator('[data-testid^="waiting-"]').count(), 0);
  assert.doesNotMatch(await testid(`member-${"b".repeat(22)}`).textContent(), /Host/);
  assert.equal(await testid("end-visit").count(), 0);
});

test("when the visit closes is always there; the last ten and two minutes are said", async () => {
  await show("live");
  assert.match(await testid("visit-times").textContent(), /Booked until .*The visit closes automatically at/);
  assert.equal(await testid("notice-closing").count(), 0);
  await show("live+closing");
  assert.match(await testid("notice-closing").textContent(), /in 10 minutes or less/);
  await show("live+closing-now");
  assert.match(await testid("notice-closing").textContent(), /in 2 minutes or less/);
  await show("outside-locked");
  await page.getByText("The visit is locked. The host can see that you are here").waitFor();
});

test("the visit record shows the answer, and a private link that withdraws with a statement signed ahead", async () => {
  const signed = (name) =>
    `h.${Buffer.from(JSON.stringify({ at_ms: 1.7e12, round: "q", name })).toString("base64url")}.s`;
  const log = {
    v: 1,
    visit: "v".repeat(22),
    clinic: { name: "River Clinic", contact: "privacy@river.example" },
    me: { role: "patient", name: "Ben Okafor" },
    started_ms: 1.7e12,
    ended_ms: 1.7e12 + 36e5,
    people: [{ name: "Ben Okafor", role: "patient" }],
    rounds: [
      {
        round: "q",
        asked_ms: 1.7e12,
        purpose: "medical_record",
        recipients: [{ fingerprint: "f", role: "archive" }],
        terms: { retention_days: 30, on_withdrawal: "ask" },
        texts: [],
        answer: "grant",
        answered_ms: 1.7e12,
        signed: [signed("grant")],
        later: { delete: signed("delete"), keep: signed("keep") },
      },
    ],
    recorder_present: [{ from_ms: 1.7e12, to_ms: 1.7e12 + 1e6 }],
  };
  await page.goto(`${server.url}/record.html`);
  await page.evaluate((text) => sessionStorage.setItem("sealed-visit:record", text), JSON.stringify(log));
  await page.reload();
  await page.getByText(/You agreed at/).waitFor();
  const posted = [];
  await page.route("**/v1/withdrawals", async (route) => {
    posted.push(route.request().postData());
    await route.fulfill({ status: posted.length === 1 ? 403 : 204, body: "{}" });
  });
  await testid("later-link").click();
  await testid("withdraw-later-delete").click();
  await page.getByText(/does not accept this link/).waitFor();
  await testid("withdraw-later-keep").click();
  await page.getByText(/^Done\./).waitFor();
  assert.deepEqual(posted, [signed("delete"), signed("keep")]);
  assert.equal(await page.locator('[data-testid^="withdraw-later-"]').count(), 0);
});

test("leaving and ending ask first, and the answer is not under Enter", async () => {
  await show("live-host");
  await testid("end-visit").click();
  await page.keyboard.press("Enter");
  assert.deepEqual(await commands(), []);
  await testid("end-confirm").click();
  assert.deepEqual(
    (await commands()).map(({ name }) => name),
    ["end"],
  );
});

test("a page read from right to left mirrors, and nothing leaves the window", async () => {
  await show("recording");
  await page.evaluate(() => {
    document.documentElement.dir = "rtl";
  });
  const indicator = await testid("indicator").boundingBox();
  assert.ok(indicator.x > 400, "the indicator begins at the right");
  const overflow = await page.evaluate(
    () => document.documentElement.scrollWidth - document.documentElement.clientWidth,
  );
  assert.equal(overflow, 0);
});

async function show(state, language = "en") {
  await page.goto("about:blank");
  await page.goto(`${server.url}/dev/states.html?lang=${language}#${state}`);
  await page.locator('[data-testid="indicator"], [data-testid="waiting-room"]').first().waitFor();
  await page.evaluate(() => {
    window.deepActive = () => {
      let active = document.activeElement;
      while (active?.shadowRoot?.activeElement) active = active.shadowRoot.activeElement;
      return active;
    };
  });
}

const testid = (name) => page.getByTestId(name);
/** As a page's JSON, so that times and bytes compare. */
const commands = async () => JSON.parse(await page.evaluate(() => JSON.stringify(window.visit.commands)));

async function agreeForSelf() {
  await testid("consent-information-agree").check();
  await testid("consent-recording-agree").check();
  await readTexts(page);
}

/** Presses Tab until the element has the focus; a radio group has one place in the order. */
async function tabTo(name) {
  for (let presses = 0; presses < 80; presses++) {
    const focused = await page.evaluate(() => window.deepActive()?.dataset?.testid ?? "");
    if (focused === name) return;
    await page.keyboard.press("Tab");
  }
  assert.fail(`the keyboard does not reach ${name}`);
}

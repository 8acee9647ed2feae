/**
 * How long it takes from the wish to join until the first picture, against the same call without
 * encryption, in one run of one browser.
 *
 *     npm run bench:join                   # [-- --runs N]
 *
 * In each call someone is there and sends; another page joins, sends too, and waits for that picture.
 * The page is loaded and its camera open when the clock starts; both fetch a pass, and in both the
 * host's page lets in at once. Encrypted, the page has called `preload()`, as ours do; what it takes
 * without that is measured beside it (`sealed_unprepared`: worker and WebAssembly are loaded, from no
 * cache). There is no distance to the relay: on a real line the round trips that both need weigh more.
 * The calls take turns, in an order that rotates; one round before warms up.
 *
 * The last line is `{"ok":..,"runs":..,"ratio":..,"ratio_range":[..],"ratio_unprepared":..,"plain":{"accepted_ms":..,"live_ms":..,"picture_ms":..},"sealed":{..},"sealed_unprepared":{..}}`,
 * medians of times after the start (accepted by the relay, let in, first picture) and the ratio of the
 * medians; `ok` is false above 1.5.
 */
import { result, say } from "../scripts/lib/log.mjs";
import { startCalls, until } from "../tests/lib/calls.mjs";

const TARGET_RATIO = 1.5;
const DEFAULT_RUNS = 7;

async function main(args) {
  const runs = args.includes("--runs") ? Number(args[args.indexOf("--runs") + 1]) : DEFAULT_RUNS;
  const calls = await startCalls();
  try {
    const kinds = [await plainCall(calls), ...(await sealedCalls(calls))];
    const taken = { plain: [], sealed: [], sealed_unprepared: [] };
    for (let run = -1; run < runs; run++) {
      for (let turn = 0; turn < kinds.length; turn++) {
        const { name, join } = kinds[(run + 1 + turn) % kinds.length];
        const times = await join();
        say(`${run < 0 ? "warming up" : `run ${run + 1}`}, ${name}: ${JSON.stringify(rounded(times))}`);
        if (run >= 0) taken[name].push(times);
      }
    }
    report(runs, taken);
  } finally {
    await calls.stop();
  }
}

/** A call without encryption, and how one more page joins it. */
async function plainCall(calls) {
  const visit = calls.newVisit();
  const host = await calls.plain(visit, { role: "clinician", source: 0 });
  // It goes on for as long as the page is there.
  host.run("admitAll").catch(() => {});
  await host.run("publish", { codec: "video/VP8" });
  const join = async () => {
    const person = await calls.plainPage(visit, { role: "patient", source: 1 });
    await settle();
    const times = await person.run("joinAndWatch", calls.relay);
    await person.run("send", { t: "leave" });
    await person.page.close();
    return times;
  };
  return { name: "plain", join };
}

/** A visit, joined by pages that have called `preload()` and by pages that have not. */
async function sealedCalls(calls) {
  const visit = calls.newVisit();
  const host = await calls.member(visit, { role: "clinician", source: 0 });
  await host.run("admitAll");
  await host.run("publish");
  const join = async ({ isPrepared }) => {
    const person = await calls.memberPage(visit, { role: "patient", source: 1 });
    if (isPrepared) await person.run("preload");
    await settle();
    const times = await person.run("joinAndWatch", person.given);
    await person.run("leave");
    await person.page.close();
    await until("the host is alone again", async () => (await host.run("state")).roster.length === 1);
    return times;
  };
  return [
    { name: "sealed", join: () => join({ isPrepared: true }) },
    { name: "sealed_unprepared", join: () => join({ isPrepared: false }) },
  ];
}

/** Lets what loading the page began come to an end. */
const settle = () => new Promise((resolve) => setTimeout(resolve, 1_000));

function report(runs, taken) {
  const all = (times, name) => times.map((time) => time[name]);
  const medians = (times) =>
    Object.fromEntries(
      ["accepted_ms", "live_ms", "picture_ms"].map((name) => [name, Math.round(median(all(times, name)))]),
    );
  const pictures = (name) => all(taken[name], "picture_ms");
  const ratioOf = (name) => hundredths(median(pictures(name)) / median(pictures("plain")));
  const ratios = pictures("sealed").map((ms, run) => ms / pictures("plain")[run]);
  const ratio = ratioOf("sealed");
  result({
    ok: ratio <= TARGET_RATIO,
    runs,
    ratio,
    ratio_range: [Math.min(...ratios), Math.max(...ratios)].map(hundredths),
    ratio_unprepared: ratioOf("sealed_unprepared"),
    ...Object.fromEntries(Object.entries(taken).map(([name, times]) => [name, medians(times)])),
  });
}

const hundredths = (value) => Math.round(100 * value) / 100;
const median = (values) => values.toSorted((a, b) => a - b)[values.length >> 1];
const rounded = (times) => Object.fromEntries(Object.entries(times).map(([name, ms]) => [name, Math.round(ms)]));

await main(process.argv.slice(2));

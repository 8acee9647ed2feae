/**
 * How long it takes from the wish to join until the first picture, against the same call without
 * encryption, in one run of one browser.
 *
 *     node benches/join.mjs                # [--runs N] [--no-build]
 *
 * In each call somebody is there and sends; another page joins, sends too, and waits for that picture.
 * The page is loaded and its camera open when the clock starts; both fetch a pass, and in both the
 * host's page lets in at once. Encrypted, the time holds everything else, too: loading worker and
 * WebAssembly (nothing is cached), the group and its keys. There is no distance to the relay: on a
 * real line the round trips that both need weigh more. The calls alternate, and so does which of the two is first; one round before warms up.
 *
 * The last line is `{"ok":..,"runs":..,"ratio":..,"ratio_range":[..],"plain":{"accepted_ms":..,"live_ms":..,"picture_ms":..},"sealed":{..}}`,
 * medians of times after the start (accepted by the relay, let in, first picture) and the ratio of the
 * medians; `ok` is false above 1.5.
 */
import { build } from "../scripts/build.mjs";
import { result, say } from "../scripts/lib/log.mjs";
import { startCalls, until } from "../tests/lib/calls.mjs";

const TARGET_RATIO = 1.5;
const DEFAULT_RUNS = 7;

async function main(args) {
  if (!args.includes("--no-build")) await build("wasm", "js", "servers");
  const runs = args.includes("--runs") ? Number(args[args.indexOf("--runs") + 1]) : DEFAULT_RUNS;
  const calls = await startCalls();
  try {
    const kinds = [await plainCall(calls), await sealedCall(calls)];
    const taken = { plain: [], sealed: [] };
    for (let run = -1; run < runs; run++) {
      for (const { name, join } of run % 2 === 0 ? kinds : kinds.toReversed()) {
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

async function sealedCall(calls) {
  const visit = calls.newVisit();
  const host = await calls.member(visit, { role: "clinician", source: 0 });
  await host.run("admitAll");
  await host.run("publish");
  const join = async () => {
    const person = await calls.memberPage(visit, { role: "patient", source: 1 });
    await settle();
    const times = await person.run("joinAndWatch", person.given);
    await person.run("leave");
    await person.page.close();
    await until("the host is alone again", async () => (await host.run("state")).roster.length === 1);
    return times;
  };
  return { name: "sealed", join };
}

/** Lets what loading the page began come to an end. */
const settle = () => new Promise((resolve) => setTimeout(resolve, 1_000));

function report(runs, { plain, sealed }) {
  const pictures = (times) => times.map(({ picture_ms }) => picture_ms);
  const ratios = sealed.map(({ picture_ms }, run) => picture_ms / plain[run].picture_ms).toSorted((a, b) => a - b);
  const [plainMs, sealedMs] = [median(pictures(plain)), median(pictures(sealed))];
  const ratio = Math.round((100 * sealedMs) / plainMs) / 100;
  const medians = (times) => ({
    accepted_ms: Math.round(median(times.map(({ accepted_ms }) => accepted_ms))),
    live_ms: Math.round(median(times.map(({ live_ms }) => live_ms))),
    picture_ms: Math.round(median(pictures(times))),
  });
  result({
    ok: ratio <= TARGET_RATIO,
    runs,
    ratio,
    ratio_range: [ratios[0], ratios.at(-1)].map((value) => Math.round(100 * value) / 100),
    plain: medians(plain),
    sealed: medians(sealed),
  });
}

const median = (values) => values.toSorted((a, b) => a - b)[values.length >> 1];
const rounded = (times) => Object.fromEntries(Object.entries(times).map(([name, ms]) => [name, Math.round(ms)]));

await main(process.argv.slice(2));

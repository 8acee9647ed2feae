/**
 * Opens a recording on this device: the vault gives sealed bytes and shares, the key file stays here.
 *
 * `?vault=` and `#token=` may be given in the link; the key and its passphrase never are.
 */
import { fragment } from "./lib/fragment.js";
import { type OpenedRecording, type Player, SealedVisitError, unlockPlayer } from "sealed-visit";
import { type Config, loadConfig } from "./lib/config.js";
import { fill, h } from "./lib/dom.js";
import { reasonOf, showPage } from "./lib/frame.js";
import { openedView, type OpenedPartMedia, type RecordingReport, when } from "./lib/opened-view.js";
import { megabytes } from "./lib/progress-panel.js";
import { type ListedPage, type ListedRecording, VaultReader } from "./lib/vault.js";
import { playbackWords } from "./strings/playback.js";

const results = h("div", { class: "stack" });
const progress = h("p", { role: "status", "data-testid": "playback-progress" });
const problem = h("p", { class: "error", role: "alert", "data-testid": "playback-error" });
const choices = h("fieldset", { class: "stack", hidden: true, "data-testid": "recordings" });
const vault = h("input", {
  type: "text",
  inputmode: "url",
  autocomplete: "off",
  spellcheck: "false",
  required: true,
  "data-testid": "vault-url",
});
const token = h("input", { type: "password", autocomplete: "off", "data-testid": "vault-token" });
const keyFile = h("input", { type: "file", "data-testid": "key-file" });
const passphrase = h("input", { type: "password", autocomplete: "off", "data-testid": "passphrase" });
let listed: ListedRecording[] = [];
let showOlder: (() => Promise<void>) | null = null;
let chosen = "";
let config: Config | undefined;

token.value = fragment.get("token") ?? "";

showPage((page) => {
  const text = playbackWords();
  fill(
    page,
    h("h1", {}, text.title),
    h("p", {}, text.lead),
    h(
      "form",
      { class: "card stack", onsubmit: (event) => run(event, list) },
      h("label", { class: "field" }, h("span", {}, text.vault), vault),
      h("label", { class: "field" }, h("span", {}, text.token), token),
      h("button", { type: "submit", "data-testid": "list-recordings" }, text.list),
    ),
    h(
      "form",
      { class: "card stack", novalidate: true, onsubmit: (event) => run(event, open) },
      choices,
      h(
        "label",
        { class: "field" },
        h("span", {}, text.key),
        keyFile,
        h("span", { class: "muted small" }, text.key_hint),
      ),
      h("label", { class: "field" }, h("span", {}, text.passphrase), passphrase),
      h("button", { type: "submit", class: "primary", "data-testid": "open-recording" }, text.open),
      progress,
      problem,
    ),
    results,
  );
  showChoices();
  return text.title;
});

run(undefined, async () => {
  config = await loadConfig();
  if (vault.value === "") vault.value = new URLSearchParams(location.search).get("vault") ?? config.vault_url;
});

/** Runs one step and shows a failure in the page. */
function run(event: Event | undefined, step: () => Promise<void>): void {
  event?.preventDefault();
  problem.textContent = "";
  step().catch((error: unknown) => {
    progress.textContent = "";
    problem.textContent = explain(error);
  });
}

async function list(): Promise<void> {
  const reader = new VaultReader(vault.value, token.value);
  const page = await reader.list();
  listed = page.recordings;
  showOlder = olderAfter(reader, page);
  chosen = listed.length === 1 && !showOlder ? (listed[0]?.recording ?? "") : "";
  showChoices();
}

/** The vault lists the newest first, some at a time. */
function olderAfter(reader: VaultReader, { next }: ListedPage): (() => Promise<void>) | null {
  if (!next) return null;
  return async () => {
    const page = await reader.list(next);
    listed = [...listed, ...page.recordings];
    showOlder = olderAfter(reader, page);
    showChoices();
  };
}

function showChoices(): void {
  const text = playbackWords();
  choices.hidden = listed.length === 0 && chosen === "";
  fill(
    choices,
    h("legend", {}, text.recordings),
    ...listed.map(({ recording, opened_ms, state, size_bytes, parts }) =>
      h(
        "label",
        { class: "option" },
        h("input", {
          type: "radio",
          name: "recording",
          value: recording,
          checked: recording === chosen,
          "data-testid": `recording-${recording}`,
          onchange: () => {
            chosen = recording;
          },
        }),
        h(
          "span",
          {},
          text.recording_of.replace("{when}", when(opened_ms)),
          h(
            "span",
            { class: "muted small" },
            ` · ${megabytes(size_bytes)} · ${text.parts.replace("{count}", String(parts.length))} · ${state}`,
          ),
        ),
      ),
    ),
    older(),
  );
}

function older(): HTMLElement | string {
  const step = showOlder;
  if (!step) return "";
  const onclick = (event: Event) => run(event, step);
  return h("button", { type: "button", onclick, "data-testid": "older-recordings" }, playbackWords().older);
}

async function open(): Promise<void> {
  const text = playbackWords();
  const [file] = keyFile.files ?? [];
  if (!chosen) throw new Error(text.choose);
  if (!file) throw new Error(text.key);
  if (!config) throw new Error("/config.json");
  fill(results);
  // The key first: a wrong passphrase must not cost an entry in the vault's log.
  const player = await unlockPlayer({ keyFile: await file.text(), passphrase: passphrase.value });
  try {
    passphrase.value = "";
    const reader = new VaultReader(vault.value, token.value);
    const wanted = chosen;
    const recording = await reader.open(wanted);
    const tracks = await player.load({
      rootKey: config.root_key,
      clinicDocument: config.clinic_document,
      recording,
      renewLinks: () => reader.open(wanted),
    });
    const media: OpenedPartMedia[] = [];
    for (const { part, track, content, media_type } of tracks) {
      if (content === "mixed") media.push({ part, ...(await readTrack(player, part, track, media_type)) });
      // Read for the check; it contains no media.
      else await readTrack(player, part, track, media_type);
    }
    await showOpened(player, recording, media);
  } finally {
    player.close();
    progress.textContent = "";
  }
}

async function showOpened(
  player: Player,
  recording: OpenedRecording,
  media: readonly OpenedPartMedia[],
): Promise<void> {
  const report = (await player.report()) as RecordingReport;
  fill(results, openedView(recording, media, report));
  results.scrollIntoView({ block: "start" });
}

/** What verifies, up to the first byte that does not. */
async function readTrack(
  player: Player,
  part: number,
  track: string,
  type: string,
): Promise<Omit<OpenedPartMedia, "part">> {
  const pieces: BlobPart[] = [];
  let bytes = 0;
  let media_end_us = 0;
  let failure: string | null = null;
  try {
    const reader = (await player.read(part, track)).getReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      pieces.push(value.bytes);
      bytes += value.bytes.length;
      media_end_us = value.mediaEndUs;
      progress.textContent = playbackWords().opening.replace("{done}", megabytes(bytes));
    }
  } catch (error) {
    failure = reasonOf(error);
  }
  return { blob: new Blob(pieces, { type }), failure, media_end_us };
}

function explain(error: unknown): string {
  const text = playbackWords();
  if (error instanceof SealedVisitError && error.code === "wrong-passphrase") return text.wrong_passphrase;
  const { code } = error as { code?: unknown };
  if (code === "recording_deleted") return text.deleted;
  if (code === "deletion_requested") return text.deletion_requested;
  return text.failed.replace("{why}", reasonOf(error));
}

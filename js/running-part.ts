/** One part of a recording while it is made: capture in this page, sealing in the worker. */
import type {
  EventBody,
  ParticipantId,
  PartBegun,
  PartEndReason,
  Person,
  RecordingId,
  VisitState,
} from "../worker/protocol.js";
import { Capture } from "./capture.js";
import { SealedVisitError } from "./errors.js";
import type { HealthReport } from "./health.js";
import { MediaSession, type RemoteTrack } from "./media-session.js";
import type { Protection } from "./protect.js";
import type { RecorderOptions } from "./recorder.js";
import { gapOf, type Hole } from "./slice-watch.js";
import type { WorkerClient } from "./worker-client.js";

/**
 * How long a receiver waits before it plays, at least. The browser brings picture and sound together in small steps:
 * Chromium 156 began with 10 ms for pictures and 100 for sound, and arrived at 75 and 50 after 15 s (getStats, on a line
 * without loss). Beginning where it would arrive, they are together at once. Pictures wait 35 ms longer than that, which
 * is what sound takes longer through WebAudio than to an ear.
 */
const HOLD_BACK_MS = { audio: 50, video: 110 } as const;

interface PartHooks {
  readonly onHealth: (report: HealthReport) => void;
  readonly onProblem: (error: SealedVisitError) => void;
  /** Time passed that is not in the file: this part ends, the next may begin. */
  readonly onHole: (hole: Hole) => void;
  /** There was no sound for a while; this part goes on. */
  readonly onSoundGap: (hole: Hole) => void;
  readonly onFailure: (error: SealedVisitError) => void;
}

/** @internal */
export class RunningPart {
  readonly #client: WorkerClient;
  readonly #options: RecorderOptions;
  readonly #hooks: PartHooks;
  readonly #session: MediaSession;
  readonly #capture: Capture;
  #begun: PartBegun | null = null;
  #beginning: Promise<PartBegun> | null = null;
  #hasEnded = false;
  #group: VisitState;
  /** The roster as it was last sealed. */
  #people = "";

  constructor(
    client: WorkerClient,
    protection: Protection,
    options: RecorderOptions,
    group: VisitState,
    hooks: PartHooks,
  ) {
    this.#client = client;
    this.#group = group;
    this.#options = options;
    this.#hooks = hooks;
    this.#session = MediaSession.of(client, protection);
    this.#session.on("problem", hooks.onProblem);
    this.#capture = new Capture(options, {
      onSlice: (data, media_end_us) => this.#seal(data, media_end_us),
      onHole: (hole) => {
        this.#sealGap(hole);
        hooks.onHole(hole);
      },
      onSoundGap: (hole) => {
        this.#sealGap(hole);
        hooks.onSoundGap(hole);
      },
      onHealth: (report) => this.#onHealth(report),
      onProblem: hooks.onProblem,
      onFailure: hooks.onFailure,
    });
  }

  /** Captures nothing before the open statement is signed and stored in the vault, and the spool exists. */
  async begin(recording: RecordingId | null, part: number): Promise<PartBegun> {
    const { vaultUrl, shareRequired = true, iceServers } = this.#options;
    await this.#capture.prepare();
    this.#capture.setNames(namesOf(this.#group));
    this.#session.on("remote_added", (remote) => {
      holdBack(remote);
      this.#capture.addRemote(remote);
    });
    this.#session.on("remote_removed", (remote) => this.#capture.removeRemote(remote));
    await this.#session.start(iceServers ? { iceServers } : {});
    this.#beginning = this.#client.request<"begin_part">({
      r: "begin_part",
      vault_url: new URL(vaultUrl, document.baseURI).href,
      recording,
      part,
      media_type: this.#capture.mediaType,
      share_required: shareRequired,
    });
    const begun = await this.#beginning;
    if (this.#hasEnded) return begun;
    this.#begun = begun;
    void navigator.storage?.persist?.();
    this.#capture.start();
    this.#sealRoster();
    return begun;
  }

  onGroup(state: VisitState): void {
    this.#group = state;
    this.#capture.setNames(namesOf(state));
    if (state.phase === "live") this.#sealRoster();
  }

  /** Seals a line of the events track. */
  line(body: EventBody): void {
    if (!this.#begun || this.#hasEnded) return;
    const line = { at_us: this.#capture.mediaTimeUs(), ...body };
    this.#client.request<"event_line">({ r: "event_line", line }).catch(() => undefined);
  }

  get pictureLagMs(): number {
    return this.#capture.pictureLagMs;
  }

  unsealedTailMs(sealed_media_us: number): number {
    return this.#capture.unsealedTailMs(sealed_media_us);
  }

  /** Stops capture and seals what is left; resolves when the manifest is signed and on the disk. */
  async end(reason: PartEndReason): Promise<void> {
    this.#hasEnded = true;
    await this.#capture.stop();
    this.#session.close();
    this.#begun ??= (await this.#beginning?.catch(() => null)) ?? null;
    if (this.#begun) await this.#client.request<"end_part">({ r: "end_part", reason });
  }

  /** Resolves when the part is uploaded, and confirmed where the vault gives receipts. */
  async untilUploaded(): Promise<void> {
    if (!this.#begun) return;
    const { recording, part } = this.#begun;
    await this.#client.request<"await_upload">({ r: "await_upload", recording, part });
  }

  #seal(data: ArrayBuffer, media_end_us: number): void {
    this.#client
      .request<"slice">({ r: "slice", data, media_end_us }, { transfer: [data] })
      .catch((cause: unknown) =>
        this.#hooks.onFailure(
          cause instanceof SealedVisitError
            ? cause
            : new SealedVisitError("internal", "a slice could not be sealed", { cause }),
        ),
      );
  }

  /** For the manifest. */
  #sealGap(hole: Hole): void {
    this.#client.request<"gap">({ r: "gap", ...gapOf(hole) }).catch(() => undefined);
  }

  /** When it is another one than was sealed last; names may come later than their owners. */
  #sealRoster(): void {
    if (!this.#begun || this.#hasEnded) return;
    const people = peopleOf(this.#group);
    const text = JSON.stringify(people);
    if (text === this.#people) return;
    this.#people = text;
    this.line({ event: "roster", people });
  }

  #onHealth(report: HealthReport): void {
    this.#hooks.onHealth(report);
    if (report.participant === null || report.status === "ok" || report.status === "silent") return;
    if (report.status === "poor") {
      const { participant, pictures_per_s = 0, cause = "device" } = report;
      this.line({ event: "few_pictures", participant, pictures_per_s, cause });
      return;
    }
    this.line({
      event: "missing",
      participant: report.participant,
      what: report.kind === "audio" ? "sound" : "picture",
    });
  }
}

function holdBack({ receiver, kind }: RemoteTrack): void {
  if ("jitterBufferTarget" in receiver) receiver.jitterBufferTarget = HOLD_BACK_MS[kind];
}

/** As they stand on the picture: a role is the clinic's word, a name is anybody's. */
function namesOf(state: VisitState): ReadonlyMap<ParticipantId, string> {
  return new Map(
    state.roster.flatMap(({ participant, name, role }) => (name ? [[participant, `${name} · ${role}`] as const] : [])),
  );
}

/** Names are sealed with the events track, and stand nowhere else. */
function peopleOf(state: VisitState): readonly Person[] {
  return state.roster
    .filter(({ role }) => role !== "recorder")
    .map(({ participant, role, name }) => (name ? { participant, role, name } : { participant, role }));
}

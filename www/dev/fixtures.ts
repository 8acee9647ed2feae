/** Examples of every state that the call page shows, and a visit that stands still in one of them. */
import {
  type Indicator,
  type LocalTrack,
  type MediaSession,
  type MediaSessionEvents,
  type MediaSource,
  type RosterEntry,
  TypedEventTarget,
  type Visit,
  type VisitState,
} from "sealed-visit";
import { consentTexts } from "sealed-visit/host";
import type { CallMedia, CallRecorder, CallVisit } from "../lib/call.js";
import type { VisitTimes } from "../lib/visit-clock.js";

const clinic = { name: "River Clinic", contact: "privacy@river.example" };
const id = (letter: string) => letter.repeat(22);
const [ana, ben, carla, dan, ines, recorderId, serverId, elsewhereId] = ["a", "b", "c", "d", "i", "r", "s", "w"].map(
  id,
) as [string, string, string, string, string, string, string, string];

const person = (participant: string, role: RosterEntry["role"], name: string | null, leaf: number): RosterEntry => ({
  participant,
  role,
  name,
  leaf,
  connected: true,
  is_me: false,
});
const people = [
  person(ana, "clinician", "Dr. Ana Ruiz", 0),
  person(ben, "patient", "Ben Okafor", 1),
  person(carla, "guest", "Carla Okafor", 2),
];
const withSecondClinician = [...people, person(dan, "clinician", "Dr. Dan Osei", 3)];
const withInterpreter = [...people, person(ines, "interpreter", "Inés Vega", 3)];
const recorder = person(recorderId, "recorder", "Recorder", 3);
const server = person(serverId, "server", null, 3);

type Consent = NonNullable<VisitState["consent"]>;
type Waiting = VisitState["waiting"][number];

/** Somebody in the waiting room, who was not asked unless it says so. */
const waits = (participant: string, role: Waiting["role"], change: Partial<Waiting> = {}): Waiting => ({
  participant,
  role,
  asked: false,
  answer: null,
  ...change,
});

const terms = { retention_days: 2555, on_withdrawal: "ask", part2: false } as const;
const recipients: Consent["recipients"] = [
  { fingerprint: "f1", role: "responsible_clinician" },
  { fingerprint: "f2", role: "archive" },
];
const since_ms = new Date(2026, 10, 22, 14, 2).getTime();

const consent = (change: Partial<Consent> = {}): Consent => ({
  round: id("q"),
  purpose: "medical_record",
  host: ana,
  host_name: "Dr. Ana Ruiz",
  recorder: recorderId,
  recipients,
  terms,
  texts: consentTexts({ purpose: "medical_record", clinic, recipients, terms }).map((text) => ({ ...text, hash: "h" })),
  my_answer: null,
  all_agreed: false,
  someone_refused: false,
  answered: 0,
  asked: 3,
  by_participant: [],
  asked_again: false,
  note: "",
  emergency: "",
  interpreter_needed: [],
  ...change,
});

const answer = (participant: string, said: "grant" | "refusal" = "grant", place = "", place_confirmed = false) => ({
  participant,
  answer: said,
  place,
  place_confirmed,
});

interface Example {
  me?: string;
  roster?: RosterEntry[];
  indicator?: Indicator;
  change?: Partial<VisitState>;
  consent?: Consent;
}

/** Someone who waits while the others record. */
const outside = (round: Consent): Example => ({ roster: [], consent: round, change: { phase: "waiting" } });

const recording: Indicator = { kind: "recording", purpose: "medical_record", since_ms };
const withRecorder = [...people, recorder];
const agreed = consent({ my_answer: "grant", all_agreed: true, answered: 3 });

/** Named as the screenshots are. */
export const examples: Record<string, Example> = {
  alone: { me: ana, roster: people.slice(0, 1) },
  live: {},
  "live-host": { me: ana },
  "recorder-waits-host": { me: ana, change: { waiting: [waits(elsewhereId, "recorder")] } },
  "waiting-people": {
    me: ana,
    roster: people.slice(0, 1),
    change: {
      waiting: [waits(ben, "patient"), waits(carla, "guest")],
    },
  },
  "asked-patient": { consent: consent() },
  "asked-host": { me: ana, consent: consent() },
  "asked-again": { consent: consent({ asked_again: true }) },
  "asked-part2": {
    consent: consent({
      terms: { ...terms, part2: true, authorization_expires_ms: since_ms },
      texts: consentTexts({
        purpose: "research",
        clinic,
        recipients,
        terms: { ...terms, part2: true, authorization_expires_ms: since_ms },
      }).map((text) => ({ ...text, hash: "h" })),
      purpose: "research",
    }),
  },
  "text-missing": { consent: consent({ texts: consent().texts.map((text) => ({ ...text, text: null })) }) },
  "answered-waiting": { consent: consent({ my_answer: "grant", answered: 1 }) },
  "answers-host": {
    me: ana,
    consent: consent({
      my_answer: "grant",
      answered: 2,
      by_participant: [answer(ana), answer(ben)],
    }),
  },
  "all-agreed-host": { me: ana, consent: agreed },
  refused: { consent: consent({ my_answer: "grant", someone_refused: true, answered: 2 }) },
  "refused-host": {
    me: ana,
    consent: consent({
      my_answer: "grant",
      someone_refused: true,
      answered: 2,
      by_participant: [answer(ana), answer(carla, "refusal")],
    }),
  },
  recording: { roster: withRecorder, indicator: recording, consent: agreed },
  "recording-host": { me: ana, roster: withRecorder, indicator: recording, consent: agreed },
  "recording-late-joiner": {
    me: ana,
    roster: [ana, ben, recorderId]
      .map((who) => withRecorder.find(({ participant }) => participant === who))
      .filter((entry) => entry !== undefined),
    indicator: recording,
    consent: agreed,
    change: { waiting: [waits(carla, "guest")] },
  },
  "recording-late-asked": {
    me: ana,
    roster: [person(ana, "clinician", "Dr. Ana Ruiz", 0), recorder],
    indicator: recording,
    consent: agreed,
    change: {
      waiting: [waits(ben, "patient", { asked: true }), waits(carla, "guest", { asked: true, answer: "refusal" })],
    },
  },
  "recorder-silent": {
    roster: withRecorder,
    indicator: { kind: "recorder_present", purpose: "medical_record" },
    consent: agreed,
    change: { problems: [{ code: "recorder_silent", at_ms: 1, participant: null }] },
  },
  "paused-by-me": { indicator: { kind: "paused", purpose: "medical_record", by_me: true }, consent: agreed },
  "paused-host": { me: ana, indicator: { kind: "paused", purpose: "medical_record", by_me: true }, consent: agreed },
  "stopped-by-me": { indicator: { kind: "stopped_by_you" } },
  stopped: { indicator: { kind: "stopped" } },
  withdrawing: {
    roster: withRecorder,
    indicator: recording,
    change: { sending: { open: false, reason: "withdrawn" } },
  },
  "key-swapped": { change: { problems: [{ code: "key_swapped", at_ms: 1, participant: null }] } },
  server: { roster: [...people, server], change: { label: { kind: "server_present" } } },
  "outside-asked": outside(consent({ asked: 0 })),
  "outside-granted": outside(consent({ asked: 0, my_answer: "grant" })),
  "outside-refused": outside(consent({ asked: 0, my_answer: "refusal", someone_refused: true })),
  "outside-locked": { roster: [], change: { phase: "waiting", locked: true } },
  rekeying: { change: { phase: "rekeying" } },
  locked: { change: { locked: true } },
  "locked-host": {
    me: ana,
    roster: people.slice(0, 2),
    change: { locked: true, waiting: [waits(carla, "guest")] },
  },
  "locked-recording-host": {
    me: ana,
    roster: [...people.slice(0, 2), recorder],
    indicator: recording,
    consent: agreed,
    change: { locked: true, waiting: [waits(carla, "guest")] },
  },
  "two-clinicians-host": { me: ana, roster: withSecondClinician },
  "two-clinicians": { me: dan, roster: withSecondClinician },
  "handed-over": { me: dan, roster: withSecondClinician, change: hostIs(dan) },
  "handed-over-before": { me: ana, roster: withSecondClinician, change: hostIs(dan) },
  "host-away": {
    roster: people.map((entry) => ({ ...entry, connected: entry.participant !== ana })),
    change: { host: ben, waiting: [waits(carla, "guest")] },
  },
  "emergency-host": {
    me: ana,
    roster: withRecorder,
    indicator: recording,
    consent: consent({
      my_answer: "grant",
      all_agreed: true,
      answered: 3,
      emergency: "+1 (415) 555-0136",
      by_participant: [answer(ana), answer(ben, "grant", "US-CA"), answer(carla, "grant", "MX", true)],
    }),
  },
  "asked-unshown": {
    consent: consent({ texts: consent().texts.filter(({ language }) => language !== pageLanguage()) }),
  },
  "asked-interpreter": {
    me: ines,
    roster: withInterpreter,
    consent: consent({ asked: 4, answered: 1, interpreter_needed: [ben] }),
  },
  "interpreter-again": {
    me: ines,
    roster: withInterpreter,
    consent: consent({ my_answer: "grant", asked: 4, answered: 4, interpreter_needed: [ben] }),
  },
  "interpreter-missing": { consent: consent({ my_answer: "grant", answered: 3 }) },
  "interpreter-missing-host": {
    me: ana,
    consent: consent({
      my_answer: "grant",
      answered: 3,
      interpreter_needed: [ben],
      by_participant: [answer(ana), answer(ben), answer(carla)],
    }),
  },
};

function hostIs(participant: string): Partial<VisitState> {
  return { host: participant };
}

/** As `?lang=` says. */
function pageLanguage(): string {
  return new URLSearchParams(location.search).get("lang") ?? "en";
}

/** When the standing visit ends: in an hour and three, or in so many minutes. */
export function timesOf(closesInMinutes = 180): VisitTimes {
  const now_ms = new Date(2026, 10, 22, 14, 2).getTime();
  return { now_ms, ends_ms: now_ms + 60 * 60_000, closes_ms: now_ms + closesInMinutes * 60_000 };
}

export function stateOf({
  me = ben,
  roster = people,
  indicator = { kind: "not_recorded" },
  change = {},
  consent: round,
}: Example): VisitState {
  const own = roster.find(({ participant }) => participant === me) ?? people[1];
  const host = change.host ?? ana;
  return {
    phase: "live",
    end_reason: null,
    end_is_final: false,
    visit: id("v"),
    me: {
      participant: me,
      role: own?.role ?? "patient",
      name: own?.name ?? "",
      host: me === host && own?.role === "clinician",
    },
    clinic,
    epoch: 4,
    host,
    locked: false,
    roster: roster.map((entry) => ({ ...entry, is_me: entry.participant === me })),
    waiting: [],
    label: { kind: "end_to_end" },
    safety_code: "48210 77351 90264 11873 56090 33412",
    verified: false,
    indicator,
    consent: round ?? null,
    sending: { open: true, reason: null },
    problems: [],
    ...change,
  };
}

/** Stays in its state; commands are written down, so that a test can see what the page asked for. */
export class StandingVisit extends TypedEventTarget<{ state: VisitState }> {
  readonly commands: { name: string; args: unknown[] }[] = [];
  state: VisitState;

  constructor(state: VisitState) {
    super();
    this.state = state;
  }

  show(state: VisitState): void {
    this.state = state;
    this.emit("state", state);
  }

  asCallVisit(): CallVisit {
    const names = [
      "admit",
      "askWaiting",
      "pauseAndAdmit",
      "deny",
      "remove",
      "lock",
      "handOver",
      "confirmPlace",
      "markVerified",
      "requestConsent",
      "grant",
      "refuse",
      "withdraw",
      "startRecorder",
      "pause",
      "agreeToResume",
      "stopRecording",
      "send",
      "leave",
      "end",
    ];
    for (const name of names) {
      Object.defineProperty(this, name, {
        configurable: true,
        value: async (...args: unknown[]) => {
          this.commands.push({ name, args });
        },
      });
    }
    Object.defineProperty(this, "hold", {
      value: () => {
        this.commands.push({ name: "hold", args: [] });
        return { release: () => this.commands.push({ name: "release", args: [] }) };
      },
    });
    return this as unknown as CallVisit & Visit;
  }
}

/** Pictures of the other people, painted. */
export class StandingMedia extends TypedEventTarget<Pick<MediaSessionEvents, "local_interrupted">> {
  readonly local = [];
  readonly line = { down: "good", up: "good", slow_for: [] } as const;
  flow: MediaSession["flow"] = "flowing";
  readonly remotes = [
    { participant: ana, hue: 190 },
    { participant: ben, hue: 30 },
    { participant: carla, hue: 280 },
  ].map(({ participant, hue }) => ({
    id: participant,
    participant,
    kind: "video" as const,
    source: "camera" as const,
    mediaTrack: painted(hue),
  }));

  /** As a phone call does. */
  take(...sources: readonly MediaSource[]): void {
    for (const source of sources) this.emit("local_interrupted", { source } as LocalTrack);
  }

  asCallMedia(me: string): CallMedia {
    const others = this.remotes.filter(({ participant }) => participant !== me);
    return Object.assign(this, {
      remotes: others,
      setMuted: () => undefined,
      replaceTrack: async () => undefined,
    }) as unknown as CallMedia;
  }
}

export function painted(hue: number): MediaStreamTrack {
  const canvas = document.createElement("canvas");
  canvas.width = 640;
  canvas.height = 360;
  const paint = canvas.getContext("2d");
  if (!paint) throw new Error("no canvas");
  const draw = () => {
    paint.fillStyle = `hsl(${hue} 30% 55%)`;
    paint.fillRect(0, 0, 640, 360);
    paint.fillStyle = `hsl(${hue} 30% 30%)`;
    paint.beginPath();
    paint.arc(320, 150, 70, 0, 7);
    paint.ellipse(320, 360, 150, 130, 0, 0, 7);
    paint.fill();
  };
  draw();
  setInterval(draw, 100);
  const [track] = canvas.captureStream(10).getVideoTracks();
  if (!track) throw new Error("no track");
  return track;
}

/** A recorder half way through its upload. */
export function standingRecorder(safety: "recording" | "uploading" | "safe"): CallRecorder {
  const target = new TypedEventTarget<Record<string, never>>();
  const spool = {
    recording: id("R"),
    part: 0,
    state: safety === "safe" ? "safe" : "sealed",
    sealed_bytes: 18_400_000,
    uploaded_bytes: safety === "safe" ? 18_400_000 : 12_100_000,
    segments: 240,
    sealed_media_us: 71_000_000,
    finished: safety !== "recording",
    on_disk: true,
    created_ms: since_ms,
    ...(safety === "uploading" && { waiting: { why: "offline" } }),
  };
  const state =
    safety === "recording"
      ? { phase: "recording", since_ms, unsealed_tail_ms: 210 }
      : { phase: "ended", reason: "visit_over" };
  return Object.assign(target, {
    participant: recorderId,
    state,
    spools: [spool],
    hasUnsentBytes: safety !== "safe",
    close: async () => undefined,
  }) as unknown as CallRecorder;
}

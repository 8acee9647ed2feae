/**
 * Resuming after a pause: the person who paused must agree, and everyone is notified three seconds before.
 *
 * The core sees to both. What is left for the pages is asking whoever paused, as a message inside the
 * encryption, and counting down.
 */
import type { CallVisit } from "./call.js";

type Message = { sealed_visit_page: 1; kind: "resume_ask" | "resume_yes" | "resume_no" };

export type ResumeState =
  | { kind: "idle" }
  /** The host waits for the person who paused. */
  | { kind: "asked" }
  /** This person paused, and is asked. */
  | { kind: "question" }
  | { kind: "declined" }
  | { kind: "countdown"; seconds: number };

export class ResumeTalk extends EventTarget {
  readonly #visit: CallVisit;
  #state: ResumeState = { kind: "idle" };
  #timer: ReturnType<typeof setInterval> | undefined;

  constructor(visit: CallVisit) {
    super();
    this.#visit = visit;
    visit.on("message", ({ from, data }) => this.#hear(from, data));
    visit.on("event", (event) => {
      if (event.e === "resuming") this.#count(event.in_ms);
    });
    visit.on("state", ({ indicator }) => {
      if (indicator.kind !== "paused" && this.#state.kind !== "idle") this.#set({ kind: "idle" });
    });
  }

  get state(): ResumeState {
    return this.#state;
  }

  /** Host: asks the person who paused; announces at once if that was the host. */
  async ask(): Promise<void> {
    const { indicator } = this.#visit.state;
    if (indicator.kind === "paused" && indicator.by_me) {
      await this.#visit.startRecorder();
      return;
    }
    this.#set({ kind: "asked" });
    await this.#say("resume_ask");
  }

  /** The person who paused answers. */
  async answer(agrees: boolean): Promise<void> {
    this.#set({ kind: "idle" });
    if (agrees) await this.#visit.agreeToResume();
    await this.#say(agrees ? "resume_yes" : "resume_no");
  }

  #hear(from: string, data: Uint8Array): void {
    const message = parse(data);
    const { host, me, indicator } = this.#visit.state;
    if (!message || indicator.kind !== "paused") return;
    if (message.kind === "resume_ask" && from === host && indicator.by_me) this.#set({ kind: "question" });
    if (host !== me.participant || this.#state.kind !== "asked") return;
    if (message.kind === "resume_no") this.#set({ kind: "declined" });
    // Whether the one who paused has agreed is the core's to judge: it refuses otherwise.
    if (message.kind === "resume_yes") {
      this.#visit.startRecorder().catch((error: unknown) => {
        this.#set({ kind: "idle" });
        this.dispatchEvent(new CustomEvent("failed", { detail: error }));
      });
    }
  }

  #count(in_ms: number): void {
    clearInterval(this.#timer);
    let seconds = Math.ceil(in_ms / 1_000);
    this.#set({ kind: "countdown", seconds });
    this.#timer = setInterval(() => {
      seconds -= 1;
      if (seconds > 0 && this.#state.kind === "countdown") {
        this.#set({ kind: "countdown", seconds });
        return;
      }
      clearInterval(this.#timer);
      if (this.#state.kind === "countdown") this.#set({ kind: "idle" });
    }, 1_000);
  }

  #say(kind: Message["kind"]): Promise<void> {
    const message: Message = { sealed_visit_page: 1, kind };
    return this.#visit.send(new TextEncoder().encode(JSON.stringify(message)));
  }

  #set(state: ResumeState): void {
    this.#state = state;
    this.dispatchEvent(new Event("change"));
  }
}

/** Other messages of an embedding page are none of ours. */
function parse(data: Uint8Array): Message | null {
  try {
    const message = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(data)) as Partial<Message> | null;
    return message?.sealed_visit_page === 1 && typeof message.kind === "string" ? (message as Message) : null;
  } catch {
    return null;
  }
}

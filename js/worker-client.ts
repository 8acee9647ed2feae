/**
 * Talks to one worker: numbered requests, their answers, and events.
 *
 * A worker that fails fails everything: open requests reject, `fatal` is emitted once, and the
 * worker is terminated, because nothing that it holds may be used again.
 */
import type {
  Envelope,
  Event,
  EventName,
  Failure,
  FromWorker,
  Request,
  RequestName,
  RequestOf,
  Results,
} from "../worker/protocol.js";
import { abortedError, SealedVisitError, throwIfAborted } from "./errors.js";

type Listener = (event: Event) => void;

interface Pending {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
}

/** @internal */
export class WorkerClient {
  readonly worker: Worker;
  #nextId = 1;
  readonly #pending = new Map<number, Pending>();
  readonly #listeners = new Map<EventName, Set<Listener>>();
  #failure: SealedVisitError | null = null;

  constructor(worker: Worker) {
    this.worker = worker;
    worker.addEventListener("message", (event: MessageEvent<FromWorker>) => this.#receive(event.data));
    worker.addEventListener("error", (event) => {
      event.preventDefault?.();
      this.#fail({ code: "worker-failed", message: event.message || "the worker could not be loaded" });
    });
    worker.addEventListener("messageerror", () =>
      this.#fail({ code: "worker-failed", message: "a message of the worker could not be read" }),
    );
  }

  /** Sends a request. Aborting rejects at once; the worker may still carry it out. */
  request<Name extends RequestName>(
    request: RequestOf<Name>,
    { signal, transfer = [] }: { signal?: AbortSignal | undefined; transfer?: Transferable[] } = {},
  ): Promise<Results[Name]> {
    return new Promise<unknown>((resolve, reject) => {
      throwIfAborted(signal);
      if (this.#failure) throw this.#failure;
      const id = this.#nextId++;
      const onAbort = () => {
        this.#pending.delete(id);
        if (signal) reject(abortedError(signal));
      };
      signal?.addEventListener("abort", onAbort, { once: true });
      const done = () => signal?.removeEventListener("abort", onAbort);
      this.#pending.set(id, {
        resolve: (value) => {
          done();
          resolve(value);
        },
        reject: (error) => {
          done();
          reject(error);
        },
      });
      const envelope: Envelope = { id, request: request as Request };
      this.worker.postMessage(envelope, transfer);
    }) as Promise<Results[Name]>;
  }

  /** Calls `listener` with each event of this name, until the returned function is called. */
  on<Name extends EventName>(name: Name, listener: (event: Extract<Event, { readonly e: Name }>) => void): () => void {
    const listeners = this.#listeners.get(name) ?? new Set();
    this.#listeners.set(name, listeners);
    const entry = listener as Listener;
    listeners.add(entry);
    return () => listeners.delete(entry);
  }

  /** Ends the worker at once; its contents are lost. */
  terminate(reason: SealedVisitError = new SealedVisitError("closed", "this was closed")): void {
    this.#failure ??= reason;
    this.worker.terminate();
    const pending = [...this.#pending.values()];
    this.#pending.clear();
    for (const { reject } of pending) reject(this.#failure);
  }

  #receive(message: FromWorker): void {
    if ("e" in message) {
      this.#dispatch(message);
      if (message.e === "fatal") this.terminate(SealedVisitError.fromFailure(message.error));
      return;
    }
    const pending = this.#pending.get(message.id);
    this.#pending.delete(message.id);
    if (message.ok) pending?.resolve(message.value);
    else pending?.reject(SealedVisitError.fromFailure(message.error));
  }

  #fail(error: Failure): void {
    if (this.#failure) return;
    this.#dispatch({ e: "fatal", error });
    this.terminate(SealedVisitError.fromFailure(error));
  }

  #dispatch(event: Event): void {
    for (const listener of [...(this.#listeners.get(event.e) ?? [])]) listener(event);
  }
}

/**
 * Entry of the visit worker: takes the page's requests one by one, and the browser's transforms.
 *
 * One instance serves one member: a person, or the declared recorder; or it only recovers spools.
 */
import { toFailure, WorkerError } from "./failure.js";
import { MemberSession } from "./member-session.js";
import type { Envelope, Event, Request, Response } from "./protocol.js";
import { loadRecording, loadVisit } from "./wasm.js";

const worker = self as unknown as DedicatedWorkerGlobalScope;

let session: MemberSession | null = null;
/** Transforms may be constructed before `prepare` is answered; their frames wait with them. */
let early: RTCRtpScriptTransformer[] = [];
const recoveries = new AbortController();
/** Parts of dead pages for which the page has been asked a new capability. */
const renewals = new Map<string, (capability: string | null) => void>();

worker.addEventListener("message", ({ data }: MessageEvent<Envelope>) => {
  void answer(data);
});

worker.addEventListener("rtctransform", (event) => {
  const { transformer } = event as RTCTransformEvent;
  if (session) session.attachTransformer(transformer);
  else early.push(transformer);
});

worker.addEventListener("online", () => session?.retryNow());

async function answer({ id, request }: Envelope): Promise<void> {
  let response: Response;
  try {
    response = { id, ok: true, value: await handle(request) };
  } catch (error) {
    response = { id, ok: false, error: toFailure(error) };
  }
  worker.postMessage(response);
}

function emit(event: Event): void {
  worker.postMessage(event);
}

function joined(): MemberSession {
  if (!session) throw new WorkerError("not-prepared", "prepare first");
  return session;
}

/** Synchronous up to the first await, so that requests take effect in their order. */
async function handle(request: Request): Promise<unknown> {
  switch (request.r) {
    case "load":
      await loadVisit(request.wasm_url, panicked);
      return null;
    case "prepare": {
      if (session) throw new WorkerError("bad-argument", "prepared already");
      const prepared = await MemberSession.prepare(request, emit);
      session = prepared.session;
      for (const transformer of early) session.attachTransformer(transformer);
      early = [];
      return prepared.prepared;
    }
    case "join":
      await joined().join(request.pass);
      return null;
    case "command":
      return await joined().command(request.command, request.clicked_at_ms);
    case "hold":
      joined().hold(request.clicked_at_ms);
      return null;
    case "release_hold":
      joined().driver.releaseHold();
      return null;
    case "publish":
      joined().driver.signal({ t: "publish_offer", sdp: request.sdp, tracks: request.tracks });
      return null;
    case "subscribe":
      joined().driver.signal({ t: "subscribe" });
      return null;
    case "subscribe_answer":
      joined().driver.signal({ t: "subscribe_answer", generation: request.generation, sdp: request.sdp });
      return null;
    case "attach_streams":
      joined().attachStreams(request.options, request.readable, request.writable);
      return null;
    case "rebind":
      joined().frames.rebind(request.key, request.participant, request.track);
      return null;
    case "detach":
      joined().frames.removeTrack(request.key);
      return null;
    case "stats":
      return joined().frames.stats();
    case "begin_part":
      return await joined().recorder.begin(request);
    case "slice":
      joined().recorder.slice(request.data, request.media_end_us);
      return null;
    case "event_line":
      joined().recorder.eventLine(request.line);
      return null;
    case "gap":
      joined().recorder.gap(request.from_us, request.to_us, request.reason);
      return null;
    case "end_part":
      joined().recorder.endPart(request.reason);
      return null;
    case "await_upload":
      return await joined().recorder.untilUploaded(request.recording, request.part);
    case "release":
      await joined().recorder.release(request.recording, request.part);
      return null;
    case "yield_upload":
      joined().recorder.yieldUpload(request.yields);
      return null;
    case "capability": {
      const part = `${request.recording}.${request.part}`;
      const renewed = renewals.get(part);
      renewals.delete(part);
      if (renewed) renewed(request.capability);
      else joined().recorder.setCapability(request.recording, request.part, request.capability);
      return null;
    }
    case "recover": {
      const { recover } = await import("./recording/recovery.js");
      return await recover(
        {
          trust:
            request.root_key !== null && request.clinic_document !== null
              ? { rootKey: request.root_key, clinicDocument: request.clinic_document }
              : null,
          wipeOrders: request.wipe_orders,
          releasesUnconfirmed: request.release_unconfirmed,
          renewCapability: ({ recording, part }) =>
            new Promise((resolve) => {
              renewals.set(`${recording}.${part}`, resolve);
              emit({ e: "capability_needed", recording, part });
            }),
          loadRecording: () => loadRecording(request.wasm_url, (message) => panicked(message)),
          emit,
        },
        recoveries.signal,
      );
    }
    case "close":
      recoveries.abort();
      session?.close();
      return null;
    default:
      return request satisfies never;
  }
}

function panicked(message: string): void {
  emit({ e: "fatal", error: { code: "core-panicked", message } });
}

// Generated from the Rust sources by `npm run types`: change those, and run it again.

import type { Purpose, Tick } from "./types.js";

/** Every purpose, in the order in which a host is offered them; none is preselected. */
export const PURPOSES: readonly Purpose[] = [
  "medical_record",
  "supervision",
  "quality_review",
  "ai_note",
  "dispute",
  "research",
  "other",
];

/** Purposes beyond treatment, payment and operations: a written authorization is due. */
export const PURPOSES_WITH_AUTHORIZATION: readonly Purpose[] = ["dispute", "research", "other"];

/** What a host confirms before asking, in the order in which a page lists it. */
export const CHECKLIST: readonly Tick["what"][] = ["identity_verified", "emergency_place_known", "private_setting"];

/** How often a recorder tells the members that it is recording. */
export const HEARTBEAT_EVERY_MS = 1000;

/** How long an upload capability is good for. */
export const CAPABILITY_DAYS = 14;

/** Kind and length before each record of a track file. */
export const RECORD_PREFIX_BYTES = 5;

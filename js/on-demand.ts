/**
 * Features that few pages need are downloaded on demand: a patient who joins a visit loads neither the
 * recorder nor the player.
 */
import type { Player, PlayerOptions } from "./playback.js";
import type { Recorder, RecorderOptions } from "./recorder.js";

/** Joins a visit as its declared recorder, on a page of its own. */
export async function joinAsRecorder(options: RecorderOptions): Promise<Recorder> {
  const { connectRecorder } = await import("./recorder.js");
  return await connectRecorder(options);
}

/**
 * Opens a key file in a worker of its own.
 *
 * @throws SealedVisitError `wrong-passphrase`, `key-file-invalid`, `wasm-load-failed`
 */
export async function unlockPlayer(options: PlayerOptions): Promise<Player> {
  const { openPlayer } = await import("./playback.js");
  return await openPlayer(options);
}

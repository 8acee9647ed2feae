/** Which devices a person wants, and whether they are on: this tab keeps it for a reload. */
export type Device = "microphone" | "camera";

export interface DeviceChoice {
  on: boolean;
  /** Absent: whichever the browser takes. */
  id?: string;
}

export type DeviceChoices = Record<Device, DeviceChoice>;

const STORED = "sealed-visit:devices";

export function keptChoices(): DeviceChoices {
  try {
    const kept = JSON.parse(sessionStorage.getItem(STORED) ?? "null") as Partial<DeviceChoices> | null;
    return { microphone: { on: true, ...kept?.microphone }, camera: { on: true, ...kept?.camera } };
  } catch {
    return { microphone: { on: true }, camera: { on: true } };
  }
}

export function keepChoices(choices: DeviceChoices): void {
  try {
    sessionStorage.setItem(STORED, JSON.stringify(choices));
  } catch {
    // Storage is refused: a reload asks the browser's first devices.
  }
}

/** Those that were chosen, on or off. */
export function idsIn({ microphone, camera }: DeviceChoices): Partial<Record<Device, string>> {
  return { ...(microphone.id && { microphone: microphone.id }), ...(camera.id && { camera: camera.id }) };
}

/** The controls at the bottom: each a word and a picture; a state that is on or off says so. */
import { icon, type IconName } from "sealed-visit/components";
import { words } from "../strings/index.js";
import { fill, h } from "./dom.js";
import type { Layout } from "./video-grid.js";

export interface ControlActions {
  microphone(): void;
  camera(): void;
  screen(): void;
  layout(): void;
  people(): void;
  devices(): void;
  safety(): void;
  record(): void;
  leave(): void;
  end(): void;
}

export interface ControlState {
  isMuted: boolean;
  isCameraOff: boolean;
  isSharing: boolean;
  canShare: boolean;
  layout: Layout;
  panelOpen: boolean;
  isHost: boolean;
  canRecord: boolean;
  isVerified: boolean;
}

interface Control {
  testid: string;
  sign: IconName;
  /** Under the picture. */
  label: string;
  /** What a click does, where the label alone does not say it. */
  title?: string;
  pressed?: boolean;
  look?: string;
  act: () => void;
}

export class ControlBar {
  readonly element = h("div", { class: "controls", role: "toolbar", "data-testid": "controls" });

  readonly #actions: ControlActions;
  #shown = "";

  constructor(actions: ControlActions) {
    this.#actions = actions;
  }

  update(state: ControlState): void {
    const text = words().call;
    const shown = JSON.stringify([state, text.mute]);
    if (shown === this.#shown) return;
    this.#shown = shown;
    const active = document.activeElement;
    const focused = active && this.element.contains(active) ? active.getAttribute("data-testid") : null;
    this.element.setAttribute("aria-label", text.controls);
    fill(this.element, ...this.#controls(state).map((control) => draw(control)));
    if (focused) this.element.querySelector<HTMLElement>(`[data-testid="${focused}"]`)?.focus();
  }

  #controls(state: ControlState): Control[] {
    const text = words().call;
    const act = this.#actions;
    const all: (Control | false)[] = [
      {
        testid: "mute",
        sign: state.isMuted ? "microphone_off" : "microphone",
        label: text.microphone,
        title: state.isMuted ? text.unmute : text.mute,
        look: state.isMuted ? "off" : "",
        act: act.microphone,
      },
      {
        testid: "camera",
        sign: state.isCameraOff ? "camera_off" : "camera",
        label: text.camera,
        title: state.isCameraOff ? text.camera_on : text.camera_off,
        look: state.isCameraOff ? "off" : "",
        act: act.camera,
      },
      state.canShare && {
        testid: "share-screen",
        sign: "screen",
        label: text.screen,
        title: state.isSharing ? text.unshare : text.share,
        act: act.screen,
      },
      state.canRecord && { testid: "record-button", sign: "recording", label: words().call.record, act: act.record },
      { testid: "people-button", sign: "people", label: text.people, pressed: state.panelOpen, act: act.people },
      {
        testid: "layout-button",
        sign: "layout",
        label: text.layout,
        title: state.layout === "grid" ? text.layout_speaker : text.layout_grid,
        act: act.layout,
      },
      { testid: "devices-button", sign: "settings", label: text.devices, act: act.devices },
      { testid: "safety-button", sign: "shield", label: text.safety, act: act.safety },
      { testid: "leave", sign: "leave", label: text.leave, act: act.leave },
      state.isHost && {
        testid: "end-visit",
        sign: "cross",
        label: text.end,
        title: text.end_title,
        look: "alert",
        act: act.end,
      },
    ];
    return all.filter((control) => control !== false);
  }
}

function draw({ testid, sign, label, title, pressed, look, act }: Control): HTMLElement {
  return h(
    "button",
    {
      type: "button",
      class: look,
      title,
      // The visible word comes first, so that it can be spoken to a voice control.
      "aria-label": title === undefined ? undefined : `${label}: ${title}`,
      "aria-pressed": pressed === undefined ? undefined : String(pressed),
      "data-testid": testid,
      onclick: act,
    },
    icon(sign),
    h("span", {}, label),
  );
}

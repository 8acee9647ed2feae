/**
 * Icons, built as SVG DOM. Each one differs from the others by shape, so that none depends on colour.
 * All are decoration: the words stand beside them.
 */

const SVG = "http://www.w3.org/2000/svg";

type Shape = ["path" | "circle" | "rect", Record<string, string>];

const stroke = {
  fill: "none",
  stroke: "currentColor",
  "stroke-width": "2",
  "stroke-linecap": "round",
  "stroke-linejoin": "round",
};
const solid = { fill: "currentColor" };
const line = (d: string): Shape => ["path", { ...stroke, d }];
const ring = (r: string): Shape => ["circle", { ...stroke, cx: "12", cy: "12", r }];

const icons = {
  recording: [ring("10"), ["circle", { ...solid, cx: "12", cy: "12", r: "5.5" }]],
  recorder_present: [
    line("M12 3 22 20.5H2Z"),
    line("M12 9.5v5"),
    ["circle", { ...solid, cx: "12", cy: "17.5", r: "1.2" }],
  ],
  paused: [ring("10"), line("M9.5 8.5v7M14.5 8.5v7")],
  stopped: [ring("10"), ["rect", { ...solid, x: "8", y: "8", width: "8", height: "8", rx: "1" }]],
  not_recorded: [ring("10"), line("M5 5l14 14")],
  lock: [["rect", { ...stroke, x: "4", y: "11", width: "16", height: "10", rx: "2" }], line("M8 11V7a4 4 0 0 1 8 0v4")],
  unlock: [
    ["rect", { ...stroke, x: "4", y: "11", width: "16", height: "10", rx: "2" }],
    line("M8 11V7a4 4 0 0 1 7.5-2"),
  ],
  server: [
    ["rect", { ...stroke, x: "3", y: "4", width: "18", height: "7", rx: "2" }],
    ["rect", { ...stroke, x: "3", y: "13", width: "18", height: "7", rx: "2" }],
    line("M7 7.5h.01M7 16.5h.01"),
  ],
  person: [["circle", { ...stroke, cx: "12", cy: "8", r: "4" }], line("M4 21c0-4 3.6-6 8-6s8 2 8 6")],
  people: [
    ["circle", { ...stroke, cx: "9", cy: "8", r: "3.5" }],
    line("M2 20c0-3.5 3-5.5 7-5.5s7 2 7 5.5"),
    line("M16 4.8a3.5 3.5 0 0 1 0 6.4M18.5 15c2.2.7 3.5 2.3 3.5 5"),
  ],
  check: [line("M4 12.5l5 5L20 6.5")],
  cross: [line("M5 5l14 14M19 5L5 19")],
  microphone: [
    ["rect", { ...stroke, x: "9", y: "3", width: "6", height: "11", rx: "3" }],
    line("M5 11a7 7 0 0 0 14 0M12 18v3"),
  ],
  microphone_off: [
    ["rect", { ...stroke, x: "9", y: "3", width: "6", height: "11", rx: "3" }],
    line("M5 11a7 7 0 0 0 14 0M12 18v3M3 3l18 18"),
  ],
  camera: [["rect", { ...stroke, x: "2", y: "6", width: "13", height: "12", rx: "2" }], line("M15 11l7-4v10l-7-4")],
  camera_off: [
    ["rect", { ...stroke, x: "2", y: "6", width: "13", height: "12", rx: "2" }],
    line("M15 11l7-4v10l-7-4M3 3l18 18"),
  ],
  speaker: [line("M4 9.5v5h4l5 4.5V5L8 9.5ZM16.5 8.5a5 5 0 0 1 0 7M19 6a9 9 0 0 1 0 12")],
  network: [
    line("M2 9a15 15 0 0 1 20 0M5.5 13a10 10 0 0 1 13 0M9 16.8a5 5 0 0 1 6 0"),
    ["circle", { ...solid, cx: "12", cy: "20", r: "1.3" }],
  ],
  browser: [["rect", { ...stroke, x: "3", y: "4", width: "18", height: "16", rx: "2" }], line("M3 9h18M7 6.5h.01")],
  screen: [
    ["rect", { ...stroke, x: "2", y: "4", width: "20", height: "13", rx: "2" }],
    line("M8 21h8M12 17v4M12 13V8M9.5 10.5 12 8l2.5 2.5"),
  ],
  layout: [
    ["rect", { ...stroke, x: "3", y: "4", width: "8", height: "7", rx: "1" }],
    ["rect", { ...stroke, x: "13", y: "4", width: "8", height: "7", rx: "1" }],
    ["rect", { ...stroke, x: "3", y: "13", width: "8", height: "7", rx: "1" }],
    ["rect", { ...stroke, x: "13", y: "13", width: "8", height: "7", rx: "1" }],
  ],
  settings: [
    line("M4 7h9M17 7h3M4 17h3M11 17h9"),
    ["circle", { ...stroke, cx: "15", cy: "7", r: "2" }],
    ["circle", { ...stroke, cx: "9", cy: "17", r: "2" }],
  ],
  leave: [line("M14 4H6a2 2 0 0 0-2 2v12a2 2 0 0 0 2 2h8M10 12h11M17 8l4 4-4 4")],
  shield: [line("M12 3l8 3v6c0 4.5-3.2 7.8-8 9-4.8-1.2-8-4.5-8-9V6Z"), line("M8.5 12l2.5 2.5 4.5-5")],
  warning: [line("M12 3 22 20.5H2Z"), line("M12 9.5v5M12 17.5h.01")],
  clock: [ring("10"), line("M12 6.5V12l3.5 2.5")],
  copy: [
    ["rect", { ...stroke, x: "9", y: "9", width: "12", height: "12", rx: "2" }],
    line("M15 5V4a1 1 0 0 0-1-1H4a1 1 0 0 0-1 1v10a1 1 0 0 0 1 1h1"),
  ],
  file: [line("M6 2h8l5 5v15H6Z"), line("M14 2v5h5")],
} satisfies Record<string, Shape[]>;

export type IconName = keyof typeof icons;

export function icon(name: IconName): SVGSVGElement {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  svg.setAttribute("focusable", "false");
  svg.setAttribute("class", "icon");
  svg.setAttribute("part", "icon");
  for (const [tag, attributes] of icons[name]) {
    const shape = document.createElementNS(SVG, tag);
    for (const [key, value] of Object.entries(attributes)) shape.setAttribute(key, value);
    svg.append(shape);
  }
  return svg;
}

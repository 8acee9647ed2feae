/**
 * Constructable style sheets. They need no `style-src 'unsafe-inline'`.
 *
 * Every colour and size is a custom property `--sv-*` with a fallback that works without any theme,
 * in light and in dark. Directions are logical, so that right-to-left pages need nothing else.
 */

const made = new Map<string, CSSStyleSheet>();

export function sheetOf(css: string): CSSStyleSheet {
  let sheet = made.get(css);
  if (!sheet) {
    sheet = new CSSStyleSheet();
    sheet.replaceSync(css);
    made.set(css, sheet);
  }
  return sheet;
}

export const sharedSheet = (): CSSStyleSheet => sheetOf(shared);

const shared = `
:host {
  --_surface: var(--sv-surface, #ffffff);
  --_sunken: var(--sv-sunken, #f1f4f5);
  --_text: var(--sv-text, #16242b);
  --_muted: var(--sv-muted, #4b5c64);
  --_line: var(--sv-line, #c3ced3);
  --_strong-line: var(--sv-strong-line, #6b7c84);
  --_accent: var(--sv-accent, #0b5d6b);
  --_on-accent: var(--sv-on-accent, #ffffff);
  --_alert: var(--sv-alert, #a3161e);
  --_on-alert: var(--sv-on-alert, #ffffff);
  --_notice: var(--sv-notice, #fdf3d8);
  --_good: var(--sv-good, #14663a);
  --_focus: var(--sv-focus, #0b57d0);
  --_radius: var(--sv-radius, 10px);
  --_gap: var(--sv-gap, 12px);
  --_font: var(--sv-font, system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif);
  display: block;
  color: var(--_text);
  font-family: var(--_font);
  font-size: var(--sv-font-size, 1rem);
  line-height: 1.5;
}
@media (prefers-color-scheme: dark) {
  :host {
    --_surface: var(--sv-surface, #17212a);
    --_sunken: var(--sv-sunken, #0f171d);
    --_text: var(--sv-text, #e8eef0);
    --_muted: var(--sv-muted, #a9b8bf);
    --_line: var(--sv-line, #3a4a53);
    --_strong-line: var(--sv-strong-line, #8296a0);
    --_accent: var(--sv-accent, #7fd0de);
    --_on-accent: var(--sv-on-accent, #06252b);
    --_alert: var(--sv-alert, #ffb3ae);
    --_on-alert: var(--sv-on-alert, #4a0408);
    --_notice: var(--sv-notice, #3a3113);
    --_good: var(--sv-good, #8fdcb0);
    --_focus: var(--sv-focus, #a8c7fa);
  }
}
:host([hidden]), [hidden] { display: none !important; }
*, *::before, *::after { box-sizing: border-box; }
h2, h3, h4 { margin: 0; line-height: 1.25; text-wrap: balance; }
h2 { font-size: 1.35rem; }
h3 { font-size: 1.1rem; }
h4 { font-size: 1rem; }
p, ul, dl { margin: 0; }
ul { padding-inline-start: 1.25em; }
.icon { inline-size: 1.25em; block-size: 1.25em; flex: none; vertical-align: -0.25em; }
.muted { color: var(--_muted); }
.small { font-size: 0.9rem; }
.row { display: flex; flex-wrap: wrap; align-items: center; gap: var(--_gap); }
.stack { display: grid; gap: var(--_gap); }
button, select, input, textarea { font: inherit; color: inherit; }
button {
  display: inline-flex; align-items: center; justify-content: center; gap: 0.5em;
  min-block-size: 44px; padding: 0.5em 1em;
  border: 1px solid var(--_strong-line); border-radius: var(--_radius);
  background: var(--_surface); cursor: pointer; text-align: center;
}
button:hover { background: var(--_sunken); }
button.primary { background: var(--_accent); border-color: var(--_accent); color: var(--_on-accent); font-weight: 600; }
button.primary:hover { filter: brightness(1.1); }
button.alert { background: var(--_alert); border-color: var(--_alert); color: var(--_on-alert); font-weight: 600; }
button:disabled { opacity: 0.55; cursor: not-allowed; }
button.compact { min-block-size: 36px; padding: 0.25em 0.75em; }
select, input:not([type=checkbox]):not([type=radio]), textarea {
  min-block-size: 44px; inline-size: 100%; padding: 0.5em 0.75em;
  border: 1px solid var(--_strong-line); border-radius: var(--_radius); background: var(--_surface);
}
:focus-visible { outline: 3px solid var(--_focus); outline-offset: 2px; }
.notice { background: var(--_notice); border-inline-start: 4px solid var(--_strong-line); border-radius: var(--_radius); padding: 0.75em 1em; }
.error { color: var(--_alert); font-weight: 600; }
.visually-hidden {
  position: absolute; inline-size: 1px; block-size: 1px; margin: -1px; overflow: hidden;
  clip-path: inset(50%); white-space: nowrap;
}
@media (prefers-reduced-motion: no-preference) { button { transition: background-color 120ms; } }
@media (forced-colors: active) { .icon { forced-color-adjust: auto; } }
`;

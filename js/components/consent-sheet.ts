/** What the two consent components look like. */
export const consentCss = `
.panel { --_pad: clamp(12px, 4vw, 24px); container-type: inline-size; background: var(--_surface); border: 1px solid var(--_line); border-radius: var(--_radius); padding: var(--_pad); }
.panel h2:focus { outline: none; }
.facts { display: grid; gap: 0.6em; background: var(--_sunken); border-radius: var(--_radius); padding: 1em; }
.facts > div { display: grid; grid-template-columns: minmax(8em, 1fr) 3fr; gap: 0 1em; }
.facts dt { font-weight: 600; }
.facts dd { margin: 0; overflow-wrap: anywhere; }
.facts ul { padding-inline-start: 1.1em; }
.text { gap: 0.6em; border-inline-start: 3px solid var(--_line); padding-inline-start: 1em; }
.text :is(h4, p, li) { position: relative; }
.mark { position: absolute; inset-inline-start: 0; inline-size: 1px; block-size: 1px; pointer-events: none; scroll-margin-block: 1em; }
.text p + h4, .text ul + h4 { margin-block-start: 0.4em; }
fieldset { border: 0; margin: 0; padding: 0; min-inline-size: 0; }
legend { padding: 0; font-weight: 600; margin-block-end: 0.25em; }
.layer { border-block-start: 1px solid var(--_line); padding-block-start: 1em; }
.tiles { display: grid; grid-template-columns: 1fr 1fr; gap: var(--_gap); }
.tile { position: relative; display: block; }
.tile input { position: absolute; inset: 0; inline-size: 100%; block-size: 100%; margin: 0; opacity: 0; cursor: pointer; }
.tile-face { display: flex; align-items: center; justify-content: center; gap: 0.5em; min-block-size: 56px; padding: 0.5em; text-align: center;
  border: 2px solid var(--_strong-line); border-radius: var(--_radius); font-weight: 600; }
.tile-face .icon { display: none; }
.tile input:checked + .tile-face { border-width: 3px; border-color: var(--_accent); background: var(--_sunken); }
.tile input:checked + .tile-face .icon { display: inline; }
.tile input:focus-visible + .tile-face { outline: 3px solid var(--_focus); outline-offset: 2px; }
.tile input:disabled + .tile-face { opacity: 0.5; }
.tile input:hover:not(:disabled) + .tile-face { background: var(--_sunken); }
.option { display: flex; align-items: flex-start; gap: 0.6em; min-block-size: 44px; padding-block: 0.5em; cursor: pointer; }
.option input { inline-size: 1.35em; block-size: 1.35em; margin: 0.1em 0 0; flex: none; accent-color: var(--_accent); }
.option .hint { display: block; }
.under { margin-inline-start: 1.95em; padding-block-end: 0.5em; }
.question { padding-block-start: 0.5em; }
.person { background: var(--_sunken); border: 0; border-radius: var(--_radius); padding: 1em; }
.field { display: grid; gap: 0.25em; font-weight: 600; }
.field > select, .field > input, .field > textarea { font-weight: 400; }
.pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(14em, 100%), 1fr)); gap: var(--_gap); }
.send { display: grid; gap: 0.5em; border-block-start: 1px solid var(--_line); padding-block-start: 0.75em; }
.send [type=submit] { inline-size: 100%; min-block-size: 52px; }
[aria-disabled=true] { opacity: 0.55; cursor: not-allowed; }
.languages button[aria-pressed=true] { border-width: 3px; border-color: var(--_accent); font-weight: 600; }
@container (max-width: 26rem) { .facts > div { grid-template-columns: 1fr; } .facts { padding: 0.75em; } }
`;

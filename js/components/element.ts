/**
 * What all components share: an open shadow root with adopted style sheets, the language, and
 * replaceable strings.
 *
 * A component re-renders only when its content has changed, and restores the focus;
 * so a page may hand it every snapshot of the state.
 */
import { sharedSheet, sheetOf } from "./sheet.js";
import { loadStrings, type Strings, type StringsPatch, stringsFor } from "./strings/index.js";

/** Importing the module outside a browser must not fail; constructing an element there may. */
const Base = (globalThis.HTMLElement ?? class {}) as typeof HTMLElement;

export abstract class VisitElement extends Base {
  static readonly observedAttributes: readonly string[] = ["lang"];

  protected readonly root: ShadowRoot;
  #patch: StringsPatch = {};
  #shown: string | undefined;

  constructor(css = "") {
    super();
    this.root = this.attachShadow({ mode: "open" });
    this.root.adoptedStyleSheets = css === "" ? [sharedSheet()] : [sharedSheet(), sheetOf(css)];
  }

  connectedCallback(): void {
    this.refresh();
  }

  attributeChangedCallback(): void {
    this.refresh();
  }

  /** BCP 47 tag of the language shown: the nearest `lang` attribute, or the browser's. */
  get language(): string {
    return this.closest<HTMLElement>("[lang]")?.lang || hostLanguage(this) || navigator.language;
  }

  /** The words shown. Assigning replaces some or all of them; the rest stay as shipped. */
  get strings(): Strings {
    return stringsFor(this.language, this.#patch);
  }

  set strings(patch: StringsPatch) {
    this.#patch = patch;
    this.#shown = undefined;
    this.refresh();
  }

  /** What replaces the words as shipped. */
  protected get patch(): StringsPatch {
    return this.#patch;
  }

  /** Redraws now, and again once its language is loaded. */
  protected refresh(): void {
    if (!this.isConnected) return;
    this.render();
    loadStrings(this.language).then(
      (isNew) => {
        if (!isNew) return;
        this.#shown = undefined;
        this.refresh();
      },
      // English words are better than none.
      () => undefined,
    );
  }

  protected abstract render(): void;

  /** Runs `draw` if `shown`, the language or the strings differ from what is on the screen. */
  protected drawIfChanged(shown: unknown, draw: () => void): void {
    const next = JSON.stringify([shown, this.language]);
    if (next === this.#shown) return;
    this.#shown = next;
    const focused = this.root.activeElement?.getAttribute("data-testid");
    draw();
    if (focused) this.root.querySelector<HTMLElement>(`[data-testid="${CSS.escape(focused)}"]`)?.focus();
  }

  protected emit<T>(type: string, detail: T): void {
    this.dispatchEvent(new CustomEvent<T>(type, { detail, bubbles: true, composed: true }));
  }
}

/** A component inside another component's shadow root uses that component's language. */
function hostLanguage(element: Element): string | undefined {
  const root = element.getRootNode();
  if (!(root instanceof ShadowRoot)) return undefined;
  return root.host.closest<HTMLElement>("[lang]")?.lang || hostLanguage(root.host);
}

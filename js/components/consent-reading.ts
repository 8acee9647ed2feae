/**
 * Whether the whole of the consent texts has been on this person's screen.
 *
 * Marks that take up no room stand about one line apart in every paragraph, heading, and list item. A mark
 * counts once an IntersectionObserver has reported it, so whatever scrolls or clips the text counts too.
 * The page's `scroll-padding-block-start` says how much of the window a sticky header covers.
 */
import { h } from "./dom.js";

/** A line on a screen 320 pixels wide holds about this many characters. */
const LINE_CHARACTERS = 36;

export class ConsentReading {
  readonly #unseen = new Set<Element>();
  readonly #onchange: () => void;
  #observer: IntersectionObserver | undefined;

  constructor(texts: readonly HTMLElement[], onchange: () => void) {
    this.#onchange = onchange;
    for (const text of texts) for (const block of text.querySelectorAll("h4, p, li")) this.#mark(block);
    this.#observe();
  }

  get isComplete(): boolean {
    return this.#unseen.size === 0;
  }

  /** Scrolls to the first part not seen yet and moves the focus there, so a screen reader reads it. */
  showNext(): void {
    const [mark] = this.#unseen;
    const block = mark?.parentElement;
    if (!mark || !block) return;
    block.tabIndex = -1;
    block.focus({ preventScroll: true });
    mark.scrollIntoView({ block: "start" });
    // The window may have another shape by now.
    this.#observe();
  }

  #mark(block: Element): void {
    const lines = Math.ceil(block.textContent.length / LINE_CHARACTERS);
    for (let line = 0; line <= lines; line++) {
      const mark = h("span", { class: "mark" });
      mark.style.insetBlockStart = `calc((100% - 1px) * ${line / Math.max(lines, 1)})`;
      block.append(mark);
      this.#unseen.add(mark);
    }
  }

  #observe(): void {
    this.#observer?.disconnect();
    const covered = getComputedStyle(document.documentElement).scrollPaddingBlockStart;
    const top = /^[\d.]+(px|%)$/.test(covered) ? covered : "0px";
    this.#observer = new IntersectionObserver((entries) => this.#note(entries), { rootMargin: `-${top} 0px 0px` });
    for (const mark of this.#unseen) this.#observer.observe(mark);
  }

  #note(entries: readonly IntersectionObserverEntry[]): void {
    for (const { isIntersecting, target } of entries) {
      if (!isIntersecting || !this.#unseen.delete(target)) continue;
      this.#observer?.unobserve(target);
    }
    if (!this.isComplete) return;
    this.#observer?.disconnect();
    this.#onchange();
  }
}

/**
 * Building DOM without a framework, and without anything a strict content security policy forbids:
 * no HTML strings, no inline styles, no inline handlers.
 */

export type Child = Node | string | null | undefined | false | readonly Child[];

type Attributes = Record<string, string | number | boolean | null | undefined | ((event: Event) => void)>;

/**
 * Makes an element. `onclick` and its like are listeners; `true` is an empty attribute; `false`,
 * `null` and `undefined` leave the attribute out.
 */
export function h<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Attributes = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, String(value));
  }
  element.append(...flatten(children));
  return element;
}

export function replaceChildren(parent: ParentNode, ...children: Child[]): void {
  parent.replaceChildren(...flatten(children));
}

function flatten(children: readonly Child[]): (Node | string)[] {
  return children.flatMap((child): (Node | string)[] => {
    if (child === null || child === undefined || child === false) return [];
    return Array.isArray(child) ? flatten(child) : [child as Node | string];
  });
}

/**
 * Shows a consent text: `# ` starts a heading, `- ` a list item, an empty line a paragraph. The bytes
 * of the text are what is signed; nothing is added to them here.
 */
export function prose(text: string, headingTag: "h3" | "h4" = "h4"): HTMLElement[] {
  return text.split(/\n{2,}/).flatMap((block): HTMLElement[] => {
    const lines = block.split("\n").filter((line) => line.trim() !== "");
    const first = lines[0];
    if (first === undefined) return [];
    const heading = first.startsWith("# ") ? [h(headingTag, {}, first.slice(2))] : [];
    const rest = lines.slice(heading.length);
    const items = rest.filter((line) => line.startsWith("- "));
    const plain = rest.filter((line) => !line.startsWith("- ")).join(" ");
    return [
      ...heading,
      ...(plain ? [h("p", {}, plain)] : []),
      ...(items.length > 0 ? [h("ul", {}, ...items.map((line) => h("li", {}, line.slice(2))))] : []),
    ];
  });
}

/** Names are unique within a shadow root; a counter keeps them unique when roots repeat. */
let lastId = 0;
export function uniqueId(prefix: string): string {
  lastId += 1;
  return `${prefix}-${lastId}`;
}

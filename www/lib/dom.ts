/** Building DOM by hand: attributes as strings, `on...` as listeners, `true` as an empty attribute. */

export type Child = Node | string | null | undefined | false | readonly Child[];
type Attributes = Record<string, string | number | boolean | null | undefined | ((event: Event) => void)>;

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
  fill(element, ...children);
  return element;
}

/** Replaces what is inside. */
export function fill(parent: ParentNode, ...children: Child[]): void {
  parent.replaceChildren(...flat(children));
}

function flat(children: readonly Child[]): (Node | string)[] {
  return children.flatMap((child): (Node | string)[] => {
    if (child === null || child === undefined || child === false) return [];
    return Array.isArray(child) ? flat(child) : [child as Node | string];
  });
}

export interface ButtonOptions {
  testid: string;
  class?: string | undefined;
  onclick(event: Event): void;
}

export function button(label: Child, { testid, onclick, class: name }: ButtonOptions): HTMLButtonElement {
  return h("button", { type: "button", class: name, "data-testid": testid, onclick }, label);
}

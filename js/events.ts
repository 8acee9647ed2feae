/** An `EventTarget` whose event names and details TypeScript knows. */

/** Base class: `Events` maps each event's name to its `detail`. */
export class TypedEventTarget<Events extends object> extends EventTarget {
  /**
   * Calls `listener` with each event's detail, until the returned function is called or `signal`
   * is aborted.
   */
  on<Name extends keyof Events & string>(
    name: Name,
    listener: (detail: Events[Name]) => void,
    options: { signal?: AbortSignal } = {},
  ): () => void {
    const handler = (event: globalThis.Event) => listener((event as CustomEvent<Events[Name]>).detail);
    this.addEventListener(name, handler, options.signal ? { signal: options.signal } : undefined);
    return () => this.removeEventListener(name, handler);
  }

  /** @internal */
  protected emit<Name extends keyof Events & string>(name: Name, detail: Events[Name]): void {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }
}

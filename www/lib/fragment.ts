/**
 * What stands in the address's fragment, taken out of the address bar and of the tab's history at once.
 *
 * Every page that is opened with a secret imports this module first: it runs before anything else of the page does.
 * Where a reload needs what it held, the page keeps that itself, for as long as it is of use.
 */

/** As the page was opened; empty when there was none. */
export const fragmentText: string = take();
export const fragment = new URLSearchParams(fragmentText);

/** The next person at this computer does not get a page back out of the browser's memory. */
window.addEventListener("pageshow", ({ persisted }) => {
  if (persisted) location.reload();
});

/** A new link pasted over the address of a page that is open changes nothing but the fragment: it is opened too. */
export function onNewFragment(open: (fragment: string) => void): void {
  window.addEventListener("hashchange", () => {
    const next = take();
    if (next !== "") open(next);
  });
}

function take(): string {
  const { hash, pathname, search } = location;
  // A link whose # became ?: the server has seen it; nobody else has to.
  const isInQuery = hash === "" && /[?&](?:amp;)?secret=/.test(search);
  if (hash !== "" || isInQuery) history.replaceState(null, "", isInQuery ? pathname : pathname + search);
  return (isInQuery ? search : hash).slice(1);
}

/**
 * What stands in the address's fragment, taken out of the address bar and of the tab's history at once.
 *
 * Every page that is opened with a secret imports this module first: it runs before anything else of the page does.
 * Where a reload needs what it held, the page keeps that itself, for as long as it is of use.
 */

/** As the page was opened; empty when there was none. */
export const fragment: URLSearchParams = take();

/** The next person at this computer does not get a page back out of the browser's memory. */
window.addEventListener("pageshow", ({ persisted }) => {
  if (persisted) location.reload();
});

/** A new link pasted over the address of a page that is open changes nothing but the fragment: it is opened, too. */
export function onNewFragment(open: (fragment: URLSearchParams) => void): void {
  window.addEventListener("hashchange", () => {
    const next = take();
    if (next.size > 0) open(next);
  });
}

function take(): URLSearchParams {
  const taken = new URLSearchParams(location.hash.slice(1));
  if (location.hash !== "") history.replaceState(null, "", location.pathname + location.search);
  return taken;
}

/**
 * The one page for every address that is none. Links arrive damaged, their secret in the path: it is taken out of the
 * address bar at once, and where it is certain which page and visit were meant, that page is opened.
 */
import { fill, h } from "./lib/dom.js";
import { showPage } from "./lib/frame.js";
import { pageIn, visitLinkIn } from "./lib/repair.js";
import { words } from "./strings/index.js";

const asked = location.pathname + location.search + location.hash;
history.replaceState(null, "", "/");
const page = pageIn(asked);
const link = visitLinkIn(asked);
/** The pages are beside this script. The address does not influence where a secret goes. */
const target = page && new URL(page, import.meta.url);

if (target && link !== "damaged") {
  if (link) target.hash = new URLSearchParams({ ...link }).toString();
  location.replace(target);
} else {
  showPage((main) => {
    const { link_damaged, no_page } = words().join;
    const text = link === null ? no_page : link_damaged;
    fill(main, h("h1", {}, words().page.title), h("p", { class: "notice", "data-testid": "lost" }, text));
    return words().page.title;
  });
}

/**
 * The HTML of every page: one shell, and what differs as data. Everything that people see is drawn by the page's script.
 *
 * A new page is an entry here and its script, `www/SCRIPT.ts`. `www/index.html` only leads to the start page.
 */

/**
 * @typedef {object} Page
 * @property {string} title
 * @property {string} script of www/, without extension
 * @property {boolean} [call] shows a visit: with its style sheet
 * @property {boolean} [anywhere] is served for paths in any folder: its addresses begin at the root
 */

/** @type {Record<string, Page>} */
export const pages = {
  start: { title: "Plan a visit", script: "start" },
  clinician: { title: "Visit", script: "visit", call: true },
  patient: { title: "Visit", script: "visit", call: true },
  guest: { title: "Visit", script: "visit", call: true },
  recorder: { title: "Recorder", script: "recorder", call: true },
  playback: { title: "Watch a recording", script: "playback" },
  record: { title: "Visit record", script: "record" },
  withdraw: { title: "Withdraw", script: "withdraw" },
  lost: { title: "Not found", script: "lost", anywhere: true },
};

/** File name and text of each page. */
export function pageShells() {
  return new Map(Object.entries(pages).map(([name, page]) => [`${name}.html`, shell(page)]));
}

/** @param {Page} page */
function shell({ title, script, call = false, anywhere = false }) {
  const base = anywhere ? "/" : "./";
  const styles = ["tokens", "base", ...(call ? ["call"] : [])];
  return `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <meta name="referrer" content="no-referrer">
    <meta name="robots" content="noindex">
    <title>${title} – Sealed Visit</title>
    <link rel="icon" href="${base}icon.svg" type="image/svg+xml">
${styles.map((name) => `    <link rel="stylesheet" href="${base}styles/${name}.css">`).join("\n")}
    <script type="module" src="${base}${script}.js"></script>
  </head>
  <body>
    <noscript>This page needs JavaScript: the visit is encrypted in your browser.</noscript>
  </body>
</html>
`;
}

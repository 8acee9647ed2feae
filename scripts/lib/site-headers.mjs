/**
 * The headers that the page server sends with every response, and the checks that every request passes first.
 *
 *     pageHeaders(contentSecurityPolicy(["ws://127.0.0.1:4000"]));   // for pages, scripts, errors
 *     upstreamHeaders;                                               // for whatever a proxied server answered
 *     canonicalTarget("/relay/v1/visit?x=1");                        // { pathname, search }, or null
 */

/** The policy of every page; `connect` adds origins that pages may talk to. */
export function contentSecurityPolicy(connect = []) {
  return [
    "default-src 'none'",
    "script-src 'self' 'wasm-unsafe-eval'",
    "worker-src 'self'",
    "style-src 'self'",
    "img-src 'self' blob: data:",
    "media-src 'self' blob:",
    "font-src 'self'",
    "manifest-src 'self'",
    ["connect-src 'self'", ...connect].join(" "),
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join("; ");
}

/** A document under this policy loads nothing, runs nothing, and has an origin of its own. */
const inert = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; sandbox";

export function pageHeaders(policy) {
  return {
    "Content-Security-Policy": policy,
    "Permissions-Policy": "camera=(self), microphone=(self), display-capture=(self), screen-wake-lock=(self)",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
  };
}

/** Responses of proxied servers are data for `fetch`; none of them is ever a page, a script or a worker. */
export const upstreamHeaders = pageHeaders(inert);

/**
 * A request target in origin form (RFC 9112 section 3.2.1) whose path means the same to every server that reads it, or
 * null. Absolute URLs, `//host`, backslashes, dot segments, and encoded forms of these are not repaired but refused:
 * two servers that repair them differently see two different requests.
 */
export function canonicalTarget(target) {
  const match = /^(\/[^?#]*)(\?[^#]*)?$/.exec(target);
  if (!match) return null;
  const [, path, search = ""] = match;
  let pathname;
  try {
    pathname = decodeURIComponent(path);
  } catch {
    return null;
  }
  // What decodes to another escape could be decoded once more further on.
  if (/[^\x21-\x7e]/.test(target) || /[\\%]|\/\/|[^\x20-\x7e]/.test(pathname)) return null;
  if (/%2f/i.test(path) || pathname.split("/").some((segment) => segment === "." || segment === "..")) return null;
  return { path, pathname, search };
}

/** The host in a Host header or URL authority, without its port; null when it is none. */
function hostnameOf(authority) {
  const match = /^(\[[0-9a-f:.]+\]|[a-z0-9.-]+)(?::\d{1,5})?$/i.exec(authority ?? "");
  return match ? match[1].toLowerCase() : null;
}

/**
 * Why a request is refused before anything looks at its path: a status, or null. A name that is not ours in `Host` is
 * how a foreign page reaches this server through its own DNS name; another site in `Origin` is a page that calls us.
 */
export function refusalOf({ headers, rawHeaders }, { hosts, scheme }) {
  const hostHeaders = rawHeaders.filter((name, index) => index % 2 === 0 && name.toLowerCase() === "host");
  const hostname = hostnameOf(headers.host);
  if (hostHeaders.length !== 1 || hostname === null) return 400;
  if (!hosts.has(hostname)) return 421;
  const { origin } = headers;
  if (origin !== undefined && origin.toLowerCase() !== `${scheme}://${headers.host.toLowerCase()}`) return 403;
  return null;
}

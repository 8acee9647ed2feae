/**
 * Repairs damage to links by mail programs, chats, and people, where there is only one way to repair it.
 *
 * A visit's link is `PAGE.html#visit=22 characters&secret=43 characters`: a period or bracket after it, `&amp;`, `=3D`, a
 * line break in its middle, or `%23` can only be damage. A character that is missing or changed cannot be guessed.
 */

/** base64url of a visit's 16 bytes and a secret's 32. */
const VISIT_LINK = /(?:^|[#?&/])visit=(?:3D)?([\w-]{22})&secret=(?:3D)?([\w-]{43})(?![\w-])/;
/** Who meant to open a visit, whatever became of the link. */
const LOOKS_LIKE_A_LINK = /visit=|secret=/i;

const PAGES = ["clinician", "guest", "patient", "playback", "record", "recorder", "start", "withdraw"] as const;

export interface VisitLink {
  visit: string;
  secret: string;
}

/** The visit's link in a text; `"damaged"` when there was one that cannot be repaired. */
export function visitLinkIn(text: string): VisitLink | "damaged" | null {
  const plain = cleaned(text);
  // Text after a space is not part of the link, but a link broken over two lines is one link.
  for (const candidate of [plain, plain.replace(/\s/g, "")]) {
    const [, visit, secret] = VISIT_LINK.exec(candidate) ?? [];
    if (visit !== undefined && secret !== undefined) return { visit, secret };
  }
  return LOOKS_LIKE_A_LINK.test(text) ? "damaged" : null;
}

/** The page that someone meant who came to a path that is none: its file's name, or null. */
export function pageIn(path: string): string | null {
  const [beforeFragment = ""] = cleaned(path).split("#");
  const [, name = ""] = /([a-z]+)(?:\.html?)?[^a-z]*$/.exec(beforeFragment.toLowerCase()) ?? [];
  const page = PAGES.find((known) => known === name);
  return page ? `${page}.html` : null;
}

function cleaned(text: string): string {
  let plain = text;
  // Encoded twice by what rewrote a link that was encoded already.
  for (let times = 0; times < 2; times++) plain = decoded(plain);
  return (
    plain
      .replace(/&(?:amp|#38|#x26);/gi, "&")
      // A soft line break of quoted-printable; and what nobody sees.
      .replace(/=\r?\n/g, "")
      .replace(/[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff]/g, "")
  );
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    // A lone percent sign: decode the rest.
    return text.replace(/%23/g, "#").replace(/%26/g, "&").replace(/%3D/gi, "=");
  }
}

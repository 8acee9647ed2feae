/**
 * The forms of a passphrase that a key file may depend on, the likeliest first, nothing twice.
 *
 * New keys use Unicode Normalization Form C without a byte order mark or a line ending. Older keys took the bytes as
 * they came: composed or decomposed, with a file's byte order mark, with an environment variable's line ending.
 * `crates/cli/src/passphrase/forms.rs` does the same; `tests/vectors/passphrases.json` holds both to it.
 */
const BYTE_ORDER_MARK = "\ufeff";
const OLDER_ENDINGS = ["\n", "\r\n", "\r"];

export function formsOf(typed: string): string[] {
  const undecorated = typed.startsWith(BYTE_ORDER_MARK) ? typed.slice(1) : typed;
  const bare = undecorated.replace(/[\r\n]+$/, "");
  const [composed, decomposed] = [bare.normalize("NFC"), bare.normalize("NFD")];
  const forms = new Set([composed, typed, bare, decomposed]);
  for (const form of [composed, decomposed]) {
    for (const ending of OLDER_ENDINGS) forms.add(form + ending);
    forms.add(BYTE_ORDER_MARK + form);
  }
  return [...forms];
}

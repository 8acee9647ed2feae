/**
 * Who is called like somebody else who is present, or nearly so: the same letters in another script or case, with other
 * marks, spaces or punctuation. A small part of Unicode's confusables (UTS 39), the letters of names; it marks, and decides
 * nothing.
 */

/** Each letter and the Latin one that it looks like. */
const LOOKS_LIKE = new Map(
  (
    "аaвbеeоoрpсcуyхxіiјjкkмmнhтtѕsԁdһhԛqԝwгrӏl" +
    "АaВbЕeОoРpСcУyХxІiЈjКkМmНhТtЅs" +
    "αaβbεeιiκkνvοoρpτtυuχxγyωwηn" +
    "ΑaΒbΕeΖzΗhΙiΚkΜmΝnΟoΡpΤtΥyΧx" +
    "օoսuոnհhցgզq" +
    "ıiøoØołlŁlđdĐdħh0o1l|l5s"
  )
    .match(/../gu)
    ?.map((pair) => [...pair] as [string, string]),
);

export function skeleton(name: string): string {
  return [...name.normalize("NFKD")]
    .map((letter) => LOOKS_LIKE.get(letter) ?? letter.toLowerCase())
    .join("")
    .replace(/[^\p{L}\p{N}]/gu, "")
    .replaceAll("i", "l")
    .replaceAll("rn", "m")
    .replaceAll("vv", "w");
}

interface Named {
  readonly participant: string;
  readonly name?: string | null;
}

export function lookAlikes(people: readonly Named[]): ReadonlySet<string> {
  const bySkeleton = new Map<string, string[]>();
  for (const { participant, name } of people) {
    if (!name) continue;
    const key = skeleton(name);
    bySkeleton.set(key, [...(bySkeleton.get(key) ?? []), participant]);
  }
  return new Set([...bySkeleton.values()].filter(({ length }) => length > 1).flat());
}

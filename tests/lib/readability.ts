/**
 * How hard a text is to read. Formulas from their papers:
 * English: Flesch-Kincaid grade level (Kincaid et al. 1975), 0.39 words/sentence + 11.8 syllables/word - 15.59.
 * Spanish: Crawford (1984), -0.205 sentences/100 words + 0.049 syllables/100 words - 3.407, in school years;
 * and Fernández Huerta (1959) as corrected, 206.84 - 60 syllables/word - 1.02 words/sentence, 0..100.
 *
 * Headings and list items end a sentence. Syllables are counted from spelling.
 */

export function englishGrade(text: string): number {
  const { words, sentences, syllables } = measure(text, englishSyllables);
  return (0.39 * words) / sentences + (11.8 * syllables) / words - 15.59;
}

export function spanishGrade(text: string): number {
  const { words, sentences, syllables } = measure(text, spanishSyllables);
  return (-0.205 * 100 * sentences) / words + (0.049 * 100 * syllables) / words - 3.407;
}

export function spanishEase(text: string): number {
  const { words, sentences, syllables } = measure(text, spanishSyllables);
  return 206.84 - (60 * syllables) / words - (1.02 * words) / sentences;
}

function measure(
  text: string,
  syllablesOf: (word: string) => number,
): { words: number; sentences: number; syllables: number } {
  const sentences = text
    .split(/[.!?]+(?=\s|$)|\n+/u)
    .map((sentence): string[] => sentence.match(/[\p{L}\p{N}][\p{L}\p{N}'’-]*/gu) ?? [])
    .filter((words) => words.length > 0);
  const words = sentences.flat();
  return {
    words: words.length,
    sentences: sentences.length,
    syllables: words.reduce((sum, word) => sum + syllablesOf(word.toLowerCase()), 0),
  };
}

/** Groups of vowels; a silent final e, and -es, -ed where they are silent, do not count. */
function englishSyllables(word: string): number {
  const plain = word
    .normalize("NFD")
    .replace(/[^a-z]/g, "")
    .replace(/(?:[^laeiouy]es|[^tdaeiouy]ed|[^laeiouy]e)$/u, (ending) => ending.charAt(0));
  // What is heard as two: -ia-, -io- and -iu- not after t, s, c; -ie- in -iet; -ua-, -eo- and -y- before a vowel.
  const split = plain.match(/(?<![tscg])i[aou]|iet|e[ou](?!s$|r)|ua|y[aeiou]/g)?.length ?? 0;
  return Math.max(1, (plain.match(/[aeiouy]+/g)?.length ?? 0) + split);
}

/** Groups of vowels; two strong vowels, or a stressed weak one, part; qu, gue, gui have a silent u. */
function spanishSyllables(word: string): number {
  const plain = word
    .replace(/qu(?=[eiéí])/g, "q")
    .replace(/gu(?=[eiéí])/g, "g")
    .replace(/y$/, "i");
  const groups = plain.match(/[aeiouáéíóúü]+/g) ?? [];
  const hiatus = groups.reduce(
    (sum, group) => sum + (group.match(/[aeoáéó](?=[aeoáéóíú])|[íú](?=[aeoáéó])/g)?.length ?? 0),
    0,
  );
  return Math.max(1, groups.length + hiatus);
}

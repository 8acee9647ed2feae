/** Puts values into strings: `{name}` stands for a value. An unknown name stays as it is, and shows. */
export function formatText(text: string, values: Record<string, string | number>): string {
  return text.replace(/\{(\w+)\}/g, (whole, name: string) => (name in values ? String(values[name]) : whole));
}

/** The time of day, as the language writes it: `14:02`, `2:02 PM`. */
export function formatTime(at_ms: number, language: string): string {
  return new Intl.DateTimeFormat(language, { timeStyle: "short" }).format(at_ms);
}

/** A calendar day in words, as the language writes it. */
export function formatDay(at_ms: number, language: string): string {
  return new Intl.DateTimeFormat(language, { dateStyle: "long" }).format(at_ms);
}

/** A span of days in the largest unit that divides it without doubt: `30 days`, `7 years`. */
export function formatDays(days: number, language: string): string {
  const whole = days >= 365 && days % 365 === 0 ? { value: days / 365, unit: "year" } : { value: days, unit: "day" };
  return new Intl.NumberFormat(language, { style: "unit", unit: whole.unit, unitDisplay: "long" }).format(whole.value);
}

export function formatList(items: readonly string[], language: string): string {
  return new Intl.ListFormat(language, { type: "conjunction" }).format(items);
}

/**
 * Places a person can name: countries by ISO 3166-1, states of the United States by ISO 3166-2. Names
 * come from the browser; only codes travel.
 */

const countryCodes =
  "US CA MX PR GT SV HN NI CR PA CO VE EC PE BO CL AR UY PY BR CU DO HT JM ES PT FR DE IT AT CH BE NL LU GB IE DK SE NO FI IS PL CZ SK HU RO BG GR HR SI EE LV LT UA RU TR IL EG MA ZA NG KE ET GH IN PK BD LK NP CN JP KR TW HK SG MY TH VN PH ID AU NZ";

/** State and district names are the same in all languages here. */
const states: Record<string, string> = {
  AL: "Alabama",
  AK: "Alaska",
  AZ: "Arizona",
  AR: "Arkansas",
  CA: "California",
  CO: "Colorado",
  CT: "Connecticut",
  DE: "Delaware",
  DC: "District of Columbia",
  FL: "Florida",
  GA: "Georgia",
  HI: "Hawaii",
  ID: "Idaho",
  IL: "Illinois",
  IN: "Indiana",
  IA: "Iowa",
  KS: "Kansas",
  KY: "Kentucky",
  LA: "Louisiana",
  ME: "Maine",
  MD: "Maryland",
  MA: "Massachusetts",
  MI: "Michigan",
  MN: "Minnesota",
  MS: "Mississippi",
  MO: "Missouri",
  MT: "Montana",
  NE: "Nebraska",
  NV: "Nevada",
  NH: "New Hampshire",
  NJ: "New Jersey",
  NM: "New Mexico",
  NY: "New York",
  NC: "North Carolina",
  ND: "North Dakota",
  OH: "Ohio",
  OK: "Oklahoma",
  OR: "Oregon",
  PA: "Pennsylvania",
  RI: "Rhode Island",
  SC: "South Carolina",
  SD: "South Dakota",
  TN: "Tennessee",
  TX: "Texas",
  UT: "Utah",
  VT: "Vermont",
  VA: "Virginia",
  WA: "Washington",
  WV: "West Virginia",
  WI: "Wisconsin",
  WY: "Wyoming",
};

export interface Place {
  code: string;
  name: string;
}

/** Countries, the United States first, then by name. */
export function countries(language: string): Place[] {
  const names = new Intl.DisplayNames(language, { type: "region" });
  const [first, ...rest] = countryCodes.split(" ").map((code) => ({ code, name: names.of(code) ?? code }));
  rest.sort((a, b) => a.name.localeCompare(b.name, language));
  return first ? [first, ...rest] : rest;
}

export function statesOf(country: string): Place[] {
  return country === "US" ? Object.entries(states).map(([code, name]) => ({ code: `US-${code}`, name })) : [];
}

/** `California, United States` for `US-CA`. */
export function placeName(code: string, language: string): string {
  const [country = "", state = ""] = code.split("-");
  const name = new Intl.DisplayNames(language, { type: "region" }).of(country) ?? country;
  return state === "" ? name : `${(country === "US" && states[state]) || code}, ${name}`;
}

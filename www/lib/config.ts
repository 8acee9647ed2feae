/**
 * What a deployment would build into its pages; the demo's server makes it with each new clinic.
 *
 * `root_key` is the one thing a real page must not fetch: its server decides what is trusted.
 */
import type { VisitState } from "sealed-visit";
import { PURPOSES, type RecipientRole } from "sealed-visit/components";
import type { ClinicRecipient, PurposeRule } from "sealed-visit/host";

export interface Config {
  root_key: string;
  clinic_document: string;
  relay_url: string;
  authority_url: string;
  vault_url: string;
  /** From the clinic, signed by its root key: recordings that devices must delete. */
  wipe_orders?: readonly string[];
  languages: readonly string[];
  /** Codes, or rules where the defaults do not fit. */
  purposes?: readonly (string | Partial<PurposeRule>)[];
  /** The clinic's logo, shown before the visit; of the page's origin. */
  logo_url?: string;
  /** What the visits' templates mean for these pages, by the name that the scheduler gives. */
  templates?: Readonly<Record<string, VisitTemplate>>;
}

export interface VisitTemplate {
  /** Who signs for the patient's side: the person, a representative, or both. Default: the person says. */
  signers?: "any" | "self" | "representative" | "both";
  /** Whether the host's page locks the visit once everyone invited has joined. It does by default. */
  lock?: "when_all_joined" | "manual";
  /** Only these purposes are offered. */
  purposes?: readonly string[];
}

/** What the clinic document says, read but not verified: the core verifies it and refuses to join otherwise. */
export interface ClinicInfo {
  name: string;
  contact: string;
  recipients: ClinicRecipient[];
}

export async function loadConfig(): Promise<Config> {
  const response = await fetch("/config.json", { cache: "no-store" });
  if (!response.ok) throw new Error(`/config.json: HTTP ${response.status}`);
  return (await response.json()) as Config;
}

export function clinicInfo({ clinic_document }: Pick<Config, "clinic_document">): ClinicInfo {
  const claims = claimsOf(clinic_document) as ClinicInfo & { retired?: string[] };
  const retired = new Set(claims.retired ?? []);
  return {
    name: claims.name,
    contact: claims.contact,
    recipients: claims.recipients
      .filter(({ fingerprint }) => !retired.has(fingerprint))
      .map(({ fingerprint, role }) => ({ fingerprint, role })),
  };
}

/** The payload of a JWS, without a check of its signature. */
export function claimsOf(jws: string): unknown {
  const payload = (jws.split(".")[1] ?? "").replaceAll("-", "+").replaceAll("_", "/");
  return JSON.parse(new TextDecoder().decode(Uint8Array.from(atob(payload), (char) => char.charCodeAt(0))));
}

const defaultRoles: Record<string, readonly RecipientRole[]> = {
  medical_record: ["responsible_clinician"],
  supervision: ["responsible_clinician", "supervisor"],
  quality_review: ["quality_reviewer"],
  ai_note: ["responsible_clinician", "ai_processor"],
  dispute: ["legal"],
  research: ["researcher"],
  other: ["responsible_clinician"],
};

/** The purposes offered by clinic and template, with their rules. An archive, if there is one, gets every recording. */
export function purposeRules(config: Config, { recipients }: ClinicInfo, template: VisitTemplate): PurposeRule[] {
  const hasArchive = recipients.some(({ role }) => role === "archive");
  return (config.purposes ?? PURPOSES).flatMap((entry): PurposeRule[] => {
    const own = typeof entry === "string" ? { purpose: entry as PurposeRule["purpose"] } : entry;
    const purpose = own.purpose;
    if (purpose === undefined || !PURPOSES.includes(purpose)) return [];
    if (template.purposes && !template.purposes.includes(purpose)) return [];
    return [
      {
        retention_days: purpose === "medical_record" || purpose === "dispute" ? 365 * 7 : 30,
        on_withdrawal: "ask",
        recipient_roles: [...(defaultRoles[purpose] ?? []), ...(hasArchive ? (["archive"] as const) : [])],
        ...(purpose === "ai_note" && { processor_retention_days: 7 }),
        ...own,
        purpose,
      },
    ];
  });
}

/** The template speaks of the patient's side; everyone else decides for themselves. */
export function signersHere({ me }: VisitState, { signers }: VisitTemplate): VisitTemplate["signers"] {
  return me.role === "patient" || me.role === "representative" ? signers : undefined;
}

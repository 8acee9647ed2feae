/** Words that only a host reads; loaded with the elements for hosts. */
import { primary, type StringsPatch } from "./index.js";

const en = {
  purpose_hint: {
    medical_record: "Kept as part of the patient’s record.",
    supervision: "Watched by the named supervisor.",
    quality_review: "Watched by the named reviewers to check the quality of care.",
    ai_note: "A named service uses it to draft a note.",
    dispute: "Kept as evidence for a complaint or legal case.",
    research: "Used by the named researchers.",
    other: "You give the reason in your own words.",
  },
  /** For clinicians: what to do when something happens. */
  emergency: {
    title: "In an emergency",
    call: "Callback number: {number}",
    says: "{who} says: {place}",
    confirm: "Confirm",
    confirm_named: "Confirm that {who} is in {place}",
    confirmed: "Confirmed",
  },
  request: {
    title: "Ask to record this visit",
    lead: "Recording is off. To record, you need a reason, and everyone must agree. You will be asked too.",
    checklist: "Before you ask",
    identity_verified: "I checked that each person is who they say they are.",
    emergency_place_known: "I know where the patient is and how to reach them in an emergency.",
    private_setting: "The patient is in a private place and can talk freely.",
    emergency: "Callback number for an emergency (optional)",
    emergency_hint: "Only clinicians in this visit can see it. It is not sent to the clinic’s servers.",
    purpose: "Why do you want to record?",
    other_text: "Give the reason in a few words. Everyone will read it",
    recipients: "Who can watch it",
    recipients_none:
      "The clinic has not named anyone who may open recordings made for this reason. You cannot record for it.",
    until: "It is kept for {span}. Then the clinic has to delete it.",
    withdrawal: "If someone changes their mind",
    withdrawal_ask: "They choose whether to keep or delete it",
    withdrawal_delete: "The whole recording is deleted",
    withdrawal_keep: "What was recorded before then is kept",
    part2: "42 CFR Part 2 applies to this visit (alcohol and drug treatment)",
    again_reason: "This is the second and last time you can ask. Say why",
    submit: "Ask everyone",
    cancel: "Cancel",
    incomplete_checklist: "Please check all three boxes first.",
    incomplete_purpose: "Please choose a reason.",
    incomplete_other: "Please say why.",
  },
};

export type HostStrings = typeof en;

const es: HostStrings = {
  purpose_hint: {
    medical_record: "Se guarda como parte de la historia clínica del paciente.",
    supervision: "La ve el supervisor designado.",
    quality_review: "La ven los revisores designados para revisar la calidad de la atención.",
    ai_note: "Un servicio designado la usa para redactar un borrador de la nota.",
    dispute: "Se guarda como prueba para un reclamo o un caso legal.",
    research: "La usan los investigadores designados.",
    other: "Usted da el motivo con sus propias palabras.",
  },
  emergency: {
    title: "En una emergencia",
    call: "Número para devolver la llamada: {number}",
    says: "{who} dice: {place}",
    confirm: "Confirmar",
    confirm_named: "Confirmar que {who} está en {place}",
    confirmed: "Confirmado",
  },
  request: {
    title: "Pedir que se grabe esta consulta",
    lead: "La grabación está apagada. Para grabar se necesita un motivo, y todos deben aceptar. A usted también se le preguntará.",
    checklist: "Antes de preguntar",
    identity_verified: "Verifiqué que cada persona es quien dice ser.",
    emergency_place_known: "Sé dónde está el paciente y cómo comunicarme con él en una emergencia.",
    private_setting: "El paciente está en un lugar privado y puede hablar con libertad.",
    emergency: "Número para devolver la llamada en una emergencia (opcional)",
    emergency_hint: "Solo lo ven los profesionales de esta consulta. No se envía a los servidores de la clínica.",
    purpose: "¿Para qué quiere grabar?",
    other_text: "Dé el motivo en pocas palabras. Todos lo leerán",
    recipients: "Quién puede verla",
    recipients_none:
      "La clínica no ha designado a nadie que pueda abrir grabaciones hechas por este motivo. No se puede grabar por este motivo.",
    until: "Se guarda {span}. Luego la clínica tiene que borrarla.",
    withdrawal: "Si alguien cambia de idea",
    withdrawal_ask: "Esa persona elige si se guarda o se borra",
    withdrawal_delete: "Se borra toda la grabación",
    withdrawal_keep: "Se guarda lo grabado hasta entonces",
    part2: "Esta consulta está sujeta a 42 CFR Parte 2 (tratamiento por alcohol y drogas)",
    again_reason: "Esta es la segunda y última vez que puede preguntar. Diga por qué",
    submit: "Preguntar a todos",
    cancel: "Cancelar",
    incomplete_checklist: "Marque primero las tres casillas.",
    incomplete_purpose: "Elija un motivo.",
    incomplete_other: "Diga por qué.",
  },
};

const byLanguage: Record<string, HostStrings> = { en, es };

/** The words in a language (English if it is not available), overridden by a deployment's own. */
export function hostStringsFor(language: string, patch: StringsPatch): HostStrings {
  const { purpose_hint, emergency, request } = byLanguage[primary(language)] ?? en;
  return {
    purpose_hint: { ...purpose_hint, ...patch.purpose_hint },
    emergency: { ...emergency, ...patch.emergency },
    request: { ...request, ...patch.request },
  };
}

/** Words of the page that plans a visit; only it loads them. */
import { language } from "./index.js";

const en = {
  title: "Plan a visit",
  lead: "Create a visit and a link for each person. A link works once, for one person. Send each person only their own link.",
  make: "Create a visit",
  again: "Create another visit",
  minutes: "Length in minutes",
  relative: "A relative will join",
  interpreter: "An interpreter will join",
  colleague: "A second clinician will join",
  recorder: "A recorder on another device",
  links: "Links",
  open: "Open here",
  role_clinician: "For the clinician",
  role_patient: "For the patient",
  role_guest: "For the relative",
  role_interpreter: "For the interpreter",
  role_clinician_2: "For the second clinician",
  role_recorder: "For the recorder",
  warn: "Anyone who has a link can join with it. A link stops working after it is used or when the visit is over.",
  no_start: "You cannot create visits from this address. Open the one the server printed when it started.",
  playback: "Watch a recording",
};

const es: typeof en = {
  title: "Programar una consulta",
  lead: "Cree una consulta y un enlace para cada persona. Un enlace sirve una sola vez, para una sola persona. Envíe a cada persona solo su enlace.",
  make: "Crear una consulta",
  again: "Crear otra consulta",
  minutes: "Duración en minutos",
  relative: "Participará un familiar",
  interpreter: "Participará un intérprete",
  colleague: "Participará un segundo profesional",
  recorder: "Una grabadora en otro dispositivo",
  links: "Enlaces",
  open: "Abrir aquí",
  role_clinician: "Para el profesional",
  role_patient: "Para el paciente",
  role_guest: "Para el familiar",
  role_interpreter: "Para el intérprete",
  role_clinician_2: "Para el segundo profesional",
  role_recorder: "Para la grabadora",
  warn: "Cualquiera que tenga un enlace puede entrar con él. Un enlace deja de servir después de usarse o cuando termina la consulta.",
  no_start: "Desde esta dirección no se pueden crear consultas. Abra la que el servidor mostró al iniciar.",
  playback: "Ver una grabación",
};

const all = { en, es };

export const startWords = (): typeof en => all[language()];

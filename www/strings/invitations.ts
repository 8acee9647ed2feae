/** Words for the host about links: who came, who is locked out, and what was done about it. */
import { language } from "./index.js";

const en = {
  title: "Links",
  came: "Has opened the link.",
  not_yet: "Has not opened the link yet.",
  passcode_locked: "Locked after five wrong passcodes.",
  browser: "Another browser tried this link at {time}. It shows the code {code}.",
  approved: "You let in the browser with the code {code}. It has not joined yet.",
  turned_away: "Tried to join while the visit was locked. Unlock the visit, and this person reaches the waiting room.",
  approve: "Let this browser in",
  unlock: "Unlock the passcode",
  new_link: "Make a new link",
  scheduler_only: "A new link for a clinician comes from your scheduling desk.",
  send: "Send this link to {who} only. It works once.",
  link: "New link",
  ask_approve: "Let the browser with the code {code} in?",
  ask_approve_1:
    "Call {who} at a number you know, and have them read you the code on their screen. Let the browser in only if it says {code}.",
  ask_approve_2:
    "The browser that used the link before can then no longer join. If someone is already in the visit in its place, remove them.",
  ask_approve_yes: "The code matches",
  ask_link: "Make a new link for {who}?",
  ask_link_1:
    "The old link no longer works, nor does the browser that used it. The passcode, if there is one, stays the same.",
  ask_link_yes: "Make a new link",
  cancel: "Cancel",
  failed: "That did not work. Try again in a moment.",
  attention_browser:
    "Someone tried to use the link of {who} in another browser. They were not let in. See Links under People.",
  attention_passcode: "The link of {who} is locked after five wrong passcodes. See Links under People.",
  attention_away: "The visit is locked, and someone new tried to join: {who}. Unlock the visit to let them in.",
  done_new_link: "A new link was made for {who}; the old one no longer works.",
  done_approved: "{who} can now join from another browser. The earlier browser no longer can.",
  done_passcode_unlocked: "{who} can try the passcode again.",
  by_scheduler: "Done by the scheduling desk.",
};

const es: typeof en = {
  title: "Enlaces",
  came: "Ya abrió el enlace.",
  not_yet: "Todavía no abrió el enlace.",
  passcode_locked: "Bloqueado después de cinco códigos de acceso incorrectos.",
  browser: "Otro navegador probó este enlace a las {time}. Muestra el código {code}.",
  approved: "Usted dejó entrar al navegador con el código {code}. Todavía no ha entrado.",
  turned_away:
    "Intentó entrar cuando la consulta estaba bloqueada. Desbloquee la consulta, y esta persona pasa a la sala de espera.",
  approve: "Dejar entrar a este navegador",
  unlock: "Desbloquear el código de acceso",
  new_link: "Crear un enlace nuevo",
  scheduler_only: "Un enlace nuevo para un profesional lo da su oficina de citas.",
  send: "Envíe este enlace solo a: {who}. Funciona una vez.",
  link: "Enlace nuevo",
  ask_approve: "¿Dejar entrar al navegador con el código {code}?",
  ask_approve_1:
    "Llame a {who} a un número que usted conozca y pida que lea el código de su pantalla. Déjelo entrar solo si dice {code}.",
  ask_approve_2:
    "El navegador que usó el enlace antes ya no podrá entrar. Si alguien está en la consulta en su lugar, sáquelo.",
  ask_approve_yes: "El código coincide",
  ask_link: "¿Crear un enlace nuevo para {who}?",
  ask_link_1:
    "El enlace anterior deja de funcionar, y también el navegador que lo usó. El código de acceso, si lo hay, sigue siendo el mismo.",
  ask_link_yes: "Crear un enlace nuevo",
  cancel: "Cancelar",
  failed: "No funcionó. Inténtelo de nuevo en un momento.",
  attention_browser:
    "Alguien quiso usar el enlace de {who} en otro navegador. No se le dejó entrar. Vea Enlaces, en Personas.",
  attention_passcode:
    "El enlace de {who} está bloqueado después de cinco códigos de acceso incorrectos. Vea Enlaces, en Personas.",
  attention_away:
    "La consulta está bloqueada y una persona nueva intentó entrar: {who}. Desbloquee la consulta para dejarla entrar.",
  done_new_link: "Se creó un enlace nuevo para {who}; el anterior ya no funciona.",
  done_approved: "{who} ya puede entrar desde otro navegador. El anterior ya no puede.",
  done_passcode_unlocked: "{who} puede volver a intentar el código de acceso.",
  by_scheduler: "Lo hizo la oficina de citas.",
};

export const allInvitations = { en, es };

export const invitationWords = (): typeof en => allInvitations[language()];

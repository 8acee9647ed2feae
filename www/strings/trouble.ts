/** Words for people who are early, late or locked out; only pages that need them load them. */
import { language } from "./index.js";

const en = {
  early: {
    title: "You are early",
    when: "Your visit is on {when}.",
    opens: "This page opens automatically on {opens}. You can also close it and open the link again later.",
    zone: "Time zone of this device: {zone}.",
    starts: "Your visit starts on {when}. You can join now and wait.",
  },
  over: { title: "This visit is over", next: "If you need another visit, please contact the clinic." },
  held: {
    link_used:
      "Someone already used this link, maybe you in another browser or app. Go back there if you can. Otherwise call the clinic and read them this code:",
    locked: "The visit is locked. The host can see that you are here.",
    waiting: "This page continues automatically once the clinic lets you in.",
  },
  code: "Code: {code}",
  /** What happened, and what to do next. */
  reasons: {
    link_used: "Someone already used this link in another browser. Please call the clinic: it can let this browser in.",
    link_unknown: "This link no longer works. Look for a newer message from the clinic, or ask for a new link.",
    early: "It is too early for this visit. Open the link again closer to the time.",
    over: "This visit is over. If you need another one, please contact the clinic.",
    passcode_needed: "Please enter the passcode that the clinic gave you.",
    passcode_wrong: "That passcode is not right. Check it and try again. After five wrong tries the link is locked.",
    passcode_locked:
      "The link is locked after too many wrong passcodes. Please call the clinic: it can unlock the link. Then try again here.",
    locked: "The visit is locked, and the host knows that you are here. Try again in a moment, or call the clinic.",
    busy: "There were too many tries in a short time. Wait a minute, then try again.",
    server: "The clinic’s server has a problem. Try again in a minute. If it goes on, call the clinic.",
    offline: "The clinic’s server cannot be reached. Check your connection, then try again.",
    unreachable:
      "This page could not connect to the visit. Check your connection. A company network, a VPN, or a security program may be blocking the visit: turn the VPN off, or use another network, such as your phone’s. Then try again. Nothing you entered is lost.",
    garbled: "Only part of the answer arrived. Check your connection, then try again.",
    clock:
      "The date or time on this device is wrong: it should be {now}. Set date and time to automatic, then try again.",
    not_let_in:
      "The clinic’s server did not let you in. Reload this page. If it goes on, ask the clinic for a new link.",
    elsewhere: "You opened this visit in another window. Go on there, or close it and try again here.",
    page: "Part of this page could not be loaded. Check your connection, then reload the page.",
    broken:
      "Something went wrong in this browser. Reload the page. If it goes on, use another browser or call the clinic.",
    browser: "This browser cannot join an encrypted visit. Please use an up-to-date Chrome, Edge, or Firefox.",
    setup: "This visit is not set up correctly. Please call the clinic and tell them the code below.",
    stopped: "Joining was stopped. Please try again.",
  },
};

export type Reason = keyof typeof en.reasons;
export type TroubleStrings = typeof en;

const es: TroubleStrings = {
  early: {
    title: "Ha llegado pronto",
    when: "Su consulta es el {when}.",
    opens: "Esta página se abre automáticamente el {opens}. También puede cerrarla y abrir el enlace más tarde.",
    zone: "Zona horaria de este dispositivo: {zone}.",
    starts: "Su consulta empieza el {when}. Puede entrar ya y esperar.",
  },
  over: { title: "Esta consulta terminó", next: "Si necesita otra consulta, póngase en contacto con la clínica." },
  held: {
    link_used:
      "Alguien ya usó este enlace, quizá usted en otro navegador o aplicación. Si puede, siga allí. Si no, llame a la clínica y lea este código:",
    locked: "La consulta está bloqueada. El anfitrión ve que usted está aquí.",
    waiting: "Esta página continúa automáticamente en cuanto la clínica le deje entrar.",
  },
  code: "Código: {code}",
  reasons: {
    link_used: "Alguien ya usó este enlace en otro navegador. Llame a la clínica: puede dejar entrar a este navegador.",
    link_unknown: "Este enlace ya no funciona. Busque un mensaje más reciente de la clínica o pida un enlace nuevo.",
    early: "Es demasiado pronto para esta consulta. Abra el enlace de nuevo cuando se acerque la hora.",
    over: "Esta consulta terminó. Si necesita otra, póngase en contacto con la clínica.",
    passcode_needed: "Escriba el código de acceso que le dio la clínica.",
    passcode_wrong:
      "Ese código de acceso no es correcto. Revíselo e inténtelo de nuevo. Después de cinco errores, el enlace se bloquea.",
    passcode_locked:
      "El enlace está bloqueado después de demasiados códigos de acceso incorrectos. Llame a la clínica: puede desbloquearlo. Después inténtelo de nuevo aquí.",
    locked:
      "La consulta está bloqueada, y el anfitrión sabe que usted está aquí. Inténtelo de nuevo en un momento o llame a la clínica.",
    busy: "Hubo demasiados intentos en poco tiempo. Espere un minuto e inténtelo de nuevo.",
    server:
      "El servidor de la clínica tiene un problema. Inténtelo de nuevo en un minuto. Si continúa, llame a la clínica.",
    offline: "No se puede contactar con el servidor de la clínica. Compruebe su conexión e inténtelo de nuevo.",
    unreachable:
      "Esta página no pudo conectarse a la consulta. Compruebe su conexión. Puede que una red de empresa, una VPN o un programa de seguridad bloquee la consulta: desactive la VPN o use otra red, por ejemplo la de su teléfono. Después inténtelo de nuevo. No se pierde nada de lo que escribió.",
    garbled: "Solo llegó una parte de la respuesta. Compruebe su conexión e inténtelo de nuevo.",
    clock:
      "La fecha o la hora de este dispositivo es incorrecta: debería ser {now}. Ponga la fecha y la hora en automático e inténtelo de nuevo.",
    not_let_in:
      "El servidor de la clínica no le dejó entrar. Recargue esta página. Si continúa, pida un enlace nuevo a la clínica.",
    elsewhere: "Abrió esta consulta en otra ventana. Siga allí, o ciérrela e inténtelo de nuevo aquí.",
    page: "No se pudo cargar una parte de esta página. Compruebe su conexión y recargue la página.",
    broken: "Algo falló en este navegador. Recargue la página. Si continúa, use otro navegador o llame a la clínica.",
    browser:
      "Este navegador no puede entrar en una consulta cifrada. Use una versión actual de Chrome, Edge o Firefox.",
    setup: "Esta consulta no está bien configurada. Llame a la clínica y diga el código de abajo.",
    stopped: "Se interrumpió la entrada. Inténtelo de nuevo.",
  },
};

export const allTrouble = { en, es };

export const troubleWords = (): TroubleStrings => allTrouble[language()];

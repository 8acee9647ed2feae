/** Words for the time after a visit; only the pages that need them load them. */
import { language } from "./index.js";

const en = {
  record: {
    later: "Changing your mind later",
    later_lead: "With this link you can stop the use of the recording after the visit, at any time.",
    later_open: "Stop the use of the recording",
    later_copy: "Copy the link",
    later_copied: "Copied.",
    later_private: "Keep it to yourself. Anyone who has it can do this for you. It is in the saved file, too.",
    contact:
      "To get a copy of the recording, or to ask anything about it, write to {contact} and name the visit’s number.",
  },
  withdraw: {
    title: "Stop the use of a recording",
    lead: "On {when} you agreed that a visit is recorded. You can take that back now. You do not have to say why, and your care does not depend on it.",
    limits:
      "Everyone is in one recording. It can only be kept whole or deleted whole. Copies that someone else made can not be called back.",
    delete: "Stop, and delete the recording",
    keep: "Stop. What was recorded may be kept",
    sending: "Telling the clinic…",
    done: "Done. The clinic’s store has noted it, and can not take it back quietly. You can close this page.",
    deleted: "Done. The recording is deleted: nobody can open it any more. You can close this page.",
    deletion_requested:
      "Done. The clinic decides whether the recording is deleted. Until then nobody can open it. You can close this page.",
    refused: "The clinic’s store does not take this link. Please write to the clinic.",
    no_link: "This page needs the private link from your visit record.",
    contact: "To get a copy, or to ask anything: {contact}.",
  },
};

const es: typeof en = {
  record: {
    later: "Si cambia de idea más tarde",
    later_lead: "Con este enlace puede parar el uso de la grabación después de la consulta, cuando quiera.",
    later_open: "Parar el uso de la grabación",
    later_copy: "Copiar el enlace",
    later_copied: "Copiado.",
    later_private: "No lo comparta. Quien lo tiene puede hacerlo por usted. También está en el archivo guardado.",
    contact:
      "Para pedir una copia de la grabación, o preguntar algo, escriba a {contact} y diga el número de la consulta.",
  },
  withdraw: {
    title: "Parar el uso de una grabación",
    lead: "El {when} usted aceptó que se grabara una consulta. Ahora puede retirar ese permiso. No tiene que decir por qué, y su atención no depende de ello.",
    limits:
      "Todos están en una sola grabación. Solo se puede guardar o borrar entera. Las copias que hizo otra persona no se pueden recuperar.",
    delete: "Parar, y borrar la grabación",
    keep: "Parar. Lo grabado se puede guardar",
    sending: "Avisamos a la clínica…",
    done: "Hecho. El almacén de la clínica lo anotó y no puede deshacerlo en silencio. Puede cerrar esta página.",
    deleted: "Hecho. La grabación está borrada: nadie la puede abrir ya. Puede cerrar esta página.",
    deletion_requested:
      "Hecho. La clínica decide si la grabación se borra. Hasta entonces nadie la puede abrir. Puede cerrar esta página.",
    refused: "El almacén de la clínica no acepta este enlace. Escriba a la clínica.",
    no_link: "Esta página necesita el enlace privado de su registro de la consulta.",
    contact: "Para pedir una copia o preguntar algo: {contact}.",
  },
};

export function laterWords(): typeof en {
  return language() === "es" ? es : en;
}

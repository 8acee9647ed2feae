/** Strings for the time after a visit. Only the pages that need them load them. */
import { language } from "./index.js";

const en = {
  record: {
    later: "If you change your mind later",
    later_lead: "With this link, you can stop the use of the recording at any time after the visit.",
    later_open: "Stop the use of the recording",
    later_copy: "Copy link",
    later_copied: "Copied.",
    later_private: "Keep this link to yourself. Anyone who has it can do this for you. The saved file contains it too.",
    contact: "For a copy of the recording or any question about it, write to {contact} and give the visit number.",
  },
  withdraw: {
    title: "Stop the use of a recording",
    lead: "On {when}, you agreed to have a visit recorded. You can take that back now. You do not have to say why, and your care does not depend on it.",
    limits:
      "Everyone is in the same recording. It can only be kept or deleted as a whole. Copies that other people made cannot be taken back.",
    delete: "Stop, and delete the recording",
    keep: "Stop. The clinic may keep the recording",
    sending: "Contacting the clinic…",
    done: "Done. The clinic’s vault has logged it and cannot quietly undo it. You can close this page.",
    deleted: "Done. The recording was deleted: nobody can open it anymore. You can close this page.",
    deletion_requested:
      "Done. The clinic decides whether to delete the recording. Until then, nobody can open it. You can close this page.",
    refused: "The clinic’s vault does not accept this link. Please write to the clinic.",
    no_link: "This page needs the private link from your visit record.",
    contact: "For a copy or any question: {contact}.",
  },
};

const es: typeof en = {
  record: {
    later: "Si cambia de idea más tarde",
    later_lead: "Con este enlace puede detener el uso de la grabación en cualquier momento después de la consulta.",
    later_open: "Detener el uso de la grabación",
    later_copy: "Copiar enlace",
    later_copied: "Copiado.",
    later_private:
      "No comparta este enlace. Cualquiera que lo tenga puede hacerlo por usted. El archivo guardado también lo contiene.",
    contact:
      "Para pedir una copia de la grabación o hacer una pregunta, escriba a {contact} e indique el número de la consulta.",
  },
  withdraw: {
    title: "Detener el uso de una grabación",
    lead: "El {when} usted aceptó que se grabara una consulta. Ahora puede retirar ese permiso. No tiene que decir por qué, y su atención no depende de ello.",
    limits:
      "Todos están en la misma grabación. Solo se puede guardar o borrar completa. Las copias que otras personas hicieron no se pueden recuperar.",
    delete: "Detener y borrar la grabación",
    keep: "Detener. La clínica puede guardar la grabación",
    sending: "Avisando a la clínica…",
    done: "Listo. La bóveda de la clínica lo registró y no puede deshacerlo sin que se note. Puede cerrar esta página.",
    deleted: "Listo. La grabación se borró: ya nadie puede abrirla. Puede cerrar esta página.",
    deletion_requested:
      "Listo. La clínica decide si se borra la grabación. Hasta entonces, nadie puede abrirla. Puede cerrar esta página.",
    refused: "La bóveda de la clínica no acepta este enlace. Escriba a la clínica.",
    no_link: "Esta página necesita el enlace privado de su registro de la consulta.",
    contact: "Para pedir una copia o hacer una pregunta: {contact}.",
  },
};

export function laterWords(): typeof en {
  return language() === "es" ? es : en;
}

/** Words for whoever records: how safe the recording is, and the recorder's own page. Only who records loads them. */
import { language } from "./index.js";

const en = {
  progress: {
    title: "Recording",
    sealed: "Sealed on this device",
    uploaded: "Sent to the clinic",
    safe: "Safe: the clinic confirmed it",
    state_idle: "The recorder is ready. Nothing is being recorded yet.",
    state_recording: "Recording. Each piece is sealed before it is stored.",
    state_uploading:
      "The recording has ended. Please keep this page open until everything has been sent to the clinic.",
    state_uploaded: "Everything has been sent. The clinic has not confirmed it yet. Please keep this page open.",
    state_safe: "Safe. The clinic confirmed the whole recording. You can close this page.",
    state_failed: "The recorder stopped: {why}. What was sealed before that is kept.",
    bytes: "{done} of {all}",
    length: "Recorded: {length}",
    waiting_offline: "No connection. Nothing is lost: sending goes on when you are back online.",
    waiting_server_error: "The clinic’s vault is not responding. We will keep trying.",
    waiting_locked: "The clinic’s vault is busy. We will keep trying.",
    waiting_stalled: "The upload stalled. We are restarting it.",
    waiting_capability: "Your sign-in expired. Please sign in again.",
    waiting_refused: "The clinic’s vault refused the upload.",
    waiting_method_refused:
      "Something between this device and the clinic is blocking the upload (HTTP method {method}). Try another network, or tell the clinic.",
    waiting_too_large:
      "Something between this device and the clinic is blocking even small uploads. Try another network, or tell the clinic.",
    waiting_redirected: "The clinic’s upload address redirects somewhere else. Please tell the clinic.",
    warn_in_memory:
      "This browser cannot store the sealed recording on this device. If this page closes before it is sent, it is lost.",
    warn_storage_low: "This device is low on storage ({megabytes} MB left).",
    warn_storage_full: "This device is out of storage. The recording ended, and everything up to then is kept.",
    warn_old_spool: "An old recording is still on this device ({days} days). Please keep this page open.",
    health: "What the recorder receives",
    health_ok: "video and sound",
    health_no_sound: "no sound in the recording",
    health_no_picture: "no video in the recording",
    health_frozen: "frozen video in the recording",
    health_poor_device: "choppy video in the recording: this device is too busy. Close other programs and tabs.",
    stalled: "Nothing is being recorded right now. The recorder is trying to restart.",
    gap_no_sound: "There is no sound in the recording for {length}, from {at}.",
    gap_nothing: "Nothing was recorded for {length}, from {at}.",
    gap_more: "Earlier gaps in this recording: {count}.",
    health_poor_line: "choppy video in the recording: little of it arrives over this connection.",
  },
  recorder: {
    title: "Recorder",
    lead: "This page joins the visit as a recorder. Everyone can see it. It can join only after everyone has agreed.",
    name: "Recorder name",
    button: "Wait to record",
    waiting: "Waiting. The recorder joins when everyone has agreed and the host starts recording.",
    in: "The recorder is in the visit.",
    out: "The recorder is not in the visit.",
    ended: "The visit is over.",
  },
};

const es: typeof en = {
  progress: {
    title: "Grabación",
    sealed: "Sellada en este dispositivo",
    uploaded: "Enviada a la clínica",
    safe: "A salvo: la clínica la confirmó",
    state_idle: "La grabadora está lista. Todavía no se graba nada.",
    state_recording: "Grabando. Cada fragmento se sella antes de guardarse.",
    state_uploading: "La grabación terminó. Deje esta página abierta hasta que todo se haya enviado a la clínica.",
    state_uploaded: "Ya se envió todo. La clínica todavía no lo confirmó. Deje esta página abierta.",
    state_safe: "A salvo. La clínica confirmó la grabación completa. Puede cerrar esta página.",
    state_failed: "La grabadora se detuvo: {why}. Lo que se selló antes se conserva.",
    bytes: "{done} de {all}",
    length: "Grabado: {length}",
    waiting_offline: "Sin conexión. No se pierde nada: el envío sigue cuando vuelva la conexión.",
    waiting_server_error: "La bóveda de la clínica no responde. Seguiremos intentando.",
    waiting_locked: "La bóveda de la clínica está ocupada. Seguiremos intentando.",
    waiting_stalled: "El envío se detuvo. Lo estamos reiniciando.",
    waiting_capability: "Su sesión venció. Inicie sesión de nuevo.",
    waiting_refused: "La bóveda de la clínica rechazó el envío.",
    waiting_method_refused:
      "Algo entre este dispositivo y la clínica bloquea el envío (método HTTP {method}). Pruebe otra red o avise a la clínica.",
    waiting_too_large:
      "Algo entre este dispositivo y la clínica bloquea incluso los envíos pequeños. Pruebe otra red o avise a la clínica.",
    waiting_redirected: "La dirección de envío de la clínica lleva a otro lugar. Avise a la clínica.",
    warn_in_memory:
      "Este navegador no puede guardar la grabación sellada en este dispositivo. Si esta página se cierra antes de enviarla, se pierde.",
    warn_storage_low: "Queda poco espacio en este dispositivo ({megabytes} MB).",
    warn_storage_full:
      "No queda espacio en este dispositivo. La grabación terminó; lo grabado hasta entonces se conserva.",
    warn_old_spool: "Todavía hay una grabación antigua en este dispositivo ({days} días). Deje esta página abierta.",
    health: "Qué recibe la grabadora",
    health_ok: "video y sonido",
    health_no_sound: "sin sonido en la grabación",
    health_no_picture: "sin video en la grabación",
    health_frozen: "video congelado en la grabación",
    health_poor_device:
      "video entrecortado en la grabación: este dispositivo está demasiado ocupado. Cierre otros programas y pestañas.",
    stalled: "Ahora mismo no se está grabando nada. La grabadora intenta reiniciarse.",
    gap_no_sound: "La grabación no tiene sonido durante {length}, desde {at}.",
    gap_nothing: "No se grabó nada durante {length}, desde {at}.",
    gap_more: "Otros huecos anteriores en esta grabación: {count}.",
    health_poor_line: "video entrecortado en la grabación: llega poco video por esta conexión.",
  },
  recorder: {
    title: "Grabadora",
    lead: "Esta página entra en la consulta como grabadora. Todos la ven. Solo puede entrar cuando todos hayan aceptado.",
    name: "Nombre de la grabadora",
    button: "Esperar para grabar",
    waiting: "Esperando. La grabadora entra cuando todos hayan aceptado y el anfitrión empiece a grabar.",
    in: "La grabadora está en la consulta.",
    out: "La grabadora no está en la consulta.",
    ended: "La consulta terminó.",
  },
};

const all = { en, es };

export const recorderWords = (): typeof en => all[language()];

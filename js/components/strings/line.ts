/** Words for `<device-check>`'s tries of the line; loaded with them. */
const en = {
  network_ok: "The clinic’s server answers. Response time: {ms} ms.",
  network_slow: "The clinic’s server answers slowly ({ms} ms). Move closer to your router if you can.",
  network_failed: "The clinic’s server cannot be reached. Check your internet connection.",
  relay: "Way into the visit",
  relay_ok: "You can get into the visit from this network.",
  relay_failed:
    "You cannot get into the visit from this network. A company network, a VPN, or a security program may be blocking it. Turn the VPN off, or use another network, such as your phone’s.",
  media: "Sound and picture",
  media_ok: "Sound and picture get through.",
  media_failed:
    "Sound and picture do not get through from this network. A company network, a firewall, or a VPN may be blocking them. Turn the VPN off, or use another network, such as your phone’s.",
  media_later: "We can check this only once there is a way into the visit.",
  media_unknown: "This clinic’s server cannot be asked about it. It shows in the visit.",
  vault: "Storage for recordings",
  vault_ok: "The clinic’s storage for recordings answers.",
  vault_failed:
    "The clinic’s storage for recordings does not answer. The visit works, but no recording can start. Try another network, or tell your clinic’s technical staff.",
  again: "Check again",
};

export type LineStrings = typeof en;

const es: LineStrings = {
  network_ok: "El servidor de la clínica responde. Tiempo de respuesta: {ms} ms.",
  network_slow: "El servidor de la clínica responde con lentitud ({ms} ms). Si puede, acérquese al router.",
  network_failed: "No se puede conectar con el servidor de la clínica. Revise su conexión a internet.",
  relay: "Acceso a la consulta",
  relay_ok: "Desde esta red se puede entrar en la consulta.",
  relay_failed:
    "Desde esta red no se puede entrar en la consulta. Puede que la bloquee una red de empresa, una VPN o un programa de seguridad. Desactive la VPN o use otra red, por ejemplo la de su teléfono.",
  media: "Sonido e imagen",
  media_ok: "El sonido y la imagen llegan.",
  media_failed:
    "Desde esta red no llegan el sonido ni la imagen. Puede que los bloquee una red de empresa, un cortafuegos o una VPN. Desactive la VPN o use otra red, por ejemplo la de su teléfono.",
  media_later: "Solo se puede comprobar cuando haya acceso a la consulta.",
  media_unknown: "El servidor de esta clínica no permite comprobarlo. Se verá en la consulta.",
  vault: "Almacén de grabaciones",
  vault_ok: "El almacén de grabaciones de la clínica responde.",
  vault_failed:
    "El almacén de grabaciones de la clínica no responde. La consulta funciona, pero no se puede empezar a grabar. Pruebe otra red o avise al personal técnico de su clínica.",
  again: "Comprobar otra vez",
};

export const allLine = { en, es };

/** Words for sound and picture that do not get through. */
import { language } from "./index.js";

const en = {
  blocked:
    "Your sound and picture do not get through. A company network, a firewall, or a VPN may be blocking them. Turn the VPN off, or use another network, such as your phone’s. They start automatically as soon as they get through.",
  cannot_record: "Recording cannot start yet: no sound or picture is getting through.",
};

export type MediaStrings = typeof en;

const es: MediaStrings = {
  blocked:
    "El sonido y la imagen no llegan. Puede que una red de empresa, un cortafuegos o una VPN los bloquee. Desactive la VPN o use otra red, por ejemplo la de su teléfono. Empiezan automáticamente en cuanto puedan pasar.",
  cannot_record: "Todavía no se puede grabar: no llega ni sonido ni imagen.",
};

export const allMedia = { en, es };

export const mediaWords = (): MediaStrings => allMedia[language()];

import type { ConsentWording } from "./types.js";

export const es: ConsentWording = {
  language: "es",
  version: "2026-11.3",
  why: {
    medical_record: `# Para qué
La grabación será parte de su historia clínica. Su equipo de salud puede usarla para atenderle.`,
    supervision: `# Para qué
Una persona con más experiencia, llamada supervisor, guía a su profesional. El supervisor verá la grabación para ayudar a que la atención sea buena.`,
    quality_review: `# Para qué
La clínica revisa cómo atiende a la gente. Unos revisores verán la grabación para eso y para nada más.`,
    ai_note: `# Para qué
Un servicio de computadora oirá la grabación y hará un borrador de la nota. Su profesional lo lee, lo corrige y decide qué queda.`,
    dispute: `# Para qué
Hay un reclamo o un caso legal. La grabación se guardará como prueba de lo que se dijo.`,
    research: `# Para qué
Un equipo quiere aprender de consultas como esta. Usted elige si participa.`,
    other: `# Para qué
Su profesional da este motivo.`,
  },
  use: {
    medical_record: `# Qué se usa
Lo que usted dice y muestra en esta consulta se usa para atenderle.`,
    supervision: `# Qué se usa
Lo que usted dice y muestra en esta consulta se usa para guiar y formar a su profesional.`,
    quality_review: `# Qué se usa
Lo que usted dice y muestra en esta consulta se usa para revisar y mejorar la atención.`,
    ai_note: `# Qué se usa
El sonido de esta consulta se usa para hacer la nota.`,
    dispute: `# Qué se usa
Las personas que llevan el caso pueden ver lo que usted dice y muestra en esta consulta.`,
    research: `# Qué se usa
Lo que usted dice y muestra en esta consulta se usa para el estudio.`,
    other: `# Qué se usa
Lo que usted dice y muestra en esta consulta se usa para el motivo que se da aquí.`,
  },
  own_words: "El motivo: «{words}»",
  asked_again: `# Por qué se le pregunta otra vez
«{words}»`,
  acknowledgement: `# Qué acepta
Usted sabe de este uso y lo acepta. El aviso de privacidad de la clínica le dice más sobre cómo se usan sus datos de salud.`,
  authorization: `# Su permiso por escrito
- Qué: el video y el sonido de esta consulta, y los datos de salud que hay en ella.
- De: {clinic}.
- Para: {recipients}.
- Motivo: el que se da arriba, y nada más.
- Termina: el {expires}.
- Puede retirar el permiso cuando quiera. Toque «Dejar de grabarme», use el enlace que recibe al final o escriba a {contact}. Esto no cambia lo que se hizo antes.
- Quienes reciben la grabación pueden pasarla a otros si no están bajo las leyes de privacidad de salud.
- Lo que usted elija no cambia su atención ni lo que paga. Usted recibe una copia de esta hoja.
- Su respuesta firmada es su firma.`,
  part2: `# Reglas del tratamiento por alcohol y drogas
Una ley federal protege los datos de quien se trata por alcohol o drogas (42 CFR Parte 2).
- De quién son: de usted.
- Quién los da: {clinic}.
- Qué se da: el video y el sonido de hoy. Pueden mostrar que usted está en tratamiento.
- Quién los recibe: {recipients}.
- Para qué: el motivo que se da arriba.
- Hasta cuándo: su permiso termina el {expires}, o cuando usted lo retire.
- Puede retirarlo cuando quiera, aquí o por escrito a {contact}. Lo que se hizo antes no se puede deshacer.
- Si dice que no, su atención no cambia.
- Su respuesta firmada es su firma, con la fecha de hoy.
Aviso: la norma 42 CFR Parte 2 prohíbe usar o dar estos datos sin su permiso, salvo si la ley lo permite. No se pueden usar contra usted en un juicio sin su permiso o una orden del juez.`,
  processor: `# El servicio de computadora
El servicio recibe la grabación solo para hacer la nota. Tiene que borrar su copia {processor_span} después de la consulta. No puede usarla para entrenar sus programas.`,
  recorded: `# Qué se graba
Si usted acepta, se graba el video y el sonido de todos, desde que empieza la grabación hasta que para. La pantalla siempre muestra si hay una grabadora.`,
  who_asks: `# Quién lo pide
Su profesional de {clinic}, que dirige esta consulta.`,
  watch: `# Quién puede verla
{recipients}. Cada vez que alguien la abre, queda un registro.`,
  kept: `# Dónde y cuánto tiempo se guarda
{clinic} la guarda sellada. Sus computadoras la guardan, pero no la pueden ver. {clinic} la tiene que borrar {span} después de la consulta, salvo si una ley dice que debe guardarse.`,
  stopping: {
    keep: `# Si cambia de idea
Toque «Dejar de grabarme» cuando quiera. La grabación para en el acto. Lo grabado hasta entonces se guarda.`,
    delete: `# Si cambia de idea
Toque «Dejar de grabarme» cuando quiera. La grabación para en el acto. Se borra todo lo grabado hasta entonces.`,
    ask: `# Si cambia de idea
Toque «Dejar de grabarme» cuando quiera. La grabación para en el acto. Usted elige si lo grabado hasta entonces se guarda o se borra.`,
  },
  limits: `# Qué no se puede
Todos están en la misma grabación. Solo se puede guardar o borrar completa. No se puede quitar a una sola persona. Si alguien ya la vio, eso no se puede deshacer. Nadie puede evitar que alguien filme su propia pantalla.`,
  care: `# Su atención no depende de esto
Usted puede decir que no. La consulta sigue igual y no se graba. Los demás solo saben que no todos aceptaron. Su profesional puede ver quién.`,
  questions: `# Preguntas
Pregunte ahora a su profesional, o escriba a {contact}.`,
  reference: "Número de hoja: {reference}",
};

import type { ConsentWording } from "./types.js";

export const es: ConsentWording = {
  language: "es",
  version: "2026-11.2",
  why: {
    medical_record: `# Para qué
La grabación será parte de su historia clínica. Su equipo puede verla de nuevo para atenderle.`,
    supervision: `# Para qué
Una persona con más experiencia guía a su profesional. Esa persona verá la grabación para ayudar a que la atención sea buena.`,
    quality_review: `# Para qué
La clínica revisa cómo atiende a la gente. Para eso, y para nada más, unas personas verán la grabación.`,
    ai_note: `# Para qué
Un servicio de computadora oirá la grabación y hará un borrador de la nota. Su profesional lo lee, lo corrige y decide qué queda.`,
    dispute: `# Para qué
Hay una queja o un caso legal. La grabación se guarda como prueba de lo que se dijo.`,
    research: `# Para qué
Un equipo quiere aprender de consultas como esta. Usted elige si toma parte.`,
    other: `# Para qué
Su profesional da este motivo.`,
  },
  use: {
    medical_record: `# Qué se usa
Lo que usted dice y muestra hoy se usa para atenderle.`,
    supervision: `# Qué se usa
Lo que usted dice y muestra hoy se usa para guiar y formar a su profesional.`,
    quality_review: `# Qué se usa
Lo que usted dice y muestra hoy se usa para revisar y mejorar la atención.`,
    ai_note: `# Qué se usa
El sonido de la consulta se usa para hacer la nota.`,
    dispute: `# Qué se usa
Lo que usted dice y muestra hoy lo pueden ver las personas que llevan el caso.`,
    research: `# Qué se usa
Lo que usted dice y muestra hoy se usa para el estudio.`,
    other: `# Qué se usa
Lo que usted dice y muestra hoy se usa para el motivo que se da aquí.`,
  },
  own_words: "El motivo: «{words}»",
  asked_again: `# Por qué se le pregunta otra vez
«{words}»`,
  acknowledgement: `# Qué acepta
Usted sabe de este uso y lo acepta. El aviso de privacidad de la clínica le dice más sobre cómo se usan sus datos.`,
  authorization: `# Su permiso por escrito
- Qué: la imagen y el sonido de esta consulta, y los datos de salud que hay en ella.
- De: {clinic}.
- Para: {recipients}.
- Motivo: el que se da arriba, y nada más.
- Termina: el {expires}.
- Puede quitar el permiso en todo momento. Toque «No me graben más», use el enlace que recibe al final, o escriba a {contact}. No cambia lo que se hizo antes.
- Quien la recibe y no está bajo las leyes de salud la puede pasar a otros.
- Lo que usted elija no cambia su atención ni lo que paga. Usted recibe una copia.
- Su respuesta firmada es su firma.`,
  part2: `# Reglas del tratamiento por alcohol y drogas
Una ley federal cuida los datos de quien se trata por alcohol o drogas (42 CFR Parte 2).
- De quién: de usted.
- Quién los da: {clinic}.
- Qué se da: la imagen y el sonido de hoy. Pueden mostrar que usted está en tratamiento.
- Quién los recibe: {recipients}.
- Para qué: el motivo que se da arriba.
- Hasta cuándo: su permiso termina el {expires}, o cuando usted lo quita.
- Puede quitarlo en todo momento, aquí o si escribe a {contact}. Lo que se hizo antes no se puede deshacer.
- Si dice que no, su atención no cambia.
- Su respuesta firmada es su firma, con la fecha de hoy.
Aviso: la norma 42 CFR Parte 2 prohíbe usar o pasar estos datos sin su permiso, salvo si la ley lo deja. No se pueden usar contra usted en un juicio sin su permiso o una orden del juez.`,
  processor: `# El servicio de computadora
El servicio recibe la grabación solo para hacer la nota. Tiene que borrar su copia {processor_span} después. No la puede usar para entrenar sus programas.`,
  recorded: `# Qué se graba
Si usted acepta, se graba la imagen y el sonido de todos, desde que empieza hasta que para. Lo ve en la pantalla todo el tiempo.`,
  who_asks: `# Quién lo pide
Su profesional de {clinic}, que lleva esta consulta.`,
  watch: `# Quién podrá verla
{recipients}. Cada vez que alguien la abre, queda anotado.`,
  kept: `# Dónde y cuánto tiempo
{clinic} la guarda bajo llave. Sus equipos la guardan, pero no la pueden ver. {clinic} la tiene que borrar {span} después, salvo si la ley dice que debe quedar.`,
  stopping: {
    keep: `# Si cambia de idea
Toque «No me graben más» cuando quiera. Se para en el acto. Lo grabado hasta entonces se guarda.`,
    delete: `# Si cambia de idea
Toque «No me graben más» cuando quiera. Se para en el acto. Se borra todo lo grabado.`,
    ask: `# Si cambia de idea
Toque «No me graben más» cuando quiera. Se para en el acto. Usted dice si lo grabado se guarda o se borra.`,
  },
  limits: `# Qué no se puede
Todos están en una sola grabación. Se guarda entera o se borra entera. No se puede quitar a una persona. Si alguien ya la vio, eso no se puede deshacer. Nadie puede parar a quien filma su propia pantalla.`,
  care: `# Su atención no depende de esto
Usted puede decir que no. La consulta sigue igual y no se graba. A los demás solo se les dice que no todos aceptaron. Su profesional puede ver quién.`,
  questions: `# Preguntas
Pregunte ahora, o escriba a {contact}.`,
  reference: "Número de hoja: {reference}",
};

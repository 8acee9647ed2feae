import type { ConsentWording } from "./types.js";

export const en: ConsentWording = {
  language: "en",
  version: "2026-11.2",
  why: {
    medical_record: `# Why
The recording will be part of your medical record. Your care team can look at it again to care for you.`,
    supervision: `# Why
Your clinician is guided by a more senior person, called a supervisor. The supervisor will watch the recording to help your clinician give good care.`,
    quality_review: `# Why
The clinic checks how well it cares for people. Reviewers will watch the recording for that, and for nothing else.`,
    ai_note: `# Why
A computer service will listen to the recording and write a draft of the visit note. Your clinician reads the draft, corrects it and decides what stays.`,
    dispute: `# Why
There is a complaint or a legal case. The recording will be kept as proof of what was said.`,
    research: `# Why
Researchers want to learn from visits like this one. Taking part is your choice.`,
    other: `# Why
Your clinician gives this reason.`,
  },
  use: {
    medical_record: `# What is used
What you say and show in this visit is used for your care.`,
    supervision: `# What is used
What you say and show in this visit is used to guide and train your clinician.`,
    quality_review: `# What is used
What you say and show in this visit is used to check and improve the clinic’s care.`,
    ai_note: `# What is used
The sound of this visit is used to write the note.`,
    dispute: `# What is used
What you say and show in this visit may be shown to the people who handle the case.`,
    research: `# What is used
What you say and show in this visit is used for the study.`,
    other: `# What is used
What you say and show in this visit is used for the reason given here.`,
  },
  own_words: "The reason: “{words}”",
  asked_again: `# Why you are asked again
“{words}”`,
  acknowledgement: `# What you agree to
You know about this use, and you agree to it. The clinic’s privacy notice tells you more about how your health information is used.`,
  authorization: `# Your written permission
- What: the picture and sound of this visit, and the health information in it.
- From: {clinic}.
- To: {recipients}.
- For: the reason given above, and nothing else.
- Ends: on {expires}.
- You can take it back at any time. Press “Stop being recorded”, use the link you get after the visit, or write to {contact}. It does not change what was done before.
- People who get it and are not bound by health privacy laws may pass it on.
- Your choice does not change your treatment or what you pay. You get a copy of this page.
- Your signed answer is your signature.`,
  part2: `# Special rules for alcohol and drug treatment
A federal law protects records of treatment for alcohol and drug use (42 CFR Part 2).
- Who is it about: you, the person in this visit.
- Who shares it: {clinic}.
- What is shared: the picture and sound of this visit, which may show that you are in treatment.
- Who gets it: {recipients}.
- For what: the reason given above.
- Until when: your permission ends on {expires}, or when you take it back.
- You can take it back at any time, in the visit or by writing to {contact}. What was done before then can not be undone.
- If you say no, it does not change your treatment.
- Your signed answer is your signature, with today’s date.
Notice: 42 CFR Part 2 prohibits use or sharing of these records without your consent, unless the law allows it. They may not be used against you in court without your consent or a court order.`,
  processor: `# The computer service
The service gets the recording only to write the note. It has to delete its copy {processor_span} after the visit. It may not use it to train its programs.`,
  recorded: `# What is recorded
If you agree, the picture and sound of everyone in this visit are recorded from when it starts until it stops. You see it on the screen all the time.`,
  who_asks: `# Who asks
Your clinician at {clinic}, who leads this visit.`,
  watch: `# Who will be able to watch it
{recipients}. Each time someone opens it, that is written down.`,
  kept: `# Where and how long
{clinic} keeps it locked. Its computers store it, but can not watch it. {clinic} has to delete it {span} after the visit, unless a law says that it must stay.`,
  stopping: {
    keep: `# If you change your mind
Press “Stop being recorded” at any time. The recording stops at once. What was recorded before then is kept.`,
    delete: `# If you change your mind
Press “Stop being recorded” at any time. The recording stops at once. All that was recorded before is deleted.`,
    ask: `# If you change your mind
Press “Stop being recorded” at any time. The recording stops at once. You say if what was recorded before is kept or deleted.`,
  },
  limits: `# What stopping can not do
All people are in one recording. It can be kept whole or deleted whole, but no single person can be cut out. If someone has watched it, that can not be undone. Nobody can stop a person who films their own screen.`,
  care: `# Your care does not depend on it
You can say no. Your visit goes on in the same way, and is not recorded. Others are told only that not everyone agreed. Your clinician can see who.`,
  questions: `# Questions
Ask your clinician now, or write to {contact}.`,
  reference: "Form number: {reference}",
};

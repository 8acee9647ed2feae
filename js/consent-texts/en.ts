import type { ConsentWording } from "./types.js";

export const en: ConsentWording = {
  language: "en",
  version: "2026-11.3",
  why: {
    medical_record: `# Why
The recording will be part of your medical record. Your care team can use it to care for you.`,
    supervision: `# Why
A more senior person, called a supervisor, guides your clinician. The supervisor will watch the recording to help your clinician give good care.`,
    quality_review: `# Why
The clinic checks how well it cares for people. Reviewers will watch the recording for that and for nothing else.`,
    ai_note: `# Why
A computer service will listen to the recording and draft the visit note. Your clinician reads the draft, corrects it, and decides what stays.`,
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
- What: the video and sound of this visit, and the health information in it.
- From: {clinic}.
- To: {recipients}.
- For: the reason given above, and nothing else.
- Ends: on {expires}.
- You can take it back at any time. Press “Stop being recorded”, use the link you get after the visit, or write to {contact}. This does not change what was done before.
- People who get the recording may share it with others if health privacy laws do not apply to them.
- Your choice does not change your treatment or what you pay. You get a copy of this page.
- Your signed answer is your signature.`,
  part2: `# Special rules for alcohol and drug treatment
A federal law protects records of treatment for alcohol and drug use (42 CFR Part 2).
- Who it is about: you, the person in this visit.
- Who shares it: {clinic}.
- What is shared: the video and sound of this visit, which may show that you are in treatment.
- Who gets it: {recipients}.
- Why: the reason given above.
- How long: your permission ends on {expires}, or when you take it back.
- You can take it back at any time, in the visit or by writing to {contact}. What was done before then cannot be undone.
- If you say no, your treatment does not change.
- Your signed answer is your signature, with today’s date.
Notice: 42 CFR Part 2 prohibits use or sharing of these records without your consent, unless the law allows it. They may not be used against you in court without your consent or a court order.`,
  processor: `# The computer service
The service gets the recording only to write the note. It has to delete its copy {processor_span} after the visit. It may not use it to train its programs.`,
  recorded: `# What is recorded
If you agree, everyone’s video and sound are recorded from the time recording starts until it stops. Your screen always shows when a recorder is here.`,
  who_asks: `# Who is asking
Your clinician at {clinic}, who leads this visit.`,
  watch: `# Who can watch it
{recipients}. Each time someone opens it, that is logged.`,
  kept: `# Where and how long it is kept
{clinic} keeps it sealed. Its computers store it but cannot play it. {clinic} has to delete it {span} after the visit, unless a law says it must be kept.`,
  stopping: {
    keep: `# If you change your mind
Press “Stop being recorded” at any time. The recording stops at once. What was recorded before then is kept.`,
    delete: `# If you change your mind
Press “Stop being recorded” at any time. The recording stops at once. Everything recorded before then is deleted.`,
    ask: `# If you change your mind
Press “Stop being recorded” at any time. The recording stops at once. You choose whether to keep or delete what was recorded before then.`,
  },
  limits: `# What stopping cannot do
Everyone is in the same recording. It can only be kept or deleted as a whole. One person cannot be cut out. If someone has already watched it, that cannot be undone. Nobody can stop a person from filming their own screen.`,
  care: `# Your care does not depend on it
You can say no. Your visit goes on in the same way and is not recorded. Others learn only that not everyone agreed. Your clinician can see who.`,
  questions: `# Questions
Ask your clinician now, or write to {contact}.`,
  reference: "Form number: {reference}",
};

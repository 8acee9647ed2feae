//! "Has everyone agreed?" has one answer: what a screen shows is what the gate decides, over generated rosters, statements and
//! orders. A third opinion, written down here from the rules alone, keeps both honest.

use sealed_visit_protocol::clinic::{
    ClinicClaims, ClinicDocument, Recipient, RecipientRef, RecipientRole, WrapSuite,
};
use sealed_visit_protocol::consent::{
    Answer, Change, ConsentState, ConsentText, Gap, Layer, OnBehalfOf, Purpose, RequestClaims,
    RosterEntry, Round, Standing, Statement, StatementClaims, StatementKind, Terms, Verdict,
    WithdrawalPolicy, verdict,
};
use sealed_visit_protocol::hash::sha256;
use sealed_visit_protocol::pass::{Confirmation, PassClaims, name_commitment};
use sealed_visit_protocol::{B64, Jws, ParticipantId, Role, RoundId, SigningKey, VERSION, VisitId};
use std::collections::BTreeMap;

const CASES: u64 = 200;
/// The number of everybody's first grant.
const FIRST_GRANT: u64 = 2;
const NOW_MS: u64 = 1_800_000_000_000;
const GROUP_ID: &[u8] = b"group";

/// xorshift64*: small, seeded, the same everywhere.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) as usize % limit
    }

    fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}

fn key(what: &str) -> SigningKey {
    SigningKey::from_seed(&sha256(what.as_bytes()).0)
}

fn id(what: &str) -> [u8; 16] {
    let mut id = [0; 16];
    id.copy_from_slice(&sha256(what.as_bytes()).0[..16]);
    id
}

/// Somebody with a pass, or with two: the second after the first key was lost.
#[derive(Clone)]
struct Person {
    id: ParticipantId,
    role: Role,
    keys: [SigningKey; 2],
    passes: [Jws<PassClaims>; 2],
}

impl Person {
    fn new(name: &str, role: Role) -> Self {
        let id = ParticipantId::from_bytes(id(name));
        let keys = [key(&format!("{name} 0")), key(&format!("{name} 1"))];
        let passes = [&keys[0], &keys[1]].map(|own| {
            key("authority").sign(&PassClaims {
                v: VERSION,
                visit: visit(),
                sub: id,
                role,
                cnf: Confirmation { jwk: own.public() },
                name: name_commitment(&[0; 16], name),
                iat: NOW_MS / 1000,
                exp: NOW_MS / 1000 + 7200,
            })
        });
        Self {
            id,
            role,
            keys,
            passes,
        }
    }

    fn entry(&self, with_key: usize) -> RosterEntry {
        RosterEntry {
            participant: self.id,
            role: self.role,
            key: self.keys[with_key].public(),
        }
    }
}

fn visit() -> VisitId {
    VisitId::from_bytes(id("visit"))
}

fn clinic() -> ClinicDocument {
    let public_key = [7; 32];
    let root = key("root");
    let document = root.sign(&ClinicClaims {
        v: VERSION,
        number: 1,
        not_before_ms: 0,
        not_after_ms: NOW_MS * 2,
        name: "Clinic".into(),
        contact: String::new(),
        authorities: vec![key("authority").public()],
        vault: key("vault").public(),
        recipients: vec![Recipient {
            fingerprint: Recipient::fingerprint_of(WrapSuite::X25519, &public_key),
            suite: WrapSuite::X25519,
            public_key: B64::from(public_key.as_slice()),
            role: RecipientRole::Archive,
        }],
        retired: Vec::new(),
    });
    ClinicDocument::verify(&document, &root.public()).unwrap()
}

/// Two requests may share a round id: then only one of them is the open one.
fn request(host: &Person, recorder: ParticipantId, retention_days: u32) -> Jws<RequestClaims> {
    let recipients = clinic().claims().recipients.clone();
    host.keys[0].sign(&RequestClaims {
        v: VERSION,
        round: RoundId::from_bytes(id("round")),
        visit: visit(),
        group_id: GROUP_ID.into(),
        recorder,
        purpose: Purpose::MedicalRecord,
        recipients: recipients
            .iter()
            .map(|recipient| RecipientRef {
                fingerprint: recipient.fingerprint,
                role: recipient.role,
            })
            .collect(),
        texts: [Layer::Information, Layer::Recording]
            .map(|layer| ConsentText {
                layer,
                language: "en".into(),
                version: "1".into(),
                hash: sha256(format!("{layer:?}").as_bytes()),
            })
            .to_vec(),
        terms: Terms {
            retention_days,
            on_withdrawal: WithdrawalPolicy::Ask,
            processor_retention_days: None,
            part2: false,
            authorization_expires_ms: None,
        },
        again_after: None,
        checklist: Vec::new(),
        at_ms: NOW_MS,
        pass: host.passes[0].clone(),
    })
}

/// A signed statement, and what the rules say of it by itself.
#[derive(Clone)]
struct Said {
    author: usize,
    with_key: usize,
    kind: StatementKind,
    seq: u64,
    spoken: bool,
    interprets: Vec<usize>,
    /// It answers the open request, and a grant is whole.
    whole: bool,
    jws: Jws<StatementClaims>,
}

struct Case {
    people: Vec<Person>,
    /// Who is in the roster, and with which key. The host first; others may have left.
    here: Vec<Option<usize>>,
    recorder: Person,
    request: Jws<RequestClaims>,
    said: Vec<Said>,
    /// Somebody refused with a number lower than that of a grant, which no honest member does: what counts then depends on which
    /// comes first, and only gate and screen are compared.
    out_of_order: bool,
}

impl Case {
    fn new(random: &mut Random) -> Self {
        const ROLES: [Role; 6] = [
            Role::Patient,
            Role::Guest,
            Role::Clinician,
            Role::Interpreter,
            Role::Representative,
            Role::Server,
        ];
        let mut people = vec![Person::new("host", Role::Clinician)];
        for n in 0..random.below(4) {
            let role = ROLES[random.below(ROLES.len())];
            people.push(Person::new(&format!("person {n} {role:?}"), role));
        }
        let recorder = Person::new("recorder", Role::Recorder);
        let open = request(&people[0], recorder.id, 30);
        let other = request(&people[0], recorder.id, 31);
        let mut here: Vec<Option<usize>> = people
            .iter()
            .map(|_| (!random.one_in(6)).then_some(usize::from(random.one_in(8))))
            .collect();
        here[0] = here[0].or(Some(0));
        let mut said = Vec::new();
        for author in 0..people.len() {
            // Most cases are about to be agreed: else nothing tells a right answer from always saying no.
            let count = [0, 1, 1, 1, 1, 2, 3][random.below(7)];
            for number in 0..count {
                let numbers = (number, count);
                let statement = Self::statement(random, &people, &open, &other, author, numbers);
                said.push(statement);
            }
        }
        let out_of_order = said
            .iter()
            .any(|one: &Said| one.kind == StatementKind::Refusal && one.seq < FIRST_GRANT);
        random.shuffle(&mut said);
        Self {
            people,
            here,
            recorder,
            request: open,
            said,
            out_of_order,
        }
    }

    fn statement(
        random: &mut Random,
        people: &[Person],
        open: &Jws<RequestClaims>,
        other: &Jws<RequestClaims>,
        author: usize,
        (number, count): (usize, usize),
    ) -> Said {
        let person = &people[author];
        let with_key = usize::from(random.one_in(10));
        let kind = match random.below(16) {
            0 => StatementKind::Withdrawal,
            1 | 2 => StatementKind::Refusal,
            _ => StatementKind::Grant,
        };
        // Grants of one author have different numbers; a refusal may have the number of the last one.
        let last = FIRST_GRANT + count as u64 - 1;
        let seq = match kind {
            StatementKind::Grant => FIRST_GRANT + number as u64,
            StatementKind::Refusal if random.one_in(6) => random.below(FIRST_GRANT as usize) as u64,
            StatementKind::Refusal => last + random.below(2) as u64,
            StatementKind::Withdrawal => random.below(6) as u64,
        };
        let answers_other = random.one_in(12);
        let agrees_to_all = !random.one_in(12);
        let saw_texts = !random.one_in(12);
        let spoken = random.one_in(4);
        let interprets: Vec<usize> = if person.role == Role::Interpreter {
            (0..people.len())
                .filter(|other| *other != author && !random.one_in(3))
                .collect()
        } else {
            Vec::new()
        };
        let request = if answers_other { other } else { open };
        let asked = request.unverified_claims().unwrap();
        let grant = kind == StatementKind::Grant;
        let jws = person.keys[with_key].sign(&StatementClaims {
            v: VERSION,
            visit: visit(),
            group_id: GROUP_ID.into(),
            round: asked.round,
            request: request.hash(),
            seq,
            kind,
            answers: vec![Answer {
                person: "self".into(),
                on_behalf_of: OnBehalfOf::Myself,
                information: grant,
                recording: grant && agrees_to_all,
            }],
            texts: if saw_texts {
                asked.texts.iter().map(|text| text.hash).collect()
            } else {
                Vec::new()
            },
            language: "en".into(),
            spoken: if spoken { "es".into() } else { String::new() },
            interpreted_for: interprets.iter().map(|n| people[*n].id).collect(),
            place: String::new(),
            wish: None,
            at_ms: NOW_MS,
            pass: person.passes[with_key].clone(),
        });
        Said {
            author,
            with_key,
            kind,
            seq,
            spoken,
            interprets,
            whole: !answers_other && (!grant || agrees_to_all && saw_texts),
            jws,
        }
    }

    /// Everybody but the recorder.
    fn roster(&self) -> Vec<RosterEntry> {
        let people = self.people.iter().zip(&self.here);
        people
            .filter_map(|(person, here)| here.map(|with_key| person.entry(with_key)))
            .collect()
    }

    fn opened(&self, clinic: &ClinicDocument) -> ConsentState {
        ConsentState::new()
            .apply(
                &Change::Request(self.request.clone()),
                clinic,
                visit(),
                GROUP_ID,
            )
            .unwrap()
    }

    /// What the context holds after these statements; refused ones change nothing.
    fn after(&self, said: &[Said], clinic: &ClinicDocument) -> ConsentState {
        said.iter().fold(self.opened(clinic), |state, said| {
            let change = Change::Statement(said.jws.clone());
            state
                .apply(&change, clinic, visit(), GROUP_ID)
                .unwrap_or(state)
        })
    }

    fn gate(&self, state: &ConsentState, clinic: &ClinicDocument) -> Result<(), Verdict> {
        let mut roster = self.roster();
        roster.push(self.recorder.entry(0));
        verdict(&roster, state, clinic, visit(), GROUP_ID)
    }

    /// The rules, in words of their own. A withdrawal ends the round; a refusal stands; of grants, the highest counts.
    fn standing_by_the_rules(&self, author: usize) -> Standing {
        let whole = |kind| {
            self.said
                .iter()
                .filter(move |said| said.whole && said.kind == kind)
        };
        let by = |kind, author: usize| whole(kind).filter(move |said| said.author == author);
        let last_grant = |author| {
            let no = [StatementKind::Refusal, StatementKind::Withdrawal];
            let said_no = no.iter().any(|kind| by(*kind, author).count() > 0);
            let grants = by(StatementKind::Grant, author);
            grants.max_by_key(|said| said.seq).filter(|_| !said_no)
        };
        if by(StatementKind::Withdrawal, author).count() > 0 {
            return Standing::Withdrawn;
        }
        if by(StatementKind::Refusal, author).count() > 0 {
            return Standing::Refused;
        }
        let Some(grant) = last_grant(author) else {
            return Standing::Waiting;
        };
        let interpreted = (0..self.people.len())
            .filter_map(last_grant)
            .any(|said| said.interprets.contains(&author));
        if Some(grant.with_key) != self.here[author] {
            Standing::Incomplete(Gap::OtherPass)
        } else if grant.spoken && !interpreted {
            Standing::Incomplete(Gap::Interpreter)
        } else {
            Standing::Granted
        }
    }

    fn withdrawn(&self) -> bool {
        let mut said = self.said.iter();
        said.any(|said| said.whole && said.kind == StatementKind::Withdrawal)
    }

    fn agreed_by_the_rules(&self) -> bool {
        let here = (0..self.people.len()).filter(|n| self.here[*n].is_some());
        let mut standings = here.map(|n| self.standing_by_the_rules(n));
        !self.withdrawn() && standings.all(|standing| standing == Standing::Granted)
    }
}

fn cases() -> impl Iterator<Item = (u64, Random, Case)> {
    (1..=CASES).map(|seed| {
        let mut random = Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let case = Case::new(&mut random);
        (seed, random, case)
    })
}

#[test]
fn the_screen_says_that_everyone_agreed_exactly_when_the_gate_lets_the_recorder_in() {
    let clinic = clinic();
    let mut seen: BTreeMap<String, u32> = BTreeMap::new();
    for (seed, _, case) in cases() {
        let gate = case.gate(&case.after(&case.said, &clinic), &clinic);
        if !case.out_of_order {
            let agreed = case.agreed_by_the_rules();
            assert_eq!(gate.is_ok(), agreed, "seed {seed}: {gate:?}");
        }
        *seen.entry(format!("agreed: {}", gate.is_ok())).or_default() += 1;
        let heard: Vec<_> = case
            .said
            .iter()
            .map(|said| Statement::verify(&said.jws, &clinic, visit(), GROUP_ID).unwrap())
            .collect();
        // A screen knows the same, some of it from the context and the rest from the members themselves.
        for known in 0..=case.said.len() {
            let state = case.after(&case.said[..known], &clinic);
            let Some(round) = Round::open_in(&state, &clinic, visit(), GROUP_ID).unwrap() else {
                assert!(gate.is_err(), "seed {seed}, {known} known");
                continue;
            };
            let mut screen = round.answers();
            for statement in &heard[known..] {
                let expected = screen.would_hear(statement);
                assert_eq!(screen.hear(statement).is_ok(), expected, "seed {seed}");
            }
            let shown = screen.judge(&case.roster());
            assert_eq!(
                shown.is_ok(),
                gate.is_ok(),
                "seed {seed}, {known} known: {shown:?}"
            );
            for (author, with_key) in case.here.iter().enumerate() {
                let Some(with_key) = with_key else { continue };
                let standing = screen.standing_of(&case.people[author].entry(*with_key));
                *seen.entry(format!("{standing:?}")).or_default() += 1;
                if case.out_of_order {
                    continue;
                }
                if !case.withdrawn() || standing == Standing::Withdrawn {
                    assert_eq!(
                        standing,
                        case.standing_by_the_rules(author),
                        "seed {seed}, {known} known"
                    );
                }
            }
        }
    }
    // A generator that stopped making one of these would leave the test true of nothing.
    let kinds = [
        "agreed: true",
        "agreed: false",
        "Waiting",
        "Granted",
        "Refused",
        "Withdrawn",
        "Incomplete(OtherPass)",
        "Incomplete(Interpreter)",
    ];
    for kind in kinds {
        let count = seen.get(kind).copied().unwrap_or_default();
        assert!(count >= 10, "{kind} came up {count} times: {seen:?}");
    }
}

#[test]
fn what_is_said_with_growing_numbers_counts_the_same_in_every_order() {
    let clinic = clinic();
    for (seed, mut random, mut case) in cases().filter(|(_, _, case)| !case.out_of_order) {
        let agreed = case.agreed_by_the_rules();
        for _ in 0..3 {
            random.shuffle(&mut case.said);
            let gate = case.gate(&case.after(&case.said, &clinic), &clinic);
            assert_eq!(gate.is_ok(), agreed, "seed {seed}: {gate:?}");
        }
    }
}

#[test]
fn a_withdrawal_of_somebody_who_left_leaves_no_grant_standing() {
    let clinic = clinic();
    let mut random = Random(1);
    let mut case = loop {
        let case = Case::new(&mut random);
        let gone = case.here.iter().position(Option::is_none);
        let granted = case.agreed_by_the_rules() && gone.is_some();
        if granted && case.here.iter().flatten().count() > 1 {
            break case;
        }
    };
    let gone = case.here.iter().position(Option::is_none).unwrap();
    let withdrawal = loop {
        let (people, open) = (&case.people, &case.request);
        let said = Case::statement(&mut random, people, open, open, gone, (0, 1));
        if said.kind == StatementKind::Withdrawal {
            break said;
        }
    };
    let state = case.after(&case.said, &clinic);
    let round = Round::open_in(&state, &clinic, visit(), GROUP_ID)
        .unwrap()
        .unwrap();
    let withdrawn = Statement::verify(&withdrawal.jws, &clinic, visit(), GROUP_ID).unwrap();
    let mut screen = round.answers();
    assert_eq!(screen.judge(&case.roster()), Ok(()));
    screen.hear(&withdrawn).unwrap();
    assert_eq!(screen.judge(&case.roster()), Err(Verdict::NoRound));
    case.said.push(withdrawal);
    let gate = case.gate(&case.after(&case.said, &clinic), &clinic);
    assert_eq!(gate, Err(Verdict::NoRound));
}

#[test]
fn a_recorder_is_not_asked_and_no_roster_agrees_without_a_round() {
    let clinic = clinic();
    let host = Person::new("host", Role::Clinician);
    let recorder = Person::new("recorder", Role::Recorder);
    let roster = [host.entry(0), recorder.entry(0)];
    let gate = |state: &ConsentState| verdict(&roster, state, &clinic, visit(), GROUP_ID);
    let empty = ConsentState::new();
    assert!(
        Round::open_in(&empty, &clinic, visit(), GROUP_ID)
            .unwrap()
            .is_none()
    );
    assert_eq!(gate(&empty), Err(Verdict::NoRound));
    let open = Change::Request(request(&host, recorder.id, 30));
    let state = empty.apply(&open, &clinic, visit(), GROUP_ID).unwrap();
    let round = Round::open_in(&state, &clinic, visit(), GROUP_ID)
        .unwrap()
        .unwrap();
    let answers = round.answers();
    assert_eq!(answers.standing_of(&recorder.entry(0)), Standing::NotAsked);
    assert_eq!(answers.standing_of(&host.entry(0)), Standing::Waiting);
    assert_eq!(gate(&state), Err(Verdict::NotGranted(host.id)));
}

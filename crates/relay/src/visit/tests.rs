use super::*;
use sealed_visit_protocol::clinic::ClinicClaims;
use sealed_visit_protocol::pass::{Confirmation, PassClaims};
use sealed_visit_protocol::{ClinicDocument, Hash32, Pass, SigningKey, VisitId};

/// A small generator (xorshift64*), so that a failing run can be replayed from its seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) as usize % below
    }
}

pub(crate) fn people(count: u8) -> Vec<Admitted> {
    let (root, authority) = (
        SigningKey::from_seed(&[1; 32]),
        SigningKey::from_seed(&[2; 32]),
    );
    let document = root.sign(&ClinicClaims {
        v: 1,
        number: 1,
        not_before_ms: 0,
        not_after_ms: (1 << 53) - 1,
        name: String::new(),
        contact: String::new(),
        authorities: vec![authority.public()],
        vault: root.public(),
        recipients: Vec::new(),
        retired: Vec::new(),
    });
    let clinic = ClinicDocument::verify(&document, &root.public()).unwrap();
    (0..count)
        .map(|index| {
            let jws = authority.sign(&PassClaims {
                v: 1,
                visit: VisitId::from_bytes([9; 16]),
                sub: ParticipantId::from_bytes([index; 16]),
                role: if index == 0 {
                    Role::Clinician
                } else {
                    Role::Guest
                },
                cnf: Confirmation {
                    jwk: SigningKey::from_seed(&[index + 10; 32]).public(),
                },
                name: Hash32([0; 32]),
                iat: 0,
                exp: (1 << 53) - 1,
            });
            let pass = Pass::verify(&jws, &clinic).unwrap();
            Admitted {
                visit: pass.visit(),
                participant: pass.participant(),
                role: pass.role(),
                pass,
            }
        })
        .collect()
}

fn group_id(generation: u32) -> B64 {
    B64(generation.to_be_bytes().to_vec())
}

/// What a participant has seen of the log.
#[derive(Default)]
struct Seen {
    entries: Vec<RelayMessage>,
    is_connected: bool,
}

impl Seen {
    fn last_seq(&self) -> u64 {
        self.entries
            .last()
            .map_or(0, |entry| seq_of(entry).unwrap())
    }
}

fn seq_of(message: &RelayMessage) -> Option<u64> {
    match message {
        RelayMessage::GroupCreated { seq, .. }
        | RelayMessage::Commit { seq, .. }
        | RelayMessage::App { seq, .. }
        | RelayMessage::Refusal { seq, .. } => Some(*seq),
        _ => None,
    }
}

/// The entries of the log that a delivery brings.
fn entries_of(visit: &Visit, delivery: &Delivery) -> Vec<RelayMessage> {
    let mut messages = visit.messages_of(delivery.parcel.clone());
    messages.retain(|message| seq_of(message).is_some());
    messages
}

fn deliver(visit: &Visit, deliveries: Vec<Delivery>, people: &[Admitted], seen: &mut [Seen]) {
    for delivery in deliveries {
        let to = delivery.to;
        let entries = entries_of(visit, &delivery);
        for (person, seen) in people.iter().zip(seen.iter_mut()) {
            let is_meant = match to {
                To::All => true,
                To::One(who) => who == person.participant,
                To::Others(but) => but != person.participant,
            };
            if is_meant && seen.is_connected {
                seen.entries.extend(entries.iter().cloned());
            }
        }
    }
}

/// Any interleaving of commits, messages, new groups, losses and returns: everybody reads one gapless log in which
/// each epoch of each group has exactly one commit.
#[test]
fn everybody_reads_one_log_with_one_commit_for_each_epoch() {
    let commits: u64 = (1..=300).map(run_at_random).sum();
    assert!(commits > 300 * 10, "only {commits} commits were made");
}

fn run_at_random(seed: u64) -> u64 {
    let people = people(5);
    let mut dice = Dice(seed);
    let mut visit = Visit::default();
    let mut seen: Vec<Seen> = people.iter().map(|_| Seen::default()).collect();
    for (person, seen) in people.iter().zip(&mut seen) {
        seen.is_connected = true;
        visit.connect(person.participant, None).unwrap();
    }
    let mut generation = 0;
    let create = ClientMessage::CreateGroup {
        group_id: group_id(0),
        replaces: None,
    };
    let created = visit.handle(&people[0], create).unwrap();
    deliver(&visit, created, &people, &mut seen);
    let everybody: Vec<WelcomeFor> = people
        .iter()
        .map(|person| WelcomeFor {
            to: person.participant,
            welcome: B64(vec![]),
        })
        .collect();

    for step in 0..200_u64 {
        let index = dice.roll(people.len());
        let who = &people[index];
        // Each acts on what it has read so far: late ones try an epoch that is taken.
        let epoch = seen[index]
            .entries
            .iter()
            .rev()
            .find_map(|entry| match entry {
                RelayMessage::Commit { epoch, .. } => Some(epoch + 1),
                RelayMessage::GroupCreated { .. } => Some(0),
                _ => None,
            })
            .unwrap_or(0);
        let epoch = epoch.saturating_sub(dice.roll(2) as u64);
        let message = match dice.roll(20) {
            0..8 => ClientMessage::Commit {
                group_id: group_id(generation),
                epoch,
                commit: B64(step.to_be_bytes().to_vec()),
                welcomes: everybody.clone(),
                removed: vec![],
            },
            8..16 => ClientMessage::App {
                group_id: group_id(generation),
                epoch,
                data: B64(step.to_be_bytes().to_vec()),
            },
            16 => ClientMessage::CreateGroup {
                group_id: group_id(generation + 1),
                replaces: Some(group_id(generation)),
            },
            _ if seen[index].is_connected => {
                seen[index].is_connected = false;
                let gone = visit.disconnect(who.participant);
                deliver(&visit, gone, &people, &mut seen);
                continue;
            }
            _ => {
                seen[index].is_connected = true;
                let after = seen[index].last_seq();
                let deliveries = visit.connect(who.participant, Some(after)).unwrap();
                deliver(&visit, deliveries, &people, &mut seen);
                continue;
            }
        };
        if !seen[index].is_connected {
            continue;
        }
        let is_new_group = matches!(message, ClientMessage::CreateGroup { .. });
        if let Ok(deliveries) = visit.handle(who, message) {
            generation += u32::from(is_new_group);
            deliver(&visit, deliveries, &people, &mut seen);
        }
    }
    for (person, seen) in people.iter().zip(&mut seen) {
        if !seen.is_connected {
            seen.is_connected = true;
            let after = seen.last_seq();
            let deliveries = visit.connect(person.participant, Some(after)).unwrap();
            for delivery in &deliveries {
                seen.entries.extend(entries_of(&visit, delivery));
            }
        }
    }
    for other in &seen {
        assert_eq!(other.entries, seen[0].entries, "seed {seed}");
    }
    check_log(&seen[0].entries, seed)
}

/// Returns the number of commits.
fn check_log(entries: &[RelayMessage], seed: u64) -> u64 {
    let mut next_epoch = 0;
    let mut commits = 0;
    for (index, entry) in entries.iter().enumerate() {
        assert_eq!(seq_of(entry), Some(index as u64 + 1), "seed {seed}");
        match entry {
            RelayMessage::GroupCreated { .. } => next_epoch = 0,
            RelayMessage::Commit { epoch, .. } => {
                assert_eq!(*epoch, next_epoch, "seed {seed}");
                next_epoch += 1;
                commits += 1;
            }
            _ => {}
        }
    }
    commits
}

#[test]
fn drops_the_oldest_entries_and_says_so_to_whoever_needs_them() {
    let people = people(2);
    let mut visit = Visit::default();
    for person in &people {
        visit.connect(person.participant, None).unwrap();
    }
    let create = ClientMessage::CreateGroup {
        group_id: group_id(0),
        replaces: None,
    };
    visit.handle(&people[0], create).unwrap();
    visit.disconnect(people[1].participant);
    let message = ClientMessage::App {
        group_id: group_id(0),
        epoch: 0,
        data: B64(vec![0; limits::MAX_APP_BYTES]),
    };
    let count = limits::MAX_LOG_BYTES / limits::MAX_APP_BYTES + 2;
    for _ in 0..count {
        visit.handle(&people[0], message.clone()).unwrap();
    }
    assert!(visit.log.0.size_bytes() <= limits::MAX_LOG_BYTES);
    let outcome = visit.connect(people[1].participant, Some(1)).unwrap();
    assert!(outcome.iter().any(|delivery| matches!(
        delivery.parcel,
        Parcel::Message(RelayMessage::Error {
            code: RelayErrorCode::TooMuch,
            ..
        })
    )));
    // What is still kept is still served.
    visit.disconnect(people[1].participant);
    let last = visit.log.0.last_seq();
    let outcome = visit
        .connect(people[1].participant, Some(last - 3))
        .unwrap();
    let served = outcome.iter().flat_map(|it| entries_of(&visit, it));
    assert_eq!(served.count(), 3);
    // A log position that was never reached belongs to another relay's memory.
    visit.disconnect(people[1].participant);
    let outcome = visit
        .connect(people[1].participant, Some(last + 1))
        .unwrap();
    assert!(matches!(
        outcome[1].parcel,
        Parcel::Message(RelayMessage::Error { .. })
    ));
}

#[test]
fn a_new_group_does_not_cut_media() {
    let people = people(2);
    let mut visit = Visit::default();
    for person in &people {
        visit.connect(person.participant, None).unwrap();
    }
    let create = |generation: u32, replaces| ClientMessage::CreateGroup {
        group_id: group_id(generation),
        replaces,
    };
    visit.handle(&people[0], create(0, None)).unwrap();
    assert!(!visit.may_use_media(people[1].participant));
    let commit = ClientMessage::Commit {
        group_id: group_id(0),
        epoch: 0,
        commit: B64(vec![]),
        welcomes: vec![WelcomeFor {
            to: people[1].participant,
            welcome: B64(vec![]),
        }],
        removed: vec![],
    };
    visit.handle(&people[0], commit).unwrap();
    assert!(visit.may_use_media(people[1].participant));
    visit
        .handle(&people[0], create(1, Some(group_id(0))))
        .unwrap();
    assert!(visit.may_use_media(people[1].participant));
    visit.close(EndedBy::Host);
    assert!(!visit.may_use_media(people[1].participant));
}

#[test]
fn whom_a_commit_removes_is_a_member_no_more_until_let_in_again() {
    let people = people(3);
    let who = |index: usize| people[index].participant;
    let mut visit = Visit::default();
    for person in &people {
        visit.connect(person.participant, None).unwrap();
    }
    let create = ClientMessage::CreateGroup {
        group_id: group_id(0),
        replaces: None,
    };
    visit.handle(&people[0], create).unwrap();
    let commit = |epoch, added: &[usize], removed: &[usize]| ClientMessage::Commit {
        group_id: group_id(0),
        epoch,
        commit: B64(vec![]),
        welcomes: added
            .iter()
            .map(|index| WelcomeFor {
                to: who(*index),
                welcome: B64(vec![]),
            })
            .collect(),
        removed: removed.iter().map(|index| who(*index)).collect(),
    };
    let app = |epoch| ClientMessage::App {
        group_id: group_id(0),
        epoch,
        data: B64(vec![]),
    };
    visit.handle(&people[0], commit(0, &[1, 2], &[])).unwrap();
    // Named in a commit that lost the race: nothing happens.
    visit.handle(&people[2], commit(0, &[], &[1])).unwrap();
    assert!(visit.may_use_media(who(1)));
    // The commit itself still reaches whom it removes: that is how it learns.
    let ordered = visit.handle(&people[0], commit(1, &[], &[1])).unwrap();
    assert!(matches!(ordered[0].to, To::All));
    assert!(!visit.may_use_media(who(1)));
    assert!(visit.may_use_media(who(2)));
    for message in [app(2), commit(2, &[], &[])] {
        let denied = visit.handle(&people[1], message).unwrap_err();
        assert_eq!(denied.code, RelayErrorCode::NotAllowed);
    }
    // Out with one leaf, in with another, in one commit: a rejoin is no removal.
    visit.handle(&people[0], commit(2, &[2], &[2])).unwrap();
    assert!(visit.may_use_media(who(2)));
    visit.handle(&people[0], commit(3, &[1], &[])).unwrap();
    assert!(visit.may_use_media(who(1)));
    visit.handle(&people[1], app(4)).unwrap();
    // Nobody removes themselves, in MLS neither.
    visit.handle(&people[0], commit(4, &[], &[0])).unwrap();
    assert!(visit.may_use_media(who(0)));
}

#[test]
fn a_group_id_is_used_once_in_a_visit() {
    let people = people(1);
    let mut visit = Visit::default();
    visit.connect(people[0].participant, None).unwrap();
    let mut create = |generation: u32, replaces: Option<u32>| {
        let message = ClientMessage::CreateGroup {
            group_id: group_id(generation),
            replaces: replaces.map(group_id),
        };
        visit.handle(&people[0], message).map(|_| ())
    };
    create(0, None).unwrap();
    assert_eq!(
        create(0, Some(0)).unwrap_err().code,
        RelayErrorCode::NotAllowed
    );
    // One person may make so many, and leaves the others enough.
    for generation in 1..limits::MAX_GROUPS_OF_ONE as u32 {
        create(generation, Some(generation - 1)).unwrap();
    }
    let last = limits::MAX_GROUPS_OF_ONE as u32 - 1;
    for used in [0, 7, last, last + 1] {
        let refused = create(used, Some(last)).unwrap_err();
        assert_eq!(refused.code, RelayErrorCode::NotAllowed);
    }
}

#[test]
fn whoever_was_let_in_as_a_clinician_counts_as_one_who_is_inside() {
    let everybody = people(3);
    let clinician = |index: usize| Admitted {
        role: Role::Clinician,
        ..everybody[index].clone()
    };
    let (opener, second, stranger) = (clinician(0), clinician(1), clinician(2));
    let mut visit = Visit::default();
    for person in &everybody {
        visit.connect(person.participant, None).unwrap();
    }
    let create = |generation: u32, replaces| ClientMessage::CreateGroup {
        group_id: group_id(generation),
        replaces,
    };
    visit.handle(&opener, create(0, None)).unwrap();
    let key_package = B64(vec![1]);
    for waits in [&second, &stranger] {
        let key_package = key_package.clone();
        let message = ClientMessage::KeyPackage { key_package };
        visit.handle(waits, message).unwrap();
    }
    let commit = ClientMessage::Commit {
        group_id: group_id(0),
        epoch: 0,
        commit: B64(vec![]),
        welcomes: vec![WelcomeFor {
            to: second.participant,
            welcome: B64(vec![]),
        }],
        removed: vec![],
    };
    visit.handle(&opener, commit).unwrap();
    visit.disconnect(opener.participant);
    let takes = create(1, Some(group_id(0)));
    let refused = visit.handle(&stranger, takes.clone()).unwrap_err();
    assert_eq!(refused.code, RelayErrorCode::NotAllowed);
    // Nor does it end the visit.
    let refused = visit.handle(&stranger, ClientMessage::End {}).unwrap_err();
    assert_eq!(refused.code, RelayErrorCode::NotAllowed);
    assert!(!visit.is_over());
    visit.disconnect(second.participant);
    visit.handle(&stranger, takes).unwrap();
}

#[test]
fn a_full_visit_takes_nobody_more() {
    let mut visit = Visit::default();
    for index in 0..limits::MAX_PARTICIPANTS as u8 {
        visit
            .connect(ParticipantId::from_bytes([index; 16]), None)
            .unwrap();
    }
    let one_more = ParticipantId::from_bytes([255; 16]);
    assert_eq!(
        visit.connect(one_more, None).unwrap_err().code,
        RelayErrorCode::TooMuch
    );
    // Somebody of them may come back all the same.
    visit
        .connect(ParticipantId::from_bytes([3; 16]), None)
        .unwrap();
}

#[test]
fn welcomes_for_people_who_are_away_have_a_bound() {
    let mut visit = Visit::default();
    let host = Admitted {
        role: Role::Clinician,
        ..people(1)[0].clone()
    };
    visit.connect(host.participant, None).unwrap();
    let create = ClientMessage::CreateGroup {
        group_id: group_id(0),
        replaces: None,
    };
    visit.handle(&host, create).unwrap();
    let away = |index: u64| {
        let mut bytes = [255; 16];
        bytes[..8].copy_from_slice(&index.to_be_bytes());
        ParticipantId::from_bytes(bytes)
    };
    let full_at = limits::MAX_PARTICIPANTS as u64 - 1;
    for index in 0..200 {
        let epoch = index.min(full_at);
        let commit = ClientMessage::Commit {
            group_id: group_id(0),
            epoch,
            commit: B64(vec![]),
            welcomes: vec![WelcomeFor {
                to: away(index),
                welcome: B64(vec![0; 700 << 10]),
            }],
            removed: vec![],
        };
        let outcome = visit.handle(&host, commit);
        // The group is full before long; nobody was removed.
        assert_eq!(outcome.is_ok(), index < full_at);
    }
    let kept = visit.undelivered.values();
    assert_eq!(kept.count(), limits::MAX_UNDELIVERED_BYTES / (700 << 10));
}

/// A clinician who opened the visit, a patient whom that clinician let in, and a clinician and a guest whom nobody did.
struct Intrusion {
    visit: Visit,
    host: Admitted,
    patient: Admitted,
    stranger: Admitted,
    accomplice: Admitted,
}

impl Intrusion {
    fn new() -> Self {
        let everybody = people(4);
        let clinician = |index: usize| Admitted {
            role: Role::Clinician,
            ..everybody[index].clone()
        };
        let mut it = Self {
            visit: Visit::default(),
            host: clinician(0),
            patient: everybody[1].clone(),
            stranger: clinician(2),
            accomplice: everybody[3].clone(),
        };
        for person in &everybody {
            it.visit.connect(person.participant, None).unwrap();
        }
        let host = it.host.clone();
        it.make_group(&host, 0, None).unwrap();
        it.commit(&host, 0, 0, &[1], &[]).unwrap();
        for waits in [it.stranger.clone(), it.accomplice.clone()] {
            let message = ClientMessage::KeyPackage {
                key_package: B64(vec![1]),
            };
            it.visit.handle(&waits, message).unwrap();
        }
        it
    }

    fn make_group(&mut self, by: &Admitted, number: u32, replaces: Option<u32>) -> Outcome {
        let message = ClientMessage::CreateGroup {
            group_id: group_id(number),
            replaces: replaces.map(group_id),
        };
        self.visit.handle(by, message)
    }

    fn commit(
        &mut self,
        by: &Admitted,
        group: u32,
        epoch: u64,
        welcomes: &[u8],
        removed: &[u8],
    ) -> Outcome {
        let id = |index: &u8| ParticipantId::from_bytes([*index; 16]);
        let welcome = |index| WelcomeFor {
            to: id(index),
            welcome: B64(vec![]),
        };
        let message = ClientMessage::Commit {
            group_id: group_id(group),
            epoch,
            commit: B64(vec![]),
            welcomes: welcomes.iter().map(welcome).collect(),
            removed: removed.iter().map(id).collect(),
        };
        self.visit.handle(by, message)
    }

    fn speak(&mut self, by: &Admitted, group: u32, epoch: u64) -> Outcome {
        let message = ClientMessage::App {
            group_id: group_id(group),
            epoch,
            data: B64(vec![]),
        };
        self.visit.handle(by, message)
    }

    fn the_stranger_cannot_end_it(&mut self) {
        let stranger = self.stranger.clone();
        let refused = self.visit.handle(&stranger, ClientMessage::End {});
        assert_eq!(refused.unwrap_err().code, RelayErrorCode::NotAllowed);
        assert!(!self.visit.is_over());
    }
}

#[test]
fn a_late_commit_that_names_more_than_can_be_there_is_refused() {
    let mut it = Intrusion::new();
    let host = it.host.clone();
    let late = it.commit(&host, 0, 0, &[], &[7; 200]);
    assert_eq!(late.unwrap_err().code, RelayErrorCode::TooMuch);
}

#[test]
fn a_clinician_nobody_admitted_does_not_end_the_visit_from_a_group_of_its_own() {
    let mut it = Intrusion::new();
    let (host, patient) = (it.host.clone(), it.patient.clone());
    let (stranger, accomplice) = (it.stranger.clone(), it.accomplice.clone());
    it.visit.disconnect(host.participant);
    it.make_group(&stranger, 1, Some(0)).unwrap();
    it.the_stranger_cannot_end_it();
    // It claims itself, an accomplice and the others as members, and then that the others were removed.
    it.commit(&stranger, 1, 0, &[0, 1, 2, 3], &[]).unwrap();
    it.commit(&stranger, 1, 1, &[], &[0, 1]).unwrap();
    it.the_stranger_cannot_end_it();
    assert!(it.visit.may_use_media(patient.participant));
    assert!(it.visit.may_use_media(host.participant));
    // Whoever is in league with it changes nothing while somebody who was let in is connected.
    it.speak(&accomplice, 1, 1).unwrap();
    it.commit(&accomplice, 1, 2, &[2], &[]).unwrap();
    it.the_stranger_cannot_end_it();
    // The host comes back, takes the visit back, and ends it.
    it.visit.connect(host.participant, None).unwrap();
    it.make_group(&host, 2, Some(1)).unwrap();
    it.the_stranger_cannot_end_it();
    it.visit.handle(&host, ClientMessage::End {}).unwrap();
    assert!(it.visit.is_over());
}

#[test]
fn a_patient_who_lies_makes_nobody_a_clinician_of_the_visit_while_one_is_connected() {
    let mut it = Intrusion::new();
    let (patient, stranger) = (it.patient.clone(), it.stranger.clone());
    it.commit(&patient, 0, 1, &[2], &[]).unwrap();
    it.speak(&stranger, 0, 2).unwrap();
    it.the_stranger_cannot_end_it();
    it.commit(&patient, 0, 2, &[2], &[0]).unwrap();
    it.commit(&stranger, 0, 3, &[2, 3], &[]).unwrap();
    it.the_stranger_cannot_end_it();
    // Nor in a group that one of them makes.
    it.make_group(&stranger, 1, Some(0)).unwrap();
    it.commit(&stranger, 1, 0, &[1, 3], &[]).unwrap();
    it.speak(&patient, 1, 1).unwrap();
    it.the_stranger_cannot_end_it();
    it.make_group(&patient, 2, Some(1)).unwrap();
    it.commit(&patient, 2, 0, &[2], &[]).unwrap();
    it.the_stranger_cannot_end_it();
    let host = it.host.clone();
    it.visit.handle(&host, ClientMessage::End {}).unwrap();
}

#[test]
fn a_substitute_whom_the_patient_follows_ends_the_visit() {
    let mut it = Intrusion::new();
    let (patient, substitute) = (it.patient.clone(), it.stranger.clone());
    it.visit.disconnect(it.host.participant);
    it.make_group(&substitute, 1, Some(0)).unwrap();
    it.commit(&substitute, 1, 0, &[1], &[]).unwrap();
    it.the_stranger_cannot_end_it();
    it.speak(&patient, 1, 1).unwrap();
    it.visit.handle(&substitute, ClientMessage::End {}).unwrap();
    assert!(it.visit.is_over());
}

#[test]
fn a_substitute_ends_a_visit_in_which_nobody_is_left_of_those_before() {
    let mut it = Intrusion::new();
    let (substitute, guest) = (it.stranger.clone(), it.accomplice.clone());
    it.visit.disconnect(it.host.participant);
    it.visit.disconnect(it.patient.participant);
    it.make_group(&substitute, 1, Some(0)).unwrap();
    it.the_stranger_cannot_end_it();
    it.commit(&substitute, 1, 0, &[3], &[]).unwrap();
    it.speak(&guest, 1, 1).unwrap();
    it.visit.handle(&substitute, ClientMessage::End {}).unwrap();
}

#[test]
fn names_that_a_member_only_claims_to_have_let_in_do_not_add_up() {
    let mut it = Intrusion::new();
    let host = it.host.clone();
    for number in 1..20_u32 {
        it.make_group(&host, number, Some(number - 1)).unwrap();
        let name = |index: u32| {
            let mut bytes = [255; 16];
            bytes[..4].copy_from_slice(&(number * 1000 + index).to_be_bytes());
            ParticipantId::from_bytes(bytes)
        };
        let message = ClientMessage::Commit {
            group_id: group_id(number),
            epoch: 0,
            commit: B64(vec![]),
            welcomes: (0..60)
                .map(|index| WelcomeFor {
                    to: name(index),
                    welcome: B64(vec![]),
                })
                .collect(),
            removed: vec![],
        };
        it.visit.handle(&host, message).unwrap();
    }
    let bound = limits::MAX_ADMITTED + limits::MAX_PARTICIPANTS;
    assert!(it.visit.admitted_to_media.len() <= bound);
    assert!(it.visit.vouched.len() <= bound);
    assert!(it.visit.may_use_media(it.patient.participant));
}

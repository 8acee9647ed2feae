use super::*;
use sealed_visit_protocol::clinic::ClinicClaims;
use sealed_visit_protocol::{ClinicDocument, Pass};
use std::sync::atomic::{AtomicU8, Ordering};

const HOUR_MS: u64 = 60 * 60 * 1000;
const NOON_MS: u64 = 1_800_000_000_000;

fn counting(bytes: &mut [u8]) {
    static COUNT: AtomicU8 = AtomicU8::new(1);
    bytes.fill(COUNT.fetch_add(1, Ordering::Relaxed));
}

fn book() -> Book {
    Book::new(SigningKey::from_seed(&[9; 32]), counting)
}

fn visit(passcode: Option<&str>) -> NewVisit {
    NewVisit {
        appointment: "a-17".into(),
        starts_ms: NOON_MS,
        ends_ms: NOON_MS + HOUR_MS,
        template: None,
        participants: vec![
            NewParticipant {
                role: Role::Clinician,
                passcode: None,
            },
            NewParticipant {
                role: Role::Patient,
                passcode: passcode.map(str::to_owned),
            },
        ],
    }
}

fn holder(seed: u8) -> Holder {
    Holder {
        key: SigningKey::from_seed(&[seed; 32]).public(),
        name: Hash32([seed; 32]),
    }
}

/// Of a browser that came at noon with a link that has no passcode.
fn credential_of(book: &mut Book, links: &VisitLinks, index: usize) -> String {
    let secret = &links.links[index].secret;
    let admitted = book.redeem(links.visit, secret, None, holder(index as u8 + 1), NOON_MS);
    admitted.unwrap().credential.unwrap()
}

fn clinic() -> ClinicDocument {
    let root = SigningKey::from_seed(&[8; 32]);
    let document = root.sign(&ClinicClaims {
        v: 1,
        number: 1,
        not_before_ms: 0,
        not_after_ms: u64::MAX,
        name: "Clinic".into(),
        contact: "desk".into(),
        authorities: vec![SigningKey::from_seed(&[9; 32]).public()],
        vault: SigningKey::from_seed(&[7; 32]).public(),
        recipients: vec![],
        retired: vec![],
    });
    ClinicDocument::verify(&document, &root.public()).unwrap()
}

#[test]
fn a_link_gives_one_pass_bound_to_the_browsers_key() {
    let mut book = book();
    let links = book.create(&visit(None)).unwrap();
    let admitted = book
        .redeem(
            links.visit,
            &links.links[1].secret,
            None,
            holder(1),
            NOON_MS,
        )
        .unwrap();
    let pass = Pass::verify_for(&admitted.pass, &clinic(), links.visit).unwrap();
    assert_eq!(
        (pass.participant(), pass.role()),
        (links.links[1].participant, Role::Patient)
    );
    assert_eq!(*pass.key(), holder(1).key);
    assert_eq!(pass.expires_s(), (NOON_MS + 3 * HOUR_MS) / 1000);
    let again = book.redeem(
        links.visit,
        &links.links[1].secret,
        None,
        holder(2),
        NOON_MS,
    );
    assert_eq!(again.err(), Some(BookError::LinkUsed));
}

#[test]
fn the_same_browser_comes_back_as_the_same_participant() {
    let mut book = book();
    let links = book.create(&visit(None)).unwrap();
    let first = book
        .redeem(
            links.visit,
            &links.links[1].secret,
            None,
            holder(1),
            NOON_MS,
        )
        .unwrap();
    let credential = first.credential.unwrap();
    let again = book
        .renew(links.visit, &credential, holder(3), NOON_MS)
        .unwrap();
    assert_eq!(again.participant, first.participant);
    assert_eq!(
        book.renew(links.visit, "guess", holder(3), NOON_MS).err(),
        Some(BookError::UnknownCredential)
    );
}

#[test]
fn a_link_is_dead_outside_its_time_and_after_the_end() {
    let mut book = book();
    let links = book.create(&visit(None)).unwrap();
    let host = &links.links[0].secret;
    let early = book.redeem(links.visit, host, None, holder(1), NOON_MS - 25 * HOUR_MS);
    assert_eq!(early.err(), Some(BookError::OutsideTime));
    let late = book.redeem(links.visit, host, None, holder(1), NOON_MS + 3 * HOUR_MS);
    assert_eq!(late.err(), Some(BookError::OutsideTime));
    let host = book
        .redeem(links.visit, host, None, holder(1), NOON_MS)
        .unwrap();
    book.end(links.visit, &host.credential.unwrap(), NOON_MS)
        .unwrap();
    let ended = book.redeem(
        links.visit,
        &links.links[1].secret,
        None,
        holder(1),
        NOON_MS,
    );
    assert_eq!(ended.err(), Some(BookError::Ended));
}

#[test]
fn wrong_passcodes_lock_the_link() {
    let mut book = book();
    let links = book.create(&visit(Some("4711"))).unwrap();
    let secret = &links.links[1].secret;
    for _ in 0..MAX_WRONG_PASSCODES {
        let wrong = book.redeem(links.visit, secret, Some("0000"), holder(1), NOON_MS);
        assert_eq!(wrong.err(), Some(BookError::WrongPasscode));
    }
    let right = book.redeem(links.visit, secret, Some("4711"), holder(1), NOON_MS);
    assert_eq!(right.err(), Some(BookError::LinkLocked));
}

#[test]
fn only_the_host_gets_a_recorder_and_always_the_same_one() {
    let mut book = book();
    let links = book.create(&visit(None)).unwrap();
    let credential = credential_of(&mut book, &links, 0);
    let patient = credential_of(&mut book, &links, 1);
    let refused = book.recorder_pass(links.visit, &patient, holder(3), NOON_MS);
    assert_eq!(refused.err(), Some(BookError::NotTheHost));
    let first = book
        .recorder_pass(links.visit, &credential, holder(3), NOON_MS)
        .unwrap();
    let second = book
        .recorder_pass(links.visit, &credential, holder(4), NOON_MS)
        .unwrap();
    assert_eq!(first.participant, second.participant);
    let pass = Pass::verify_for(&first.pass, &clinic(), links.visit).unwrap();
    assert_eq!(pass.role(), Role::Recorder);
}

#[test]
fn the_host_gets_a_link_for_the_recorder_elsewhere_and_only_the_last_one_works() {
    let mut book = book();
    let links = book.create(&visit(None)).unwrap();
    let host = credential_of(&mut book, &links, 0);
    let patient = credential_of(&mut book, &links, 1);
    let refused = book.recorder_link(links.visit, &patient, NOON_MS);
    assert_eq!(refused.err(), Some(BookError::NotTheHost));

    let first = book.recorder_link(links.visit, &host, NOON_MS).unwrap();
    let came = book
        .redeem(links.visit, &first.secret, None, holder(3), NOON_MS)
        .unwrap();
    assert_eq!(
        (came.role, came.participant),
        (Role::Recorder, first.participant)
    );
    let in_page = book
        .recorder_pass(links.visit, &host, holder(4), NOON_MS)
        .unwrap();
    assert_eq!(in_page.participant, first.participant);

    let second = book.recorder_link(links.visit, &host, NOON_MS).unwrap();
    assert_eq!(second.participant, first.participant);
    let old_page = book.renew(links.visit, &came.credential.unwrap(), holder(3), NOON_MS);
    assert_eq!(old_page.err(), Some(BookError::UnknownCredential));
    let old_link = book.redeem(links.visit, &first.secret, None, holder(5), NOON_MS);
    assert_eq!(old_link.err(), Some(BookError::UnknownLink));
    // Locked for people: the recorder is let in by everybody's consent.
    book.lock(links.visit, &host, true, NOON_MS).unwrap();
    let replaced = book.redeem(links.visit, &second.secret, None, holder(6), NOON_MS);
    assert_eq!(replaced.unwrap().participant, first.participant);
    let asked = book.overview(links.visit, &host, NOON_MS).unwrap();
    assert_eq!(asked.participants.len(), 2);
}

#[test]
fn a_new_link_for_the_recorder_keeps_its_passcode() {
    let mut book = book();
    let mut asked = visit(None);
    asked.participants.push(NewParticipant {
        role: Role::Recorder,
        passcode: Some("4711".into()),
    });
    let links = book.create(&asked).unwrap();
    let host = credential_of(&mut book, &links, 0);
    let link = book.recorder_link(links.visit, &host, NOON_MS).unwrap();
    assert_eq!(link.participant, links.links[2].participant);
    let without = book.redeem(links.visit, &link.secret, None, holder(2), NOON_MS);
    assert_eq!(without.err(), Some(BookError::WrongPasscode));
}

#[test]
fn refuses_visits_without_a_host_or_with_two_recorders() {
    let mut without = visit(None);
    without.participants.remove(0);
    assert_eq!(book().create(&without).err(), Some(BookError::BadVisit));
    let mut with = visit(None);
    for _ in 0..2 {
        with.participants.push(NewParticipant {
            role: Role::Recorder,
            passcode: None,
        });
    }
    assert_eq!(book().create(&with).err(), Some(BookError::BadVisit));
    assert_eq!(
        book().create(&visit(Some("123"))).err(),
        Some(BookError::BadPasscode)
    );
}

#[test]
fn the_host_is_told_of_a_link_that_another_browser_tried() {
    let mut book = book();
    let links = book.create(&visit(None)).unwrap();
    let redeem = |book: &mut Book, link: usize, seed: u8, now_ms: u64| {
        book.redeem(
            links.visit,
            &links.links[link].secret,
            None,
            holder(seed),
            now_ms,
        )
    };
    let host = redeem(&mut book, 0, 1, NOON_MS).unwrap();
    let host = host.credential.unwrap();
    let patient = links.links[1].participant;
    let seen = |book: &mut Book| {
        let overview = book.overview(links.visit, &host, NOON_MS).unwrap();
        assert_eq!(overview.ends_ms, NOON_MS + HOUR_MS);
        let mut found = overview.participants.into_iter();
        let entry = found.find(|entry| entry.participant == patient).unwrap();
        (
            entry.redeemed,
            entry.second_browser,
            entry.second_browser_ms,
        )
    };
    assert_eq!(seen(&mut book), (false, 0, None));
    let credential = redeem(&mut book, 1, 2, NOON_MS)
        .unwrap()
        .credential
        .unwrap();
    assert_eq!(seen(&mut book), (true, 0, None));
    // The same browser comes back: nobody needs to know.
    book.renew(links.visit, &credential, holder(3), NOON_MS)
        .unwrap();
    assert_eq!(seen(&mut book), (true, 0, None));
    for at_ms in [NOON_MS + 5, NOON_MS + 9] {
        let refused = redeem(&mut book, 1, 4, at_ms).err();
        assert_eq!(refused, Some(BookError::LinkUsed));
    }
    assert_eq!(seen(&mut book), (true, 2, Some(NOON_MS + 9)));
    let asked = book.overview(links.visit, &credential, NOON_MS);
    assert_eq!(asked.err(), Some(BookError::NotTheHost));
}

#[test]
fn a_locked_visit_refuses_unused_links_and_nobody_else() {
    let mut book = book();
    let mut asked = visit(Some("4711"));
    for role in [Role::Clinician, Role::Recorder] {
        asked.participants.push(NewParticipant {
            role,
            passcode: None,
        });
    }
    let links = book.create(&asked).unwrap();
    let redeem = |book: &mut Book, link: usize, passcode: Option<&str>| {
        let secret = &links.links[link].secret;
        book.redeem(links.visit, secret, passcode, holder(1), NOON_MS)
    };
    let host = redeem(&mut book, 0, None).unwrap().credential.unwrap();
    let lock =
        |book: &mut Book, who: &str, locked: bool| book.lock(links.visit, who, locked, NOON_MS);
    let turned_away = |book: &mut Book| {
        let overview = book.overview(links.visit, &host, NOON_MS).unwrap();
        let away = overview.participants.iter();
        let away: Vec<_> = away.filter(|entry| entry.turned_away).collect();
        (
            overview.locked,
            away.iter()
                .map(|entry| entry.participant)
                .collect::<Vec<_>>(),
        )
    };
    assert_eq!(turned_away(&mut book), (false, vec![]));
    lock(&mut book, &host, true).unwrap();
    assert!(book.info(links.visit, NOON_MS).unwrap().locked);
    // Neither the patient, whose passcode is not even tried, nor a second clinician.
    let patient = links.links[1].participant;
    for link in [1, 1, 2] {
        let refused = redeem(&mut book, link, Some("0000")).err();
        assert_eq!(refused, Some(BookError::Locked));
    }
    let (locked, away) = turned_away(&mut book);
    assert!(locked && away.len() == 2 && away.contains(&patient));
    // Who was in comes back; the recorder, which everybody's consent lets in, may come.
    book.renew(links.visit, &host, holder(2), NOON_MS).unwrap();
    book.recorder_pass(links.visit, &host, holder(3), NOON_MS)
        .unwrap();
    redeem(&mut book, 3, None).unwrap();
    lock(&mut book, &host, false).unwrap();
    assert_eq!(turned_away(&mut book), (false, vec![]));
    let patient = redeem(&mut book, 1, Some("4711")).unwrap();
    let refused = lock(&mut book, &patient.credential.unwrap(), true);
    assert_eq!(refused.err(), Some(BookError::NotTheHost));
    // A second clinician, to whom the visit may have been handed over, locks as well.
    let second = redeem(&mut book, 2, None).unwrap().credential.unwrap();
    lock(&mut book, &second, true).unwrap();
    assert_eq!(
        lock(&mut book, "guess", false).err(),
        Some(BookError::UnknownCredential)
    );
}

#[test]
fn says_when_a_visit_closes() {
    let mut book = book();
    let links = book.create(&visit(None)).unwrap();
    let info = book.info(links.visit, NOON_MS).unwrap();
    assert_eq!(info.closes_ms, NOON_MS + 3 * HOUR_MS);
    let secret = &links.links[0].secret;
    let host = book
        .redeem(links.visit, secret, None, holder(1), NOON_MS)
        .unwrap();
    let pass = Pass::verify_for(&host.pass, &clinic(), links.visit).unwrap();
    assert_eq!(pass.expires_s() * 1000, info.closes_ms);
}

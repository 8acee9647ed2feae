use super::*;
use crate::visit::MAX_WRONG_PASSCODES;
use sealed_visit_protocol::clinic::ClinicClaims;
use sealed_visit_protocol::{ClinicDocument, Pass};
use std::sync::atomic::{AtomicU8, Ordering};

const HOUR_MS: u64 = 60 * 60 * 1000;
pub(super) const NOON_MS: u64 = 1_800_000_000_000;

pub(super) fn counting(bytes: &mut [u8]) {
    static COUNT: AtomicU8 = AtomicU8::new(1);
    bytes.fill(COUNT.fetch_add(1, Ordering::Relaxed));
}

async fn book() -> Book {
    Book::in_memory(SigningKey::from_seed(&[9; 32]), counting)
        .await
        .unwrap()
}

pub(super) fn visit(passcode: Option<&str>) -> NewVisit {
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

pub(super) fn holder(seed: u8) -> Holder {
    Holder {
        key: SigningKey::from_seed(&[seed; 32]).public(),
        name: Hash32([seed; 32]),
    }
}

/// Of a browser that came at noon with a link that has no passcode.
pub(super) async fn credential_of(book: &Book, links: &VisitLinks, index: usize) -> String {
    let secret = &links.links[index].secret;
    let admitted = book
        .redeem(links.visit, secret, None, holder(index as u8 + 1), NOON_MS)
        .await;
    admitted.unwrap().credential.unwrap()
}

fn clinic() -> ClinicDocument {
    let root = SigningKey::from_seed(&[8; 32]);
    let document = root.sign(&ClinicClaims {
        v: 1,
        number: 1,
        not_before_ms: 0,
        not_after_ms: (1 << 53) - 1,
        name: "Clinic".into(),
        contact: "desk".into(),
        authorities: vec![SigningKey::from_seed(&[9; 32]).public()],
        vault: SigningKey::from_seed(&[7; 32]).public(),
        recipients: vec![],
        retired: vec![],
    });
    ClinicDocument::verify(&document, &root.public()).unwrap()
}

#[tokio::test]
async fn a_link_gives_one_pass_bound_to_the_browsers_key() {
    let book = book().await;
    let links = book.create(&visit(None)).await.unwrap();
    let admitted = book
        .redeem(
            links.visit,
            &links.links[1].secret,
            None,
            holder(1),
            NOON_MS,
        )
        .await
        .unwrap();
    let pass = Pass::verify_for(&admitted.pass, &clinic(), links.visit).unwrap();
    assert_eq!(
        (pass.participant(), pass.role()),
        (links.links[1].participant, Role::Patient)
    );
    assert_eq!(*pass.key(), holder(1).key);
    assert_eq!(pass.expires_s(), (NOON_MS + 3 * HOUR_MS) / 1000);
    let again = book
        .redeem(
            links.visit,
            &links.links[1].secret,
            None,
            holder(2),
            NOON_MS,
        )
        .await;
    assert_eq!(again.err(), Some(BookError::LinkUsed));
}

#[tokio::test]
async fn the_same_browser_comes_back_as_the_same_participant() {
    let book = book().await;
    let links = book.create(&visit(None)).await.unwrap();
    let first = book
        .redeem(
            links.visit,
            &links.links[1].secret,
            None,
            holder(1),
            NOON_MS,
        )
        .await
        .unwrap();
    let credential = first.credential.unwrap();
    let again = book
        .renew(links.visit, &credential, holder(3), NOON_MS)
        .await
        .unwrap();
    assert_eq!(again.participant, first.participant);
    assert_eq!(
        book.renew(links.visit, "guess", holder(3), NOON_MS)
            .await
            .err(),
        Some(BookError::UnknownCredential)
    );
}

#[tokio::test]
async fn a_link_is_dead_outside_its_time_and_after_the_end() {
    let book = book().await;
    let links = book.create(&visit(None)).await.unwrap();
    let host = &links.links[0].secret;
    let early = book
        .redeem(links.visit, host, None, holder(1), NOON_MS - 25 * HOUR_MS)
        .await;
    assert_eq!(early.err(), Some(BookError::OutsideTime));
    let late = book
        .redeem(links.visit, host, None, holder(1), NOON_MS + 3 * HOUR_MS)
        .await;
    assert_eq!(late.err(), Some(BookError::OutsideTime));
    let host = book
        .redeem(links.visit, host, None, holder(1), NOON_MS)
        .await
        .unwrap();
    book.end(links.visit, &host.credential.unwrap(), NOON_MS)
        .await
        .unwrap();
    let ended = book
        .redeem(
            links.visit,
            &links.links[1].secret,
            None,
            holder(1),
            NOON_MS,
        )
        .await;
    assert_eq!(ended.err(), Some(BookError::Ended));
}

#[tokio::test]
async fn wrong_passcodes_lock_the_link() {
    let book = book().await;
    let links = book.create(&visit(Some("4711"))).await.unwrap();
    let secret = &links.links[1].secret;
    for _ in 0..MAX_WRONG_PASSCODES {
        let wrong = book
            .redeem(links.visit, secret, Some("0000"), holder(1), NOON_MS)
            .await;
        assert_eq!(wrong.err(), Some(BookError::WrongPasscode));
    }
    let right = book
        .redeem(links.visit, secret, Some("4711"), holder(1), NOON_MS)
        .await;
    assert_eq!(right.err(), Some(BookError::LinkLocked));
}

#[tokio::test]
async fn only_the_host_gets_a_recorder_and_always_the_same_one() {
    let book = book().await;
    let links = book.create(&visit(None)).await.unwrap();
    let credential = credential_of(&book, &links, 0).await;
    let patient = credential_of(&book, &links, 1).await;
    let refused = book
        .recorder_pass(links.visit, &patient, holder(3), NOON_MS)
        .await;
    assert_eq!(refused.err(), Some(BookError::NotTheHost));
    let first = book
        .recorder_pass(links.visit, &credential, holder(3), NOON_MS)
        .await
        .unwrap();
    let second = book
        .recorder_pass(links.visit, &credential, holder(4), NOON_MS)
        .await
        .unwrap();
    assert_eq!(first.participant, second.participant);
    let pass = Pass::verify_for(&first.pass, &clinic(), links.visit).unwrap();
    assert_eq!(pass.role(), Role::Recorder);
}

#[tokio::test]
async fn the_host_gets_a_link_for_the_recorder_elsewhere_and_only_the_last_one_works() {
    let book = book().await;
    let links = book.create(&visit(None)).await.unwrap();
    let host = credential_of(&book, &links, 0).await;
    let patient = credential_of(&book, &links, 1).await;
    let refused = book.recorder_link(links.visit, &patient, NOON_MS).await;
    assert_eq!(refused.err(), Some(BookError::NotTheHost));

    let first = book
        .recorder_link(links.visit, &host, NOON_MS)
        .await
        .unwrap();
    let came = book
        .redeem(links.visit, &first.secret, None, holder(3), NOON_MS)
        .await
        .unwrap();
    assert_eq!(
        (came.role, came.participant),
        (Role::Recorder, first.participant)
    );
    let in_page = book
        .recorder_pass(links.visit, &host, holder(4), NOON_MS)
        .await
        .unwrap();
    assert_eq!(in_page.participant, first.participant);

    let second = book
        .recorder_link(links.visit, &host, NOON_MS)
        .await
        .unwrap();
    assert_eq!(second.participant, first.participant);
    let old_page = book
        .renew(links.visit, &came.credential.unwrap(), holder(3), NOON_MS)
        .await;
    assert_eq!(old_page.err(), Some(BookError::UnknownCredential));
    let old_link = book
        .redeem(links.visit, &first.secret, None, holder(5), NOON_MS)
        .await;
    assert_eq!(old_link.err(), Some(BookError::UnknownLink));
    // Locked for people: the recorder is let in by everybody's consent.
    book.lock(links.visit, &host, true, NOON_MS).await.unwrap();
    let replaced = book
        .redeem(links.visit, &second.secret, None, holder(6), NOON_MS)
        .await;
    assert_eq!(replaced.unwrap().participant, first.participant);
    let asked = book.overview(links.visit, &host, NOON_MS).await.unwrap();
    assert_eq!(asked.participants.len(), 2);
}

#[tokio::test]
async fn a_new_link_for_the_recorder_keeps_its_passcode() {
    let book = book().await;
    let mut asked = visit(None);
    asked.participants.push(NewParticipant {
        role: Role::Recorder,
        passcode: Some("4711".into()),
    });
    let links = book.create(&asked).await.unwrap();
    let host = credential_of(&book, &links, 0).await;
    let link = book
        .recorder_link(links.visit, &host, NOON_MS)
        .await
        .unwrap();
    assert_eq!(link.participant, links.links[2].participant);
    let without = book
        .redeem(links.visit, &link.secret, None, holder(2), NOON_MS)
        .await;
    assert_eq!(without.err(), Some(BookError::WrongPasscode));
}

#[tokio::test]
async fn refuses_visits_without_a_host_or_with_two_recorders() {
    let mut without = visit(None);
    without.participants.remove(0);
    assert_eq!(
        book().await.create(&without).await.err(),
        Some(BookError::BadVisit)
    );
    let mut with = visit(None);
    for _ in 0..2 {
        with.participants.push(NewParticipant {
            role: Role::Recorder,
            passcode: None,
        });
    }
    assert_eq!(
        book().await.create(&with).await.err(),
        Some(BookError::BadVisit)
    );
    assert_eq!(
        book().await.create(&visit(Some("123"))).await.err(),
        Some(BookError::BadPasscode)
    );
}

#[tokio::test]
async fn the_host_is_told_of_a_link_that_another_browser_tried() {
    let book = book().await;
    let links = book.create(&visit(None)).await.unwrap();
    let redeem = async |book: &Book, link: usize, seed: u8, now_ms: u64| {
        book.redeem(
            links.visit,
            &links.links[link].secret,
            None,
            holder(seed),
            now_ms,
        )
        .await
    };
    let host = redeem(&book, 0, 1, NOON_MS).await.unwrap();
    let host = host.credential.unwrap();
    let patient = links.links[1].participant;
    let seen = async |book: &Book| {
        let overview = book.overview(links.visit, &host, NOON_MS).await.unwrap();
        assert_eq!(overview.ends_ms, NOON_MS + HOUR_MS);
        let mut found = overview.participants.into_iter();
        let entry = found.find(|entry| entry.participant == patient).unwrap();
        (
            entry.redeemed,
            entry.second_browser,
            entry.second_browser_ms,
        )
    };
    assert_eq!(seen(&book).await, (false, 0, None));
    let credential = redeem(&book, 1, 2, NOON_MS)
        .await
        .unwrap()
        .credential
        .unwrap();
    assert_eq!(seen(&book).await, (true, 0, None));
    // The same browser comes back: nobody needs to know.
    book.renew(links.visit, &credential, holder(3), NOON_MS)
        .await
        .unwrap();
    assert_eq!(seen(&book).await, (true, 0, None));
    for at_ms in [NOON_MS + 5, NOON_MS + 9] {
        let refused = redeem(&book, 1, 4, at_ms).await.err();
        assert_eq!(refused, Some(BookError::LinkUsed));
    }
    assert_eq!(seen(&book).await, (true, 2, Some(NOON_MS + 9)));
    let asked = book.overview(links.visit, &credential, NOON_MS).await;
    assert_eq!(asked.err(), Some(BookError::NotTheHost));
}

#[tokio::test]
async fn a_locked_visit_refuses_unused_links_and_nobody_else() {
    let book = book().await;
    let mut asked = visit(Some("4711"));
    for role in [Role::Clinician, Role::Recorder] {
        asked.participants.push(NewParticipant {
            role,
            passcode: None,
        });
    }
    let links = book.create(&asked).await.unwrap();
    let redeem = async |book: &Book, link: usize, passcode: Option<&str>| {
        let secret = &links.links[link].secret;
        book.redeem(links.visit, secret, passcode, holder(1), NOON_MS)
            .await
    };
    let host = redeem(&book, 0, None).await.unwrap().credential.unwrap();
    let lock = async |book: &Book, who: &str, locked: bool| {
        book.lock(links.visit, who, locked, NOON_MS).await
    };
    let turned_away = async |book: &Book| {
        let overview = book.overview(links.visit, &host, NOON_MS).await.unwrap();
        let away = overview.participants.iter();
        let away: Vec<_> = away.filter(|entry| entry.turned_away).collect();
        (
            overview.locked,
            away.iter()
                .map(|entry| entry.participant)
                .collect::<Vec<_>>(),
        )
    };
    assert_eq!(turned_away(&book).await, (false, vec![]));
    lock(&book, &host, true).await.unwrap();
    assert!(book.info(links.visit, NOON_MS).await.unwrap().locked);
    // Neither the patient, whose passcode is not even tried, nor a second clinician.
    let patient = links.links[1].participant;
    for link in [1, 1, 2] {
        let refused = redeem(&book, link, Some("0000")).await.err();
        assert_eq!(refused, Some(BookError::Locked));
    }
    let (locked, away) = turned_away(&book).await;
    assert!(locked && away.len() == 2 && away.contains(&patient));
    // Who was in comes back; the recorder, which everybody's consent lets in, may come.
    book.renew(links.visit, &host, holder(2), NOON_MS)
        .await
        .unwrap();
    book.recorder_pass(links.visit, &host, holder(3), NOON_MS)
        .await
        .unwrap();
    redeem(&book, 3, None).await.unwrap();
    lock(&book, &host, false).await.unwrap();
    assert_eq!(turned_away(&book).await, (false, vec![]));
    let patient = redeem(&book, 1, Some("4711")).await.unwrap();
    let refused = lock(&book, &patient.credential.unwrap(), true).await;
    assert_eq!(refused.err(), Some(BookError::NotTheHost));
    // A second clinician, to whom the visit may have been handed over, locks as well.
    let second = redeem(&book, 2, None).await.unwrap().credential.unwrap();
    lock(&book, &second, true).await.unwrap();
    assert_eq!(
        lock(&book, "guess", false).await.err(),
        Some(BookError::UnknownCredential)
    );
}

#[tokio::test]
async fn says_when_a_visit_closes() {
    let book = book().await;
    let links = book.create(&visit(None)).await.unwrap();
    let info = book.info(links.visit, NOON_MS).await.unwrap();
    assert_eq!(info.closes_ms, NOON_MS + 3 * HOUR_MS);
    let secret = &links.links[0].secret;
    let host = book
        .redeem(links.visit, secret, None, holder(1), NOON_MS)
        .await
        .unwrap();
    let pass = Pass::verify_for(&host.pass, &clinic(), links.visit).unwrap();
    assert_eq!(pass.expires_s() * 1000, info.closes_ms);
}

#[tokio::test]
async fn no_visit_ends_later_than_a_pass_can_say() {
    let book = book().await;
    let mut asked = visit(None);
    asked.ends_ms = 1 << 53;
    let refused = book.create(&asked).await;
    assert_eq!(refused.err(), Some(BookError::BadVisit));
    asked.ends_ms -= 1;
    let links = book.create(&asked).await.unwrap();
    let secret = &links.links[0].secret;
    let admitted = book
        .redeem(links.visit, secret, None, holder(1), NOON_MS)
        .await
        .unwrap();
    assert!(admitted.pass.unverified_claims().is_ok());
}

#[test]
fn a_visit_invites_as_many_people_as_a_group_holds_and_no_more() {
    let guests = |count: usize| {
        let mut asked = visit(None);
        asked.participants.resize_with(count, || NewParticipant {
            role: Role::Guest,
            passcode: None,
        });
        check_new(&asked)
    };
    assert_eq!(guests(MAX_MEMBERS), Ok(()));
    assert_eq!(guests(MAX_MEMBERS + 1), Err(BookError::BadVisit));
    let said = BookError::BadVisit.to_string();
    assert!(
        said.contains(&format!("1 to {MAX_MEMBERS} participants")),
        "{said}"
    );
}

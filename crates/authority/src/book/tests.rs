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

/// What a browser made for itself.
pub(super) fn credential(seed: u8) -> String {
    Hash32([seed; 32]).to_string()
}

/// As the browser of that number.
pub(super) async fn redeem_as(
    book: &Book,
    visit: VisitId,
    secret: &str,
    passcode: Option<&str>,
    browser: u8,
    now_ms: u64,
) -> Result<Admission, BookError> {
    let credential = credential(browser);
    let shown = Shown {
        secret,
        credential: &credential,
        passcode,
    };
    book.redeem(visit, shown, holder(browser), now_ms).await
}

/// Of a browser that came at noon with a link that has no passcode.
pub(super) async fn credential_of(book: &Book, links: &VisitLinks, index: usize) -> String {
    let secret = &links.links[index].secret;
    let browser = 100 + index as u8;
    redeem_as(book, links.visit, secret, None, browser, NOON_MS)
        .await
        .unwrap();
    credential(browser)
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
    let admitted = redeem_as(&book, links.visit, &links.links[1].secret, None, 1, NOON_MS)
        .await
        .unwrap();
    let pass = Pass::verify_for(&admitted.pass, &clinic(), links.visit).unwrap();
    assert_eq!(
        (pass.participant(), pass.role()),
        (links.links[1].participant, Role::Patient)
    );
    assert_eq!(*pass.key(), holder(1).key);
    assert_eq!(pass.expires_s(), (NOON_MS + 3 * HOUR_MS) / 1000);
    let again = redeem_as(&book, links.visit, &links.links[1].secret, None, 2, NOON_MS).await;
    assert_eq!(again.err(), Some(BookError::LinkUsed));
}

#[tokio::test]
async fn the_same_browser_comes_back_as_the_same_participant() {
    let book = book().await;
    let links = book.create(&visit(None)).await.unwrap();
    let first = redeem_as(&book, links.visit, &links.links[1].secret, None, 1, NOON_MS)
        .await
        .unwrap();
    let credential = credential(1);
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
    let early = redeem_as(&book, links.visit, host, None, 1, NOON_MS - 25 * HOUR_MS).await;
    assert_eq!(early.err(), Some(BookError::TooEarly));
    let late = redeem_as(&book, links.visit, host, None, 1, NOON_MS + 3 * HOUR_MS).await;
    assert_eq!(late.err(), Some(BookError::Over));
    redeem_as(&book, links.visit, host, None, 1, NOON_MS)
        .await
        .unwrap();
    book.end(links.visit, &credential(1), NOON_MS)
        .await
        .unwrap();
    let ended = redeem_as(&book, links.visit, &links.links[1].secret, None, 1, NOON_MS).await;
    assert_eq!(ended.err(), Some(BookError::Ended));
}

#[tokio::test]
async fn wrong_passcodes_lock_the_link() {
    let book = book().await;
    let links = book.create(&visit(Some("4711"))).await.unwrap();
    let secret = &links.links[1].secret;
    for _ in 0..MAX_WRONG_PASSCODES {
        let wrong = redeem_as(&book, links.visit, secret, Some("0000"), 1, NOON_MS).await;
        assert_eq!(wrong.err(), Some(BookError::WrongPasscode));
    }
    let right = redeem_as(&book, links.visit, secret, Some("4711"), 1, NOON_MS).await;
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
    let came = redeem_as(&book, links.visit, &first.secret, None, 3, NOON_MS)
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
        .renew(links.visit, &credential(3), holder(3), NOON_MS)
        .await;
    assert_eq!(old_page.err(), Some(BookError::UnknownCredential));
    let old_link = redeem_as(&book, links.visit, &first.secret, None, 5, NOON_MS).await;
    assert_eq!(old_link.err(), Some(BookError::UnknownLink));
    // Locked for people: the recorder is let in by everybody's consent.
    book.lock(links.visit, &host, true, NOON_MS).await.unwrap();
    let replaced = redeem_as(&book, links.visit, &second.secret, None, 6, NOON_MS).await;
    assert_eq!(replaced.unwrap().participant, first.participant);
    let asked = book
        .overview(links.visit, Asker::Host(&host), NOON_MS)
        .await
        .unwrap();
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
    let without = redeem_as(&book, links.visit, &link.secret, None, 2, NOON_MS).await;
    assert_eq!(without.err(), Some(BookError::PasscodeNeeded));
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
        redeem_as(
            book,
            links.visit,
            &links.links[link].secret,
            None,
            seed,
            now_ms,
        )
        .await
    };
    redeem(&book, 0, 1, NOON_MS).await.unwrap();
    let host = credential(1);
    let patient = links.links[1].participant;
    let seen = async |book: &Book| {
        let overview = book
            .overview(links.visit, Asker::Host(&host), NOON_MS)
            .await
            .unwrap();
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
    redeem(&book, 1, 2, NOON_MS).await.unwrap();
    let credential = credential(2);
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
    // The same other browser twice is one other browser.
    assert_eq!(seen(&book).await, (true, 1, Some(NOON_MS + 5)));
    redeem(&book, 1, 5, NOON_MS + 9).await.err().unwrap();
    assert_eq!(seen(&book).await, (true, 2, Some(NOON_MS + 9)));
    let asked = book
        .overview(links.visit, Asker::Host(&credential), NOON_MS)
        .await;
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
        redeem_as(
            book,
            links.visit,
            secret,
            passcode,
            10 + link as u8,
            NOON_MS,
        )
        .await
    };
    redeem(&book, 0, None).await.unwrap();
    let host = credential(10);
    let lock = async |book: &Book, who: &str, locked: bool| {
        book.lock(links.visit, who, locked, NOON_MS).await
    };
    let turned_away = async |book: &Book| {
        let overview = book
            .overview(links.visit, Asker::Host(&host), NOON_MS)
            .await
            .unwrap();
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
    redeem(&book, 1, Some("4711")).await.unwrap();
    let refused = lock(&book, &credential(11), true).await;
    assert_eq!(refused.err(), Some(BookError::NotTheHost));
    // A second clinician, to whom the visit may have been handed over, locks as well.
    redeem(&book, 2, None).await.unwrap();
    let second = credential(12);
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
    let host = redeem_as(&book, links.visit, secret, None, 1, NOON_MS)
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
    let admitted = redeem_as(&book, links.visit, secret, None, 1, NOON_MS)
        .await
        .unwrap();
    assert!(admitted.pass.unverified_claims().is_ok());
}

#[tokio::test]
async fn a_browser_whose_answer_was_lost_gets_the_same_answer_again_and_raises_no_alarm() {
    let book = book().await;
    let mut asked = visit(Some("4711"));
    asked.template = None;
    let links = book.create(&asked).await.unwrap();
    let host = credential_of(&book, &links, 0).await;
    let secret = &links.links[1].secret;
    let first = redeem_as(&book, links.visit, secret, Some("4711"), 2, NOON_MS)
        .await
        .unwrap();
    // Sent again by the browser; after a reload, which has another pass key and no passcode; while the visit is locked.
    book.lock(links.visit, &host, true, NOON_MS).await.unwrap();
    for passcode in [Some("4711"), None, Some("0000")] {
        let again = redeem_as(&book, links.visit, secret, passcode, 2, NOON_MS + 1)
            .await
            .unwrap();
        assert_eq!(again.participant, first.participant);
        let pass = Pass::verify_for(&again.pass, &clinic(), links.visit).unwrap();
        assert_eq!(*pass.key(), holder(2).key);
    }
    let seen = person(&book, &links, &host).await;
    assert_eq!((seen.second_browser, seen.locked), (0, false));
    assert!(seen.redeemed && seen.browsers.is_empty());
}

#[tokio::test]
async fn a_credential_that_could_be_guessed_or_is_somebody_elses_is_refused() {
    let book = book().await;
    let links = book.create(&visit(None)).await.unwrap();
    credential_of(&book, &links, 0).await;
    for credential in ["", "undefined", "AAAA", &credential(100)] {
        let shown = Shown {
            secret: &links.links[1].secret,
            credential,
            passcode: None,
        };
        let refused = book.redeem(links.visit, shown, holder(1), NOON_MS).await;
        assert_eq!(
            refused.err(),
            Some(BookError::BadCredential),
            "{credential}"
        );
    }
}

/// The patient, as the host sees it.
async fn person(book: &Book, links: &VisitLinks, host: &str) -> Invited {
    let overview = book
        .overview(links.visit, Asker::Host(host), NOON_MS)
        .await
        .unwrap();
    let mut all = overview.participants.into_iter();
    all.find(|entry| entry.participant == links.links[1].participant)
        .unwrap()
}

#[tokio::test]
async fn an_approval_is_for_one_browser_and_nobody_else_can_use_it() {
    let book = book().await;
    let links = book.create(&visit(Some("4711"))).await.unwrap();
    let host = credential_of(&book, &links, 0).await;
    let (secret, patient) = (&links.links[1].secret, links.links[1].participant);
    let come = async |browser: u8| {
        redeem_as(&book, links.visit, secret, Some("47 11"), browser, NOON_MS).await
    };
    let approve = async |asker: Asker<'_>, code: &str| {
        book.approve(links.visit, asker, patient, code, NOON_MS)
            .await
    };
    // A mail app's browser was first. Then come the person's real browser, and somebody who stole the link.
    come(2).await.unwrap();
    for browser in [3, 4] {
        assert_eq!(come(browser).await.err(), Some(BookError::LinkUsed));
    }
    let shown = credential(3);
    let shown = Shown {
        secret,
        credential: &shown,
        passcode: None,
    };
    let code = book
        .browser_code(links.visit, shown)
        .await
        .unwrap()
        .unwrap();
    let seen = person(&book, &links, &host).await;
    assert_eq!(seen.browsers.len(), 2);
    assert_eq!(seen.browsers[0].code, code);
    assert_ne!(seen.browsers[1].code, code, "told apart");

    let by_patient = credential(2);
    assert_eq!(
        approve(Asker::Host(&by_patient), &code).await.err(),
        Some(BookError::NotTheHost)
    );
    assert_eq!(
        approve(Asker::Host(&credential(3)), &code).await.err(),
        Some(BookError::UnknownCredential)
    );
    assert_eq!(
        approve(Asker::Host(&host), "no such").await.err(),
        Some(BookError::UnknownBrowser)
    );
    approve(Asker::Host(&host), &code).await.unwrap();
    // The thief is as fast as it likes.
    assert_eq!(come(4).await.err(), Some(BookError::LinkUsed));
    assert_eq!(come(5).await.err(), Some(BookError::LinkUsed));
    // The approval does not stand for the passcode.
    let without = redeem_as(&book, links.visit, secret, None, 3, NOON_MS).await;
    assert_eq!(without.err(), Some(BookError::PasscodeNeeded));
    assert_eq!(come(3).await.unwrap().participant, patient);
    // One browser for each link: the first one is out.
    let renewed = book
        .renew(links.visit, &credential(2), holder(2), NOON_MS)
        .await;
    assert_eq!(renewed.err(), Some(BookError::UnknownCredential));
    assert_eq!(come(2).await.err(), Some(BookError::LinkUsed));
    let seen = person(&book, &links, &host).await;
    assert_eq!(
        seen.help,
        [Help {
            what: HelpKind::Approved,
            by: HelpBy::Host,
            at_ms: NOON_MS
        }]
    );
    assert!(seen.browsers.iter().all(|browser| !browser.approved));
}

#[tokio::test]
async fn of_two_approvals_only_the_last_one_counts() {
    let book = book().await;
    let links = book.create(&visit(None)).await.unwrap();
    let (secret, patient) = (&links.links[1].secret, links.links[1].participant);
    for browser in [2, 3, 4] {
        let _ = redeem_as(&book, links.visit, secret, None, browser, NOON_MS).await;
    }
    let seen = book
        .overview(links.visit, Asker::Scheduler, NOON_MS)
        .await
        .unwrap();
    let mut all = seen.participants.into_iter();
    let entry = all.find(|entry| entry.participant == patient).unwrap();
    for browser in &entry.browsers {
        book.approve(
            links.visit,
            Asker::Scheduler,
            patient,
            &browser.code,
            NOON_MS,
        )
        .await
        .unwrap();
    }
    let first = redeem_as(&book, links.visit, secret, None, 3, NOON_MS).await;
    assert_eq!(first.err(), Some(BookError::LinkUsed));
    redeem_as(&book, links.visit, secret, None, 4, NOON_MS)
        .await
        .unwrap();
}

#[tokio::test]
async fn after_a_new_link_the_old_one_and_every_browser_that_used_it_are_out() {
    let book = book().await;
    let links = book.create(&visit(Some("4711"))).await.unwrap();
    let host = credential_of(&book, &links, 0).await;
    let (old, patient) = (&links.links[1].secret, links.links[1].participant);
    let come = async |secret: &str, browser: u8| {
        redeem_as(&book, links.visit, secret, Some("4711"), browser, NOON_MS).await
    };
    come(old, 2).await.unwrap();
    come(old, 3).await.err().unwrap();
    let waiting = person(&book, &links, &host).await.browsers.remove(0);
    book.approve(
        links.visit,
        Asker::Host(&host),
        patient,
        &waiting.code,
        NOON_MS,
    )
    .await
    .unwrap();

    let by_patient = credential(2);
    let refused = book
        .renew_link(links.visit, Asker::Host(&by_patient), patient, NOON_MS)
        .await;
    assert_eq!(refused.err(), Some(BookError::NotTheHost));
    let link = book
        .renew_link(links.visit, Asker::Host(&host), patient, NOON_MS)
        .await
        .unwrap();
    assert_eq!((link.participant, link.role), (patient, Role::Patient));
    for browser in [2, 3, 4] {
        let refused = come(old, browser).await;
        assert_eq!(refused.err(), Some(BookError::UnknownLink));
        let renewed = book
            .renew(links.visit, &credential(browser), holder(1), NOON_MS)
            .await;
        assert_eq!(renewed.err(), Some(BookError::UnknownCredential));
    }
    // The passcode stays.
    let without = redeem_as(&book, links.visit, &link.secret, None, 5, NOON_MS).await;
    assert_eq!(without.err(), Some(BookError::PasscodeNeeded));
    assert_eq!(come(&link.secret, 5).await.unwrap().participant, patient);
    let done: Vec<_> = person(&book, &links, &host)
        .await
        .help
        .iter()
        .map(|help| (help.what, help.by))
        .collect();
    assert_eq!(
        done,
        [
            (HelpKind::Approved, HelpBy::Host),
            (HelpKind::NewLink, HelpBy::Host)
        ]
    );
}

#[tokio::test]
async fn a_host_gets_no_link_of_a_colleague_or_of_the_recorder_and_the_scheduler_makes_the_former()
{
    let book = book().await;
    let mut asked = visit(None);
    for role in [Role::Clinician, Role::Recorder] {
        asked.participants.push(NewParticipant {
            role,
            passcode: None,
        });
    }
    let links = book.create(&asked).await.unwrap();
    let host = credential_of(&book, &links, 0).await;
    let new_link = async |asker: Asker<'_>, index: usize| {
        let participant = links.links[index].participant;
        let made = book.renew_link(links.visit, asker, participant, NOON_MS);
        made.await
    };
    let by_host = Asker::Host(&host);
    assert_eq!(
        new_link(by_host, 2).await.err(),
        Some(BookError::SchedulerOnly)
    );
    assert_eq!(
        new_link(by_host, 3).await.err(),
        Some(BookError::UnknownParticipant)
    );
    // Also where the host itself is locked out, and days before the visit.
    let link = new_link(Asker::Scheduler, 0).await.unwrap();
    assert_eq!(link.participant, links.links[0].participant);
    let early = book
        .renew_link(
            links.visit,
            Asker::Scheduler,
            link.participant,
            NOON_MS - 100 * HOUR_MS,
        )
        .await;
    assert!(early.is_ok());
    let over = book
        .renew_link(
            links.visit,
            Asker::Scheduler,
            link.participant,
            NOON_MS + 3 * HOUR_MS,
        )
        .await;
    assert_eq!(over.err(), Some(BookError::Over));
}

#[tokio::test]
async fn a_passcode_that_was_locked_can_be_tried_again_once_it_is_unlocked() {
    let book = book().await;
    let links = book.create(&visit(Some("Ab 4711"))).await.unwrap();
    let host = credential_of(&book, &links, 0).await;
    let (secret, patient) = (&links.links[1].secret, links.links[1].participant);
    let come = async |passcode: Option<&str>| {
        redeem_as(&book, links.visit, secret, passcode, 2, NOON_MS)
            .await
            .map(|_| ())
    };
    // A person who has not been asked for it has not tried.
    for _ in 0..20 {
        assert_eq!(come(None).await, Err(BookError::PasscodeNeeded));
        assert_eq!(come(Some(" ")).await, Err(BookError::PasscodeNeeded));
    }
    for _ in 0..MAX_WRONG_PASSCODES {
        assert_eq!(come(Some("0000")).await, Err(BookError::WrongPasscode));
    }
    assert_eq!(come(Some("ab4711")).await, Err(BookError::LinkLocked));
    let asker = Asker::Host(&host);
    book.unlock_passcode(links.visit, asker, patient, NOON_MS)
        .await
        .unwrap();
    assert!(!person(&book, &links, &host).await.locked);
    assert_eq!(come(Some("0000")).await, Err(BookError::WrongPasscode));
    assert_eq!(come(Some("AB-٤٧١١")).await, Ok(()));
}

#[tokio::test]
async fn many_browsers_push_out_nobody_whose_code_is_being_read_to_the_clinic() {
    let book = book().await;
    let links = book.create(&visit(None)).await.unwrap();
    let host = credential_of(&book, &links, 0).await;
    let secret = &links.links[1].secret;
    for browser in 2..60 {
        let _ = redeem_as(&book, links.visit, secret, None, browser, NOON_MS).await;
    }
    let seen = person(&book, &links, &host).await;
    assert_eq!(seen.browsers.len(), 8);
    let shown = credential(3);
    let shown = Shown {
        secret,
        credential: &shown,
        passcode: None,
    };
    let code = book.browser_code(links.visit, shown).await.unwrap();
    assert_eq!(code, Some(seen.browsers[0].code.clone()));
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

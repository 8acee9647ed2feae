//! Meeting, coming back, leaving.

use super::sim::Sim;
use crate::visit::commits::Want;
use crate::visit::{Command, EndReason, ErrorCode, NotSending, Phase, ProblemCode};
use sealed_visit_protocol::Role;
use sealed_visit_protocol::wire::ClientMessage;

const THREE: [Role; 3] = [Role::Clinician, Role::Patient, Role::Guest];

#[test]
fn nobody_meets_before_the_host() {
    let mut sim = Sim::new(1);
    let patient = sim.open(Role::Patient);
    sim.settle();
    assert_eq!(sim.state(patient).phase, Phase::Waiting);
    let host = sim.open(Role::Clinician);
    sim.settle();
    assert_eq!(sim.state(host).phase, Phase::Live);
    assert_eq!(sim.state(host).waiting.len(), 1);
    assert_eq!(sim.state(patient).phase, Phase::Waiting);
    sim.must(
        host,
        Command::Admit {
            participant: sim.id(patient),
        },
    );
    assert_eq!(sim.state(patient).phase, Phase::Live);
}

#[test]
fn everybody_admitted_has_the_same_keys_names_and_safety_code() {
    let sim = Sim::live(&THREE);
    sim.assert_agreed();
    for page in 0..3 {
        let state = sim.state(page);
        assert_eq!(state.phase, Phase::Live);
        assert!(state.sending.open && sim.pages[page].gate_open);
        let names: Vec<_> = state
            .roster
            .iter()
            .map(|member| member.name.clone().unwrap())
            .collect();
        assert_eq!(names, ["Person 0", "Person 1", "Person 2"]);
        assert_eq!(state.host, Some(sim.id(0)));
    }
    let digits = sim
        .state(0)
        .safety_code
        .unwrap()
        .chars()
        .filter(char::is_ascii_digit)
        .count();
    assert!(digits >= 20);
}

#[test]
fn only_the_host_admits() {
    let mut sim = Sim::live(&THREE[..2]);
    let guest = sim.open(Role::Guest);
    sim.settle();
    let id = sim.command(
        1,
        Command::Admit {
            participant: sim.id(guest),
        },
    );
    assert_eq!(sim.pages[1].failed[&id], ErrorCode::NotTheHost);
}

#[test]
fn a_denied_person_is_told_and_stays_out() {
    let mut sim = Sim::live(&THREE[..2]);
    let guest = sim.open(Role::Guest);
    sim.settle();
    sim.must(
        0,
        Command::Deny {
            participant: sim.id(guest),
        },
    );
    assert_eq!(sim.state(guest).end_reason, Some(EndReason::Denied));
    assert_eq!(sim.state(0).roster.len(), 2);
}

#[test]
fn a_reloaded_page_comes_back_without_a_click() {
    let mut sim = Sim::live(&THREE);
    sim.reload(1);
    sim.pass_ms(3_000);
    assert_eq!(sim.state(1).phase, Phase::Live);
    sim.assert_agreed();
}

#[test]
fn a_reloaded_host_is_let_back_in_by_the_others() {
    let mut sim = Sim::live(&THREE);
    sim.reload(0);
    sim.pass_ms(3_000);
    assert_eq!(sim.state(0).phase, Phase::Live);
    sim.assert_agreed();
    assert_eq!(sim.state(1).host, Some(sim.id(0)));
}

#[test]
fn a_host_alone_starts_anew_after_a_reload() {
    let mut sim = Sim::live(&THREE[..1]);
    sim.reload(0);
    sim.pass_ms(3_000);
    assert_eq!(sim.state(0).phase, Phase::Live);
}

#[test]
fn a_lost_connection_is_caught_up() {
    let mut sim = Sim::live(&THREE);
    sim.disconnect(2);
    sim.must(
        0,
        Command::Send {
            data: b"while you were away".to_vec().into(),
        },
    );
    let guest = sim.open(Role::Guest);
    sim.settle();
    sim.must(
        0,
        Command::Admit {
            participant: sim.id(guest),
        },
    );
    assert!(
        sim.state(2)
            .problems
            .iter()
            .any(|problem| problem.code == ProblemCode::RelayUnreachable)
    );
    sim.connect(2);
    sim.pass_ms(3_000);
    sim.assert_agreed();
    assert_eq!(sim.pages[2].messages, [b"while you were away".to_vec()]);
    assert!(sim.state(2).problems.is_empty());
}

#[test]
fn who_leaves_is_removed_and_cannot_derive_the_next_key() {
    let mut sim = Sim::live(&THREE);
    let epoch = sim.state(0).epoch.unwrap();
    sim.must(2, Command::Leave);
    sim.pass_ms(3_000);
    assert_eq!(sim.state(2).end_reason, Some(EndReason::Left));
    assert!(sim.pages[2].keys.is_empty());
    assert_eq!(sim.state(0).roster.len(), 2);
    assert!(sim.state(0).epoch.unwrap() > epoch);
    sim.assert_agreed();
}

#[test]
fn who_is_removed_is_told() {
    let mut sim = Sim::live(&THREE);
    sim.must(
        0,
        Command::Remove {
            participant: sim.id(2),
        },
    );
    assert_eq!(sim.state(2).end_reason, Some(EndReason::Removed));
    assert!(!sim.pages[2].gate_open);
    // And the relay forwards nothing more to it: the committer named it.
    let served: Vec<bool> = (0..3)
        .map(|page| sim.relay.may_use_media(sim.id(page)))
        .collect();
    assert_eq!(served, [true, true, false]);
    sim.assert_agreed();
}

#[test]
fn the_host_ends_the_visit_for_all() {
    let mut sim = Sim::live(&THREE);
    sim.must(0, Command::End);
    for page in 0..3 {
        assert_eq!(sim.state(page).end_reason, Some(EndReason::EndedByHost));
        assert!(sim.pages[page].keys.is_empty() && !sim.pages[page].gate_open);
    }
}

#[test]
fn a_commit_that_loses_the_race_is_built_again() {
    let mut sim = Sim::live(&THREE);
    let guest = sim.open(Role::Guest);
    sim.settle();
    // Both commits leave the same epoch: hold them until both are built.
    sim.hold = Some(|message| matches!(message, ClientMessage::Commit { .. }));
    let admit = sim.command(
        0,
        Command::Admit {
            participant: sim.id(guest),
        },
    );
    let removal = sim.command(
        0,
        Command::Send {
            data: vec![1].into(),
        },
    );
    sim.settle();
    sim.reload(2);
    sim.settle();
    sim.hold = None;
    for (page, message) in std::mem::take(&mut sim.held).into_iter().rev() {
        sim.relay_hears(page, message);
    }
    sim.pass_ms(3_000);
    assert!(sim.pages[0].done.contains(&admit) && sim.pages[0].done.contains(&removal));
    assert_eq!(sim.state(0).roster.len(), 4);
    sim.assert_agreed();
}

#[test]
fn a_message_that_meets_a_commit_is_said_again() {
    let mut sim = Sim::live(&THREE);
    sim.hold = Some(|message| matches!(message, ClientMessage::App { .. }));
    sim.command(
        1,
        Command::Send {
            data: b"late".to_vec().into(),
        },
    );
    sim.hold = None;
    sim.must(
        0,
        Command::Remove {
            participant: sim.id(2),
        },
    );
    for (page, message) in std::mem::take(&mut sim.held) {
        sim.relay_hears(page, message);
    }
    sim.settle();
    assert_eq!(sim.pages[0].messages, [b"late".to_vec()]);
}

#[test]
fn nobody_sends_while_not_live() {
    let mut sim = Sim::new(1);
    let patient = sim.open(Role::Patient);
    sim.settle();
    assert_eq!(sim.state(patient).sending.reason, Some(NotSending::NotLive));
    assert!(!sim.pages[patient].gate_open);
}

#[test]
fn the_verified_mark_dies_with_a_new_key() {
    let mut sim = Sim::live(&THREE[..2]);
    sim.must(0, Command::MarkVerified);
    assert!(sim.state(0).verified);
    sim.reload(1);
    sim.pass_ms(3_000);
    assert!(sim.state(0).verified, "the same key came back");
    let guest = sim.open(Role::Guest);
    sim.settle();
    sim.must(
        0,
        Command::Admit {
            participant: sim.id(guest),
        },
    );
    assert!(!sim.state(0).verified);
}

/// Patient and guest come in by one commit, and the host is gone before it proves the epoch: each would wait for the other.
#[test]
fn newcomers_whose_inviter_is_gone_ask_again() {
    let mut sim = Sim::live(&[Role::Clinician]);
    for role in [Role::Patient, Role::Guest] {
        sim.open(role);
    }
    sim.settle();
    // Both clicks in one commit, and not a word after it.
    sim.hold = Some(|message| matches!(message, ClientMessage::App { .. }));
    let participant = sim.id(1);
    let wants = [1, 2].map(|page| sim.id(page));
    let member = sim.pages[0].visit.member_mut().unwrap();
    member.wants.push(Want {
        add: wants.to_vec(),
        ..Want::default()
    });
    sim.command(0, Command::Admit { participant });
    sim.settle();
    sim.disconnect(0);
    sim.held.clear();
    sim.hold = None;
    for page in [1, 2] {
        let member = sim.pages[page].visit.member().unwrap();
        assert!(!member.confirmed && member.has(sim.id(1)) && member.has(sim.id(2)));
    }
    sim.pass_ms(9_000);
    for page in [1, 2] {
        assert_eq!(sim.state(page).phase, Phase::Rekeying, "page {page}");
    }
    sim.pass_ms(2_000);
    for page in [1, 2] {
        assert_eq!(sim.state(page).phase, Phase::Waiting, "page {page}");
    }
    sim.connect(0);
    sim.pass_ms(20_000);
    for page in [1, 2] {
        let participant = sim.id(page);
        if sim.state(page).phase != Phase::Live {
            sim.must(0, Command::Admit { participant });
        }
    }
    sim.pass_ms(5_000);
    (0..3).for_each(|page| assert_eq!(sim.state(page).phase, Phase::Live, "page {page}"));
    sim.assert_agreed();
}

//! Merging what several pages of one participant remember: properties, over memories drawn from a seed.

use super::*;
use sealed_visit_protocol::Role;

/// SplitMix64 (Steele, Lea, Flood 2014).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ z >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ z >> 31) % limit
    }

    fn id(&mut self) -> [u8; 16] {
        [self.below(4) as u8; 16]
    }

    /// A memory of few values, so that any two have much in common, and contradict each other.
    fn memory(&mut self) -> VisitMemory {
        let mut memory = VisitMemory::default();
        for _ in 0..self.below(4) {
            let group_id = self.id();
            memory.enter(&group_id);
        }
        for _ in 0..self.below(3) {
            memory.legacy.bury(RoundId::from_bytes(self.id()));
            let participant = ParticipantId::from_bytes(self.id());
            memory.legacy.hear(participant, self.below(5));
        }
        let mut other = Legacy::default();
        for _ in 0..self.below(3) {
            let roles = [Role::Clinician, Role::Patient, Role::Recorder];
            let role = roles[self.below(3) as usize];
            other = other.with_role(ParticipantId::from_bytes(self.id()), role);
        }
        let locked = self.below(2) == 0;
        other = other.with_meeting(crate::group::Meeting { host: None, locked });
        memory.legacy.merge(&other, true);
        memory.meeting_ms = self.below(3);
        memory.last = (self.below(3) > 0).then(|| self.said());
        for _ in 0..self.below(3) {
            memory.keep(&Jws::from_text(format!("a.{}.c", self.below(4))));
        }
        memory.clinic_number = self.below(4);
        memory
    }

    fn said(&mut self) -> Said {
        let kinds = [
            StatementKind::Grant,
            StatementKind::Refusal,
            StatementKind::Withdrawal,
        ];
        Said {
            seq: self.below(3),
            kind: kinds[self.below(3) as usize],
            round: RoundId::from_bytes(self.id()),
            group_id: B64(self.id().to_vec()),
            request: Hash32([self.below(2) as u8; 32]),
        }
    }
}

fn merged(one: &VisitMemory, other: &VisitMemory) -> VisitMemory {
    VisitMemory::merged(vec![one.clone(), other.clone()])
}

/// Whether the first knows everything that the second does.
fn knows(memory: &VisitMemory, part: &VisitMemory) -> bool {
    let legacy = &memory.legacy;
    let ids = || (0..4).map(|n| [n; 16]);
    let mut people = ids().map(ParticipantId::from_bytes);
    part.groups.iter().all(|id| memory.groups.contains(id))
        && part.former.iter().all(|id| memory.former.contains(id))
        && part.signed.iter().all(|jws| memory.signed.contains(jws))
        && part.last <= memory.last
        && part.clinic_number <= memory.clinic_number
        && ids()
            .map(RoundId::from_bytes)
            .all(|round| legacy.is_dead(round) || !part.legacy.is_dead(round))
        && people.all(|id| {
            part.legacy.last_seq_of(id) <= legacy.last_seq_of(id)
                && part.legacy.role_of(id).is_some() <= legacy.role_of(id).is_some()
        })
}

/// Two tabs that write their memories in any order, any number of times, forget nothing.
#[test]
fn merging_is_a_union_in_any_order_that_forgets_nothing() {
    let mut random = Random(1);
    for round in 0..5_000 {
        let [a, b, c] = [random.memory(), random.memory(), random.memory()];
        let ab = merged(&a, &b);
        assert_eq!(ab, merged(&b, &a), "{round}: not commutative");
        assert_eq!(
            merged(&ab, &c),
            merged(&a, &merged(&b, &c)),
            "{round}: not associative"
        );
        assert_eq!(merged(&ab, &b), ab, "{round}: not idempotent");
        assert_eq!(merged(&a, &a), a, "{round}: not idempotent");
        assert!(knows(&ab, &a) && knows(&ab, &b), "{round}: forgets");
        let text = serde_json::to_vec(&ab).unwrap();
        let read: VisitMemory = sealed_visit_protocol::json::from_slice(&text).unwrap();
        assert_eq!(read, ab, "{round}: not the same when read again");
    }
}

/// As it was found: the group that the older tab knew hid the one that the newer tab was in.
#[test]
fn a_group_that_one_of_two_tabs_left_is_left() {
    let mut stale = VisitMemory::default();
    stale.enter(b"first");
    let mut newer = stale.clone();
    newer.enter(b"second");
    let mut memory = merged(&newer, &stale);
    memory.enter(b"third");
    for id in [b"first".as_slice(), b"second"] {
        assert!(memory.former.contains(&B64(id.to_vec())));
    }
}

#[test]
fn a_round_that_this_member_spoke_in_finds_room_in_a_full_memory() {
    let mut junk = Legacy::default();
    for n in 0..3_000_u64 {
        let mut id = [0; 16];
        id[..8].copy_from_slice(&n.to_be_bytes());
        junk.bury(RoundId::from_bytes(id));
    }
    let mut legacy = Legacy::default();
    legacy.absorb(&junk, |_| true);
    legacy.absorb(&junk, |_| true);
    assert_eq!(legacy.dead_rounds().count(), 1_024);
    let spoken = RoundId::from_bytes([9; 16]);
    legacy.bury(spoken);
    assert!(legacy.is_dead(spoken));
}

//! A clinic, a visit and everybody's real, signed grants: what a recording needs before its first byte.

use crate::samples::{own_answer, terms, texts};
use sealed_visit_protocol::clinic::{
    ClinicClaims, Recipient, RecipientRef, RecipientRole, WrapSuite,
};
use sealed_visit_protocol::consent::{
    Layer, PlaceClaims, Purpose, RequestClaims, StatementClaims, StatementKind,
};
use sealed_visit_protocol::hash::sha256;
use sealed_visit_protocol::pass::{Confirmation, PassClaims, name_commitment};
use sealed_visit_protocol::recording::{OpenClaims, OpenTrack, PreviousPart};
use sealed_visit_protocol::{
    B64, ClinicDocument, Jws, ParticipantId, PublicKey, RecordingId, Role, RoundId, SigningKey,
    VERSION, VisitId,
};

/// 2026-01-15 14:00:00 UTC.
pub const START_MS: u64 = 1_768_485_600_000;
pub const GROUP_ID: &[u8] = b"a group of this visit";

/// A member with its pass.
pub struct Member {
    pub key: SigningKey,
    pub pass: Jws<PassClaims>,
    pub participant: ParticipantId,
    pub role: Role,
}

/// All keys are made from fixed seeds, so that a fixture can be made again.
pub struct World {
    pub root: SigningKey,
    pub authority: SigningKey,
    pub vault: SigningKey,
    pub clinic_jws: Jws<ClinicClaims>,
    pub clinic: ClinicDocument,
    pub recipients: Vec<RecipientRef>,
    pub visit: VisitId,
    pub recording: RecordingId,
    pub clinician: Member,
    pub patient: Member,
    pub recorder: Member,
    pub request: Jws<RequestClaims>,
    /// What a manifest carries as the host's word for places.
    pub places: Vec<Jws<PlaceClaims>>,
}

impl World {
    /// A clinic with these recipients (suite and public key), the first its responsible clinician.
    pub fn new(recipients: &[(WrapSuite, Vec<u8>)]) -> Self {
        let [root, authority, vault] = [1, 2, 3].map(|seed| SigningKey::from_seed(&[seed; 32]));
        let roles = [
            RecipientRole::ResponsibleClinician,
            RecipientRole::Archive,
            RecipientRole::Supervisor,
        ];
        let listed: Vec<Recipient> = recipients
            .iter()
            .zip(roles)
            .map(|((suite, key), role)| Recipient {
                fingerprint: Recipient::fingerprint_of(*suite, key),
                suite: *suite,
                public_key: B64(key.clone()),
                role,
            })
            .collect();
        let mut refs: Vec<RecipientRef> = listed
            .iter()
            .map(|recipient| RecipientRef {
                fingerprint: recipient.fingerprint,
                role: recipient.role,
            })
            .collect();
        refs.sort_by_key(|recipient| recipient.fingerprint);
        let clinic_jws = root.sign(&ClinicClaims {
            v: VERSION,
            number: 1,
            not_before_ms: START_MS - 86_400_000,
            not_after_ms: START_MS + 86_400_000 * 365,
            name: "Clinic of the tests".into(),
            contact: "privacy@clinic.example".into(),
            authorities: vec![authority.public()],
            vault: vault.public(),
            recipients: listed,
            retired: vec![],
        });
        let clinic = ClinicDocument::verify(&clinic_jws, &root.public()).unwrap();
        let visit = VisitId::from_bytes([0x10; 16]);
        let member = |seed, role| member(&authority, visit, seed, role);
        let clinician = member(0x21, Role::Clinician);
        let patient = member(0x22, Role::Patient);
        let recorder = member(0x23, Role::Recorder);
        let request = clinician.key.sign(&RequestClaims {
            v: VERSION,
            round: RoundId::from_bytes([0x31; 16]),
            visit,
            group_id: GROUP_ID.into(),
            recorder: recorder.participant,
            purpose: Purpose::MedicalRecord,
            recipients: refs.clone(),
            texts: texts(text_hash),
            terms: terms(),
            again_after: None,
            checklist: vec![],
            at_ms: START_MS,
            pass: clinician.pass.clone(),
        });
        let world = Self {
            root,
            authority,
            vault,
            clinic_jws,
            clinic,
            recipients: refs,
            visit,
            recording: RecordingId::from_bytes([0x41; 16]),
            clinician,
            patient,
            recorder,
            request,
            places: Vec::new(),
        };
        Self {
            places: vec![world.place(&world.clinician, &world.patient)],
            ..world
        }
    }

    /// Somebody else with a pass of the visit.
    pub fn member(&self, seed: u8, role: Role) -> Member {
        member(&self.authority, self.visit, seed, role)
    }

    /// A word that `whom` is where it said.
    pub fn place(&self, by: &Member, whom: &Member) -> Jws<PlaceClaims> {
        by.key.sign(&PlaceClaims {
            v: VERSION,
            visit: self.visit,
            group_id: GROUP_ID.into(),
            round: RoundId::from_bytes([0x31; 16]),
            participant: whom.participant,
            place: "US-CA".into(),
            at_ms: START_MS + 2_000,
            pass: by.pass.clone(),
        })
    }

    /// A statement of a member about the request.
    pub fn statement(&self, member: &Member, kind: StatementKind) -> Jws<StatementClaims> {
        let grant = kind == StatementKind::Grant;
        member.key.sign(&StatementClaims {
            v: VERSION,
            visit: self.visit,
            group_id: GROUP_ID.into(),
            round: RoundId::from_bytes([0x31; 16]),
            request: self.request.hash(),
            seq: if grant { 1 } else { 2 },
            kind,
            answers: vec![own_answer(grant)],
            texts: [Layer::Information, Layer::Recording]
                .map(text_hash)
                .to_vec(),
            language: "en".into(),
            spoken: String::new(),
            interpreted_for: Vec::new(),
            place: "US-CA".into(),
            wish: None,
            at_ms: START_MS + 1_000,
            pass: member.pass.clone(),
        })
    }

    /// The open statement of a draft, with everybody's grant.
    pub fn open(
        &self,
        part: u32,
        recording_key: PublicKey,
        tracks: Vec<OpenTrack>,
        previous: Option<PreviousPart>,
    ) -> Jws<OpenClaims> {
        self.recorder
            .key
            .sign(&self.open_claims(part, recording_key, tracks, previous))
    }

    /// The claims of [`Self::open`], to be altered.
    pub fn open_claims(
        &self,
        part: u32,
        recording_key: PublicKey,
        tracks: Vec<OpenTrack>,
        previous: Option<PreviousPart>,
    ) -> OpenClaims {
        let everybody = [&self.clinician, &self.patient];
        OpenClaims {
            v: VERSION,
            visit: self.visit,
            recording: self.recording,
            part,
            group_id: GROUP_ID.into(),
            epoch: 4,
            recording_key,
            tracks,
            recipients: self.recipients.clone(),
            request: self.request.clone(),
            grants: everybody
                .map(|member| self.statement(member, StatementKind::Grant))
                .to_vec(),
            roster: [&self.clinician, &self.patient, &self.recorder]
                .map(|member| member.pass.clone())
                .to_vec(),
            clinic: self.clinic.hash(),
            previous,
            at_ms: START_MS + 2_000 + u64::from(part) * 60_000,
            pass: self.recorder.pass.clone(),
        }
    }
}

fn member(authority: &SigningKey, visit: VisitId, seed: u8, role: Role) -> Member {
    let key = SigningKey::from_seed(&[seed; 32]);
    let participant = ParticipantId::from_bytes([seed; 16]);
    let pass = authority.sign(&PassClaims {
        v: VERSION,
        visit,
        sub: participant,
        role,
        cnf: Confirmation { jwk: key.public() },
        name: name_commitment(&[seed; 16], "somebody"),
        iat: START_MS / 1000 - 600,
        exp: START_MS / 1000 + 7200,
    });
    Member {
        key,
        pass,
        participant,
        role,
    }
}

fn text_hash(layer: Layer) -> sealed_visit_protocol::Hash32 {
    sha256(format!("the text of {layer:?}").as_bytes())
}

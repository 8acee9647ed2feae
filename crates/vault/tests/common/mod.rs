//! A clinic, its people, and signed recordings made with the protocol crate alone: to the vault a segment is any bytes.

pub mod http;
pub mod process;
pub mod tracks;

use sealed_visit_protocol::bytes::{B64, Hash32};
use sealed_visit_protocol::clinic::{
    ClinicClaims, Recipient, RecipientRef, RecipientRole, WrapSuite,
};
use sealed_visit_protocol::consent::{
    ConsentText, Layer, Purpose, RequestClaims, StatementClaims, StatementKind, Terms,
    WithdrawalPolicy, WithdrawalWish,
};
use sealed_visit_protocol::hash::sha256;
use sealed_visit_protocol::pass::{Confirmation, PassClaims};
use sealed_visit_protocol::recording::{OpenClaims, OpenTrack, VaultProofClaims};
use sealed_visit_protocol::track::{Header, HeaderClaims, TrackKind};
use sealed_visit_protocol::{
    Jws, ParticipantId, ProofId, RecordingId, Role, RoundId, SigningKey, TrackId, VisitId,
};
use sealed_visit_testing::samples::{own_answer, terms};

/// Noon of a day in 2026, milliseconds since the Unix epoch.
pub const START_MS: u64 = 1_780_000_000_000;
pub const HOUR_MS: u64 = 3_600_000;
pub const VISIT: VisitId = VisitId::from_bytes([1; 16]);
pub const ROUND: RoundId = RoundId::from_bytes([2; 16]);
pub const RECORDING: RecordingId = RecordingId::from_bytes([3; 16]);
pub const GROUP: &[u8] = b"group";

/// One who takes part.
#[derive(Clone)]
pub struct Person {
    pub id: ParticipantId,
    pub role: Role,
    pub key: SigningKey,
}

impl Person {
    pub fn new(number: u8, role: Role) -> Self {
        Self {
            id: ParticipantId::from_bytes([number; 16]),
            role,
            key: SigningKey::from_seed(&[number; 32]),
        }
    }
}

/// The clinic and one visit of it.
pub struct World {
    /// Passes and the clinic document are valid from about here.
    pub start_ms: u64,
    pub root: SigningKey,
    pub authority: SigningKey,
    pub vault: SigningKey,
    pub host: Person,
    pub patient: Person,
    pub recorder: Person,
    pub recipients: Vec<Recipient>,
}

impl World {
    pub fn new() -> Self {
        Self::at(START_MS)
    }

    pub fn at(start_ms: u64) -> Self {
        let mut recipients: Vec<_> = [
            (31, RecipientRole::ResponsibleClinician),
            (32, RecipientRole::Archive),
            (33, RecipientRole::Supervisor),
        ]
        .into_iter()
        .map(|(byte, role)| {
            let suite = WrapSuite::X25519;
            Recipient {
                fingerprint: Recipient::fingerprint_of(suite, &[byte; 32]),
                suite,
                public_key: B64(vec![byte; 32]),
                role,
            }
        })
        .collect();
        recipients.sort_by_key(|recipient| recipient.fingerprint);
        Self {
            start_ms,
            root: SigningKey::from_seed(&[101; 32]),
            authority: SigningKey::from_seed(&[102; 32]),
            vault: SigningKey::from_seed(&[103; 32]),
            host: Person::new(11, Role::Clinician),
            patient: Person::new(12, Role::Patient),
            recorder: Person::new(13, Role::Recorder),
            recipients,
        }
    }

    pub fn clinic_document(&self, edit: impl FnOnce(&mut ClinicClaims)) -> Jws<ClinicClaims> {
        let mut claims = ClinicClaims {
            v: 1,
            number: 1,
            not_before_ms: self.start_ms - HOUR_MS,
            not_after_ms: self.start_ms + 365 * 24 * HOUR_MS,
            name: "A clinic".into(),
            contact: "records@clinic.example".into(),
            authorities: vec![self.authority.public()],
            vault: self.vault.public(),
            recipients: self.recipients.clone(),
            retired: vec![],
        };
        edit(&mut claims);
        self.root.sign(&claims)
    }

    pub fn pass(&self, person: &Person) -> Jws<PassClaims> {
        self.pass_by(&self.authority, person, VISIT)
    }

    pub fn pass_by(
        &self,
        authority: &SigningKey,
        person: &Person,
        visit: VisitId,
    ) -> Jws<PassClaims> {
        authority.sign(&PassClaims {
            v: 1,
            visit,
            sub: person.id,
            role: person.role,
            cnf: Confirmation {
                jwk: person.key.public(),
            },
            name: Hash32([9; 32]),
            iat: self.start_ms / 1000,
            exp: (self.start_ms + 3 * HOUR_MS) / 1000,
        })
    }

    /// The recipients that requests name: all but the supervisor.
    pub fn granted_recipients(&self) -> Vec<RecipientRef> {
        self.recipients
            .iter()
            .filter(|recipient| recipient.role != RecipientRole::Supervisor)
            .map(as_ref)
            .collect()
    }

    pub fn supervisor(&self) -> RecipientRef {
        let supervisor = self
            .recipients
            .iter()
            .find(|recipient| recipient.role == RecipientRole::Supervisor);
        as_ref(supervisor.expect("the clinic has one"))
    }

    pub fn request(&self, edit: impl FnOnce(&mut RequestClaims)) -> Jws<RequestClaims> {
        let text = |layer, words: &str| ConsentText {
            layer,
            language: "en".into(),
            version: "1".into(),
            hash: sha256(words.as_bytes()),
        };
        let mut claims = RequestClaims {
            v: 1,
            round: ROUND,
            visit: VISIT,
            group_id: B64(GROUP.to_vec()),
            recorder: self.recorder.id,
            purpose: Purpose::MedicalRecord,
            recipients: self.granted_recipients(),
            texts: vec![
                text(Layer::Information, "use"),
                text(Layer::Recording, "record"),
            ],
            terms: Terms {
                on_withdrawal: WithdrawalPolicy::Keep,
                ..terms()
            },
            again_after: None,
            checklist: vec![],
            at_ms: START_MS,
            pass: self.pass(&self.host),
        };
        edit(&mut claims);
        self.host.key.sign(&claims)
    }

    pub fn statement(
        &self,
        request: &Jws<RequestClaims>,
        person: &Person,
        kind: StatementKind,
    ) -> StatementClaims {
        let asked = request.unverified_claims().expect("made here");
        StatementClaims {
            v: 1,
            visit: asked.visit,
            group_id: asked.group_id,
            round: asked.round,
            request: request.hash(),
            seq: 1,
            kind,
            answers: vec![own_answer(true)],
            texts: asked.texts.iter().map(|text| text.hash).collect(),
            language: "en".into(),
            spoken: String::new(),
            interpreted_for: Vec::new(),
            place: "US-CA".into(),
            wish: None,
            at_ms: START_MS,
            pass: self.pass_by(&self.authority, person, asked.visit),
        }
    }

    pub fn withdrawal(
        &self,
        request: &Jws<RequestClaims>,
        person: &Person,
        wish: Option<WithdrawalWish>,
    ) -> Jws<StatementClaims> {
        let mut claims = self.statement(request, person, StatementKind::Withdrawal);
        claims.seq = 2;
        claims.answers.clear();
        claims.wish = wish;
        person.key.sign(&claims)
    }

    /// A part with this many tracks, properly granted.
    pub fn part(&self, part: u32, tracks: u8) -> Part {
        let request = self.request(|_| {});
        self.part_under(&request, RECORDING, part, tracks)
    }

    /// A part of a recording of its own.
    pub fn recording(&self, number: u8, tracks: u8) -> Part {
        let request = self.request(|request| request.round = RoundId::from_bytes([number; 16]));
        self.part_under(&request, RecordingId::from_bytes([number; 16]), 0, tracks)
    }

    /// The same part, its grants signed with this sequence number.
    pub fn with_grants_numbered(&self, part: Part, seq: u64) -> Part {
        part.edit(|claims| {
            claims.grants = [&self.host, &self.patient]
                .map(|person| {
                    let mut grant = self.statement(&claims.request, person, StatementKind::Grant);
                    grant.seq = seq;
                    person.key.sign(&grant)
                })
                .to_vec();
        })
    }

    pub fn part_under(
        &self,
        request: &Jws<RequestClaims>,
        recording: RecordingId,
        part: u32,
        tracks: u8,
    ) -> Part {
        let asked = request.unverified_claims().expect("made here");
        let recording_key = SigningKey::from_seed(&[200 + part as u8; 32]);
        let headers: Vec<_> = (0..tracks)
            .map(|number| {
                let mut id = *recording.as_bytes();
                (id[0], id[1]) = (part as u8 + 1, number + 1);
                Header::new(HeaderClaims {
                    v: 1,
                    visit: asked.visit,
                    recording,
                    part,
                    track: TrackId::from_bytes(id),
                    content: if number == 0 {
                        TrackKind::Mixed
                    } else {
                        TrackKind::Events
                    },
                    media_type: "video/webm;codecs=\"vp8,opus\"".into(),
                    suite: HeaderClaims::SUITE.into(),
                    recipients: asked.recipients.iter().map(|r| r.fingerprint).collect(),
                    share_required: true,
                    recording_key: recording_key.public(),
                })
                .expect("a good header")
            })
            .collect();
        let grant = |person: &Person| {
            let claims = self.statement(request, person, StatementKind::Grant);
            person.key.sign(&claims)
        };
        let claims = OpenClaims {
            v: 1,
            visit: asked.visit,
            recording,
            part,
            group_id: asked.group_id,
            epoch: 7,
            recording_key: recording_key.public(),
            tracks: headers.iter().map(open_track).collect(),
            recipients: asked.recipients,
            request: request.clone(),
            grants: vec![grant(&self.host), grant(&self.patient)],
            roster: [&self.host, &self.patient, &self.recorder]
                .map(|person| self.pass(person))
                .to_vec(),
            clinic: self.clinic_document(|_| {}).hash(),
            previous: None,
            at_ms: START_MS,
            pass: self.pass(&self.recorder),
        };
        Part {
            claims,
            headers,
            recording_key,
            recorder: self.recorder.key.clone(),
        }
    }
}

/// A recorder run that is about to open.
pub struct Part {
    pub claims: OpenClaims,
    pub headers: Vec<Header>,
    pub recording_key: SigningKey,
    pub recorder: SigningKey,
}

impl Part {
    pub fn edit(mut self, edit: impl FnOnce(&mut OpenClaims)) -> Self {
        edit(&mut self.claims);
        self
    }

    pub fn open(&self) -> Jws<OpenClaims> {
        self.recorder.sign(&self.claims)
    }

    /// A fresh proof of possession for this vault.
    pub fn proof(&self, vault: &SigningKey, at_ms: u64) -> Jws<VaultProofClaims> {
        self.proof_by(&self.recording_key, vault, at_ms, Some(&renewal_key()))
    }

    pub fn proof_by(
        &self,
        key: &SigningKey,
        vault: &SigningKey,
        at_ms: u64,
        renewal: Option<&SigningKey>,
    ) -> Jws<VaultProofClaims> {
        let mut id = [0; 16];
        getrandom::fill(&mut id).unwrap();
        let id = ProofId::from_bytes(id);
        let renewal = renewal.map(SigningKey::public);
        VaultProofClaims::new(&vault.public(), self.open().hash(), id, at_ms, renewal).sign(key)
    }

    pub fn track(&self, index: usize) -> TrackId {
        self.headers[index].claims().track
    }

    /// `/v1/recordings/…/parts/…`
    pub fn path(&self) -> String {
        format!(
            "/v1/recordings/{}/parts/{}",
            self.claims.recording, self.claims.part
        )
    }

    pub fn uploads_path(&self) -> String {
        format!("{}/uploads", self.path())
    }

    pub fn upload_path(&self, index: usize) -> String {
        format!("{}/uploads/{}", self.path(), self.track(index))
    }

    pub fn envelope_path(&self, index: usize) -> String {
        format!("{}/envelopes/{}", self.path(), self.track(index))
    }

    pub fn upload_metadata(&self, index: usize) -> String {
        use base64::Engine as _;
        let id = self.track(index).to_string();
        let value = base64::engine::general_purpose::STANDARD.encode(id);
        format!("track {value}")
    }
}

/// What the tests' device renews with.
pub fn renewal_key() -> SigningKey {
    SigningKey::from_seed(&[150; 32])
}

pub fn open_track(header: &Header) -> OpenTrack {
    OpenTrack {
        track: header.claims().track,
        header: B64(header.bytes().to_vec()),
    }
}

fn as_ref(recipient: &Recipient) -> RecipientRef {
    RecipientRef {
        fingerprint: recipient.fingerprint,
        role: recipient.role,
    }
}

//! A clinic, its authority and one visit; people with passes, requests and grants.

use crate::samples::{own_answer, terms, texts};
use sealed_visit_protocol::clinic::{ClinicClaims, RecipientRef, RecipientRole, WrapSuite};
use sealed_visit_protocol::consent::{Purpose, RequestClaims, StatementClaims, StatementKind};
use sealed_visit_protocol::hash::sha256;
use sealed_visit_protocol::pass::{Confirmation, PassClaims, name_commitment};
use sealed_visit_protocol::{
    B64, ClinicDocument, Jws, ParticipantId, Recipient, Role, RoundId, SigningKey, VERSION, VisitId,
};

/// The present moment of every test, milliseconds since the Unix epoch.
pub const NOW_MS: u64 = 1_800_000_000_000;

/// The group id that requests name.
pub const GROUP_ID: &[u8] = b"test group 0";

/// Who holds a pass and its key: who can ask, and answer.
pub trait Holder {
    /// The pass.
    fn pass(&self) -> &Jws<PassClaims>;
    /// The key that the pass is bound to.
    fn key(&self) -> &SigningKey;
}

/// A clinic, its authority and one visit.
#[derive(Debug, Clone)]
pub struct Clinic {
    /// What everything is derived from.
    pub seed: u64,
    /// The clinic's pinned root key.
    pub root: SigningKey,
    /// Signs passes.
    pub authority: SigningKey,
    /// The claims behind [`Self::document`], for making another one.
    pub clinic_claims: ClinicClaims,
    /// The signed clinic document.
    pub document: Jws<ClinicClaims>,
    /// The visit that everybody is in.
    pub visit: VisitId,
    /// [`Self::document`], verified under the root key.
    pub verified: ClinicDocument,
}

impl Clinic {
    /// A clinic with one authority and two recipients: responsible clinician and archive.
    pub fn new(seed: u64) -> Self {
        let recipients = vec![
            recipient(
                RecipientRole::ResponsibleClinician,
                &bytes(seed, "clinician's recording key", 0),
            ),
            recipient(
                RecipientRole::Archive,
                &bytes(seed, "archive's recording key", 0),
            ),
        ];
        Self::with_recipients(seed, recipients)
    }

    /// The same clinic with other recipients, e.g. with keys that somebody holds.
    pub fn with_recipients(seed: u64, recipients: Vec<Recipient>) -> Self {
        let authority = key(seed, "authority", 0);
        let clinic_claims = ClinicClaims {
            v: VERSION,
            number: 1,
            not_before_ms: NOW_MS - 1_000_000,
            not_after_ms: NOW_MS + 1_000_000_000,
            name: "Test Clinic".into(),
            contact: "records@clinic.example".into(),
            authorities: vec![authority.public()],
            vault: key(seed, "vault", 0).public(),
            recipients,
            retired: Vec::new(),
        };
        Self::with_clinic(seed, clinic_claims)
    }

    /// The same seed under another clinic document, signed by the same root key.
    pub fn with_clinic(seed: u64, clinic_claims: ClinicClaims) -> Self {
        let root = key(seed, "root", 0);
        let document = root.sign(&clinic_claims);
        let verified = ClinicDocument::verify(&document, &root.public())
            .unwrap_or_else(|error| panic!("the test's clinic document: {error}"));
        Self {
            seed,
            root,
            authority: key(seed, "authority", 0),
            clinic_claims,
            document,
            visit: VisitId::from_bytes(id_bytes(seed, "visit", 0)),
            verified,
        }
    }

    /// The `n`th participant of the visit.
    pub fn participant(&self, n: u64) -> ParticipantId {
        ParticipantId::from_bytes(id_bytes(self.seed, "participant", n))
    }

    /// The `n`th participant's pass key.
    pub fn key(&self, n: u64) -> SigningKey {
        key(self.seed, "pass", n)
    }

    /// The display name and salt behind the `n`th participant's name commitment.
    pub fn name(&self, n: u64) -> (String, [u8; 16]) {
        (format!("Person {n}"), id_bytes(self.seed, "salt", n))
    }

    /// Claims of a pass for the `n`th participant, valid for two hours from [`NOW_MS`].
    pub fn pass_claims(&self, n: u64, role: Role) -> PassClaims {
        let (name, salt) = self.name(n);
        PassClaims {
            v: VERSION,
            visit: self.visit,
            sub: self.participant(n),
            role,
            cnf: Confirmation {
                jwk: self.key(n).public(),
            },
            name: name_commitment(&salt, &name),
            iat: NOW_MS / 1000,
            exp: NOW_MS / 1000 + 7200,
        }
    }

    /// The pass of the `n`th participant.
    pub fn pass(&self, n: u64, role: Role) -> Jws<PassClaims> {
        self.authority.sign(&self.pass_claims(n, role))
    }

    /// The `n`th participant's `m`th other pass key: what a lost browser profile leads to.
    pub fn new_key(&self, n: u64, m: u64) -> SigningKey {
        key(self.seed, "new pass", n << 32 | m)
    }

    /// All recipients of the clinic document, as a request names them.
    pub fn recipients(&self) -> Vec<RecipientRef> {
        let mut recipients: Vec<_> = self
            .clinic_claims
            .recipients
            .iter()
            .map(|recipient| RecipientRef {
                fingerprint: recipient.fingerprint,
                role: recipient.role,
            })
            .collect();
        recipients.sort();
        recipients
    }

    /// The `n`th consent round.
    pub fn round(&self, n: u64) -> RoundId {
        RoundId::from_bytes(id_bytes(self.seed, "round", n))
    }

    /// Claims of a request by `host` for `recorder`, in the group [`GROUP_ID`].
    pub fn request_claims(
        &self,
        host: &impl Holder,
        recorder: ParticipantId,
        round: u64,
    ) -> RequestClaims {
        RequestClaims {
            v: VERSION,
            round: self.round(round),
            visit: self.visit,
            group_id: GROUP_ID.into(),
            recorder,
            purpose: Purpose::MedicalRecord,
            recipients: self.recipients(),
            texts: texts(|layer| sha256(format!("{layer:?}").as_bytes())),
            terms: terms(),
            again_after: None,
            checklist: Vec::new(),
            at_ms: NOW_MS,
            pass: host.pass().clone(),
        }
    }

    /// A signed request.
    pub fn request(
        &self,
        host: &impl Holder,
        recorder: ParticipantId,
        round: u64,
    ) -> Jws<RequestClaims> {
        host.key().sign(&self.request_claims(host, recorder, round))
    }

    /// Claims of a statement that answers `request`.
    pub fn statement_claims(
        &self,
        author: &impl Holder,
        request: &Jws<RequestClaims>,
        kind: StatementKind,
        seq: u64,
    ) -> StatementClaims {
        let asked = request
            .unverified_claims()
            .unwrap_or_else(|error| panic!("the test's request: {error}"));
        StatementClaims {
            v: VERSION,
            visit: asked.visit,
            group_id: asked.group_id,
            round: asked.round,
            request: request.hash(),
            seq,
            kind,
            answers: vec![own_answer(kind == StatementKind::Grant)],
            texts: asked.texts.iter().map(|text| text.hash).collect(),
            language: "en".into(),
            spoken: String::new(),
            interpreted_for: Vec::new(),
            place: "US-CA".into(),
            wish: None,
            at_ms: NOW_MS,
            pass: author.pass().clone(),
        }
    }

    /// A signed statement.
    pub fn statement(
        &self,
        author: &impl Holder,
        request: &Jws<RequestClaims>,
        kind: StatementKind,
        seq: u64,
    ) -> Jws<StatementClaims> {
        author
            .key()
            .sign(&self.statement_claims(author, request, kind, seq))
    }

    /// A signed grant, sequence number 1.
    pub fn grant(
        &self,
        author: &impl Holder,
        request: &Jws<RequestClaims>,
    ) -> Jws<StatementClaims> {
        self.statement(author, request, StatementKind::Grant, 1)
    }
}

/// A recipient with an X25519 public key.
pub fn recipient(role: RecipientRole, public_key: &[u8; 32]) -> Recipient {
    Recipient {
        fingerprint: Recipient::fingerprint_of(WrapSuite::X25519, public_key),
        suite: WrapSuite::X25519,
        public_key: B64::from(public_key.as_slice()),
        role,
    }
}

/// A key that nobody in the world has.
pub fn stranger_key(seed: u64, n: u64) -> SigningKey {
    key(seed, "stranger", n)
}

fn key(seed: u64, what: &str, n: u64) -> SigningKey {
    SigningKey::from_seed(&bytes(seed, what, n))
}

fn id_bytes(seed: u64, what: &str, n: u64) -> [u8; 16] {
    let mut id = [0; 16];
    id.copy_from_slice(&bytes(seed, what, n)[..16]);
    id
}

fn bytes(seed: u64, what: &str, n: u64) -> [u8; 32] {
    sha256(format!("{seed} {what} {n}").as_bytes()).0
}

//! A small world for tests: a clinic, its authority, people with passes, requests and grants, all made from a seed.
//!
//! Real documents with real signatures; only the randomness is fixed. MLS itself draws from the operating system.

use super::{Changes, Group, GroupError, Identity, Joiner, Policy, Processed};
use sealed_visit_protocol::clinic::{ClinicClaims, RecipientRef, RecipientRole, WrapSuite};
use sealed_visit_protocol::consent::{
    Answer, ConsentText, Layer, OnBehalfOf, Purpose, RequestClaims, StatementClaims, StatementKind,
    Terms, WithdrawalPolicy,
};
use sealed_visit_protocol::hash::sha256;
use sealed_visit_protocol::pass::{Confirmation, PassClaims, name_commitment};
use sealed_visit_protocol::{
    B64, ClinicDocument, Jws, ParticipantId, Recipient, Role, RoundId, SigningKey, VERSION, VisitId,
};

/// The present moment of every test, milliseconds since the Unix epoch.
pub const NOW_MS: u64 = 1_800_000_000_000;

/// The group id that [`World::group`] uses.
pub const GROUP_ID: &[u8] = b"test group 0";

/// A clinic, its authority and one visit.
#[derive(Debug, Clone)]
pub struct World {
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
    /// The document and the visit, as a group takes them.
    pub policy: Policy,
}

impl World {
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
        let clinic = ClinicDocument::verify(&document, &root.public())
            .unwrap_or_else(|error| panic!("the test's clinic document: {error}"));
        let visit = VisitId::from_bytes(id_bytes(seed, "visit", 0));
        Self {
            seed,
            root,
            authority: key(seed, "authority", 0),
            clinic_claims,
            document,
            visit,
            policy: Policy::new(clinic, visit),
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

    /// The `n`th participant, with this role.
    pub fn identity(&self, n: u64, role: Role) -> Identity {
        self.identity_from(&self.pass_claims(n, role), self.key(n))
    }

    /// The `n`th participant with the `m`th other pass key: what a lost browser profile leads to.
    pub fn identity_with_new_key(&self, n: u64, role: Role, m: u64) -> Identity {
        let key = key(self.seed, "new pass", n << 32 | m);
        let claims = PassClaims {
            cnf: Confirmation { jwk: key.public() },
            ..self.pass_claims(n, role)
        };
        self.identity_from(&claims, key)
    }

    fn identity_from(&self, claims: &PassClaims, key: SigningKey) -> Identity {
        Identity::new(&self.authority.sign(claims), key, &self.policy)
            .unwrap_or_else(|error| panic!("the test's pass: {error}"))
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
        host: &Identity,
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
            texts: [Layer::Information, Layer::Recording]
                .map(|layer| ConsentText {
                    layer,
                    language: "en".into(),
                    version: "1".into(),
                    hash: sha256(format!("{layer:?}").as_bytes()),
                })
                .to_vec(),
            terms: Terms {
                retention_days: 30,
                on_withdrawal: WithdrawalPolicy::Ask,
                processor_retention_days: None,
                part2: false,
                authorization_expires_ms: None,
            },
            again_after: None,
            checklist: Vec::new(),
            at_ms: NOW_MS,
            pass: host.pass().jws().clone(),
        }
    }

    /// A signed request.
    pub fn request(
        &self,
        host: &Identity,
        recorder: ParticipantId,
        round: u64,
    ) -> Jws<RequestClaims> {
        host.key().sign(&self.request_claims(host, recorder, round))
    }

    /// Claims of a statement that answers `request`.
    pub fn statement_claims(
        &self,
        author: &Identity,
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
            answers: vec![Answer {
                person: "self".into(),
                on_behalf_of: OnBehalfOf::Myself,
                information: kind == StatementKind::Grant,
                recording: kind == StatementKind::Grant,
            }],
            texts: asked.texts.iter().map(|text| text.hash).collect(),
            language: "en".into(),
            spoken: String::new(),
            interpreted_for: Vec::new(),
            place: "US-CA".into(),
            wish: None,
            at_ms: NOW_MS,
            pass: author.pass().jws().clone(),
        }
    }

    /// A signed statement.
    pub fn statement(
        &self,
        author: &Identity,
        request: &Jws<RequestClaims>,
        kind: StatementKind,
        seq: u64,
    ) -> Jws<StatementClaims> {
        author
            .key()
            .sign(&self.statement_claims(author, request, kind, seq))
    }

    /// A signed grant, sequence number 1.
    pub fn grant(&self, author: &Identity, request: &Jws<RequestClaims>) -> Jws<StatementClaims> {
        self.statement(author, request, StatementKind::Grant, 1)
    }

    /// A waiting participant with a key package.
    pub fn joiner(&self, identity: &Identity) -> (Joiner, Vec<u8>) {
        Joiner::new(identity.clone(), self.policy.clone())
            .unwrap_or_else(|error| panic!("the test's joiner: {error}"))
    }

    /// A live group: the first identity creates it and adds the others in one commit. In the order given.
    pub fn group(&self, identities: &[Identity]) -> Vec<Group> {
        let created = Group::create(identities[0].clone(), self.policy.clone(), GROUP_ID, NOW_MS);
        let mut groups = vec![created.unwrap_or_else(|error| panic!("the test's group: {error}"))];
        let joined = admit(&mut groups, 0, self, &identities[1..])
            .unwrap_or_else(|error| panic!("the test's group: {error}"));
        groups.extend(joined);
        groups
    }
}

/// The member at `committer` commits; all others follow. Panics if one does not.
pub fn commit(
    groups: &mut [Group],
    committer: usize,
    changes: &Changes,
) -> Result<Option<Vec<u8>>, GroupError> {
    let staged = groups[committer].stage(changes, NOW_MS)?;
    for (index, group) in groups.iter_mut().enumerate() {
        if index == committer {
            continue;
        }
        match group.process(&staged.commit) {
            Ok(Processed::Commit(_)) => {}
            other => panic!("member {index} does not follow the commit: {other:?}"),
        }
    }
    let welcome = staged.welcome.clone();
    groups[committer].merge(staged)?;
    Ok(welcome)
}

/// The context of a group as its extensions hold it.
#[cfg(test)]
pub fn extensions_of(group: &Group) -> mls_rs::ExtensionList {
    group
        .context
        .to_extensions()
        .unwrap_or_else(|error| panic!("the group's context: {error}"))
}

/// The member at `committer` lets these in; returns their groups.
pub fn admit(
    groups: &mut [Group],
    committer: usize,
    world: &World,
    identities: &[Identity],
) -> Result<Vec<Group>, GroupError> {
    let waiting: Vec<_> = identities.iter().map(|id| world.joiner(id)).collect();
    let changes = Changes {
        add: waiting
            .iter()
            .map(|(_, key_package)| key_package.clone())
            .collect(),
        ..Changes::default()
    };
    let welcome = commit(groups, committer, &changes)?.unwrap_or_default();
    waiting
        .iter()
        .map(|(joiner, _)| joiner.join(&welcome))
        .collect()
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

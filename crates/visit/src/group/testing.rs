//! The clinic of `sealed-visit-testing` as a group sees it: identities, joiners, live groups.
//!
//! MLS itself draws from the operating system; everything else is made from a seed.

use super::{Changes, Group, GroupError, Identity, Joiner, Policy, Processed};
use sealed_visit_protocol::clinic::ClinicClaims;
use sealed_visit_protocol::pass::{Confirmation, PassClaims};
use sealed_visit_protocol::{Jws, Recipient, Role, SigningKey};
use sealed_visit_testing::{Clinic, Holder};

pub use sealed_visit_testing::{GROUP_ID, NOW_MS, recipient, stranger_key};

/// A clinic, its authority and one visit.
#[derive(Debug, Clone)]
pub struct World {
    clinic: Clinic,
    /// The document and the visit, as a group takes them.
    pub policy: Policy,
}

impl std::ops::Deref for World {
    type Target = Clinic;

    fn deref(&self) -> &Clinic {
        &self.clinic
    }
}

impl From<Clinic> for World {
    fn from(clinic: Clinic) -> Self {
        let policy = Policy::new(clinic.verified.clone(), clinic.visit);
        Self { clinic, policy }
    }
}

impl Holder for Identity {
    fn pass(&self) -> &Jws<PassClaims> {
        Identity::pass(self).jws()
    }

    fn key(&self) -> &SigningKey {
        Identity::key(self)
    }
}

impl World {
    /// [`Clinic::new`].
    pub fn new(seed: u64) -> Self {
        Clinic::new(seed).into()
    }

    /// [`Clinic::with_recipients`].
    pub fn with_recipients(seed: u64, recipients: Vec<Recipient>) -> Self {
        Clinic::with_recipients(seed, recipients).into()
    }

    /// [`Clinic::with_clinic`].
    pub fn with_clinic(seed: u64, clinic_claims: ClinicClaims) -> Self {
        Clinic::with_clinic(seed, clinic_claims).into()
    }

    /// The `n`th participant, with this role.
    pub fn identity(&self, n: u64, role: Role) -> Identity {
        self.identity_from(&self.pass_claims(n, role), self.key(n))
    }

    /// The `n`th participant with the `m`th other pass key: what a lost browser profile leads to.
    pub fn identity_with_new_key(&self, n: u64, role: Role, m: u64) -> Identity {
        let key = self.new_key(n, m);
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

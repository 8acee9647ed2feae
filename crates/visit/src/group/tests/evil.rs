//! A member that keeps no rules: `mls-rs` without the gate, with credentials that are as good as it can get.
//!
//! What it builds is valid MLS throughout, so that nothing but our rules stands between it and the group.

use super::super::client::{SUITE, signature_key};
use super::super::context::{CHANGE_PROPOSAL, CONTEXT_EXTENSION, MEETING_PROPOSAL, VisitContext};
use super::super::rules::signing_identity;
use super::*;
use mls_rs::client_builder::{BaseConfig, WithCryptoProvider, WithIdentityProvider, WithMlsRules};
use mls_rs::crypto::SignatureSecretKey;
use mls_rs::error::IntoAnyError;
use mls_rs::group::proposal::CustomProposal;
use mls_rs::identity::{CredentialType, SigningIdentity};
use mls_rs::mls_rules::{CommitOptions, DefaultMlsRules, EncryptionOptions};
use mls_rs::time::MlsTime;
use mls_rs::{Client, ExtensionList, IdentityProvider, MlsMessage};
use mls_rs_core::identity::{BasicCredential, MemberValidationContext};
use mls_rs_crypto_rustcrypto::RustCryptoProvider;
use sealed_visit_protocol::consent::ConsentState;
use std::time::Duration;

type EvilConfig = WithMlsRules<
    DefaultMlsRules,
    WithIdentityProvider<Gullible, WithCryptoProvider<RustCryptoProvider, BaseConfig>>,
>;
pub type EvilBuilder<'a> = mls_rs::group::CommitBuilder<'a, EvilConfig>;

/// Accepts every credential, every successor.
#[derive(Debug, Clone)]
pub struct Gullible;

#[derive(Debug)]
pub struct Never;
impl IntoAnyError for Never {}

impl IdentityProvider for Gullible {
    type Error = Never;

    fn validate_member(
        &self,
        _: &SigningIdentity,
        _: Option<MlsTime>,
        _: MemberValidationContext<'_>,
    ) -> Result<(), Never> {
        Ok(())
    }

    fn validate_external_sender(
        &self,
        _: &SigningIdentity,
        _: Option<MlsTime>,
        _: Option<&ExtensionList>,
    ) -> Result<(), Never> {
        Ok(())
    }

    fn identity(&self, identity: &SigningIdentity, _: &ExtensionList) -> Result<Vec<u8>, Never> {
        Ok(identity.signature_key.to_vec())
    }

    fn valid_successor(
        &self,
        _: &SigningIdentity,
        _: &SigningIdentity,
        _: &ExtensionList,
    ) -> Result<bool, Never> {
        Ok(true)
    }

    fn supported_types(&self) -> Vec<CredentialType> {
        vec![
            super::super::context::PASS_CREDENTIAL,
            CredentialType::BASIC,
        ]
    }
}

/// A client without rules, showing this credential.
pub fn evil_client(
    shown: SigningIdentity,
    key: SignatureSecretKey,
    private: bool,
) -> Client<EvilConfig> {
    let rules = DefaultMlsRules::new()
        .with_commit_options(CommitOptions::new().with_path_required(true))
        .with_encryption_options(EncryptionOptions::new(private, Default::default()));
    Client::builder()
        .crypto_provider(RustCryptoProvider::with_enabled_cipher_suites(vec![SUITE]))
        .identity_provider(Gullible)
        .mls_rules(rules)
        .extension_type(CONTEXT_EXTENSION)
        .custom_proposal_type(CHANGE_PROPOSAL)
        .custom_proposal_type(MEETING_PROPOSAL)
        .key_package_lifetime(Duration::from_secs(u32::MAX.into()))
        .signing_identity(shown, key, SUITE)
        .build()
}

pub fn evil_client_of(identity: &Identity) -> Client<EvilConfig> {
    evil_client(
        signing_identity(identity.pass()),
        signature_key(identity),
        true,
    )
}

/// A key package that shows whatever it likes.
pub fn key_package_showing(
    shown: SigningIdentity,
    key: &sealed_visit_protocol::SigningKey,
) -> Vec<u8> {
    let keypair = [&key.seed()[..], key.public().as_bytes()].concat();
    evil_client(shown, SignatureSecretKey::from(keypair), true)
        .generate_key_package_message(
            Default::default(),
            Default::default(),
            Some(MlsTime::from(0)),
        )
        .unwrap()
        .to_bytes()
        .unwrap()
}

/// A credential that is no pass.
pub fn basic(name: &[u8], key: &sealed_visit_protocol::SigningKey) -> SigningIdentity {
    SigningIdentity::new(
        mls_rs::identity::Credential::Basic(BasicCredential::new(name.to_vec())),
        key.public().as_bytes().to_vec().into(),
    )
}

/// A member with a valid pass and no rules.
#[derive(Clone)]
pub struct Evil {
    pub identity: Identity,
    pub mls: mls_rs::Group<EvilConfig>,
}

impl Evil {
    /// Starts a group of its own, with this context.
    pub fn create(identity: &Identity, extensions: ExtensionList) -> Self {
        Self::create_as(identity, GROUP_ID, extensions)
    }

    /// The same, under this id.
    pub fn create_as(identity: &Identity, group_id: &[u8], extensions: ExtensionList) -> Self {
        let mls = evil_client_of(identity)
            .create_group_with_id(
                group_id.to_vec(),
                extensions,
                Default::default(),
                Some(MlsTime::from(1)),
            )
            .unwrap();
        Self {
            identity: identity.clone(),
            mls,
        }
    }

    /// Lets an honest member at 0 admit it.
    pub fn admitted(groups: &mut [Group], identity: &Identity) -> Self {
        let client = evil_client_of(identity);
        let key_package = client
            .generate_key_package_message(
                Default::default(),
                Default::default(),
                Some(MlsTime::from(0)),
            )
            .unwrap()
            .to_bytes()
            .unwrap();
        let changes = Changes {
            add: vec![key_package],
            ..Changes::default()
        };
        let welcome = commit(groups, 0, &changes).unwrap().unwrap();
        Self::joined(client, identity, &welcome)
    }

    fn joined(client: Client<EvilConfig>, identity: &Identity, welcome: &[u8]) -> Self {
        let welcome = MlsMessage::from_bytes(welcome).unwrap();
        let (mls, _) = client
            .join_group(None, &welcome, Some(MlsTime::from(1)))
            .unwrap();
        Self {
            identity: identity.clone(),
            mls,
        }
    }

    /// Follows an honest commit.
    pub fn follow(&mut self, commit: &[u8]) {
        let message = MlsMessage::from_bytes(commit).unwrap();
        self.mls
            .process_incoming_message_with_time(message, MlsTime::from(1))
            .unwrap();
    }

    /// The context as it is now.
    pub(in crate::group) fn context(&self) -> VisitContext {
        VisitContext::from_extensions(&self.mls.context().extensions).unwrap()
    }

    /// What an honest member would derive from these additions and changes, if it did not ask the gate's verdict.
    pub(in crate::group) fn derived(
        &self,
        policy: &Policy,
        adds: &[&Pass],
        changes: &[Change],
    ) -> VisitContext {
        let mut context = self.context();
        for pass in adds {
            context.roles.insert(pass.participant(), pass.role());
        }
        for change in changes {
            if let Ok(next) =
                context
                    .consent
                    .apply(change, policy.clinic(), policy.visit(), GROUP_ID)
            {
                context.consent = next;
            }
        }
        context
    }

    /// Builds a commit by hand; returns it and the Welcome. This member's own group stays where it is.
    pub fn build(
        &self,
        with: impl for<'a> FnOnce(EvilBuilder<'a>) -> Result<EvilBuilder<'a>, mls_rs::error::MlsError>,
    ) -> (Vec<u8>, Option<Vec<u8>>) {
        let mut own = self.mls.clone();
        let builder = own.commit_builder().commit_time(MlsTime::from(1));
        let output = with(builder).unwrap().build().unwrap();
        (
            output.commit_message.to_bytes().unwrap(),
            output
                .welcome_messages
                .first()
                .map(|welcome| welcome.to_bytes().unwrap()),
        )
    }

    /// Adds key packages, removes leaves, carries changes, and states this context if it is another than now.
    pub(in crate::group) fn commit(
        &self,
        add: &[&[u8]],
        remove: &[u8],
        changes: &[Change],
        context: &VisitContext,
    ) -> (Vec<u8>, Option<Vec<u8>>) {
        let restate = *context != self.context();
        self.build(|mut builder| {
            for key_package in add {
                builder = builder.add_member(MlsMessage::from_bytes(key_package)?)?;
            }
            for &leaf in remove {
                builder = builder.remove_member(leaf.into())?;
            }
            for change in changes {
                builder = builder.custom_proposal(change_proposal(change));
            }
            if restate {
                builder = builder.set_group_context_ext(context.to_extensions().unwrap())?;
            }
            Ok(builder)
        })
    }

    /// The same with the context that honest members would derive.
    pub fn commit_derived(
        &self,
        policy: &Policy,
        add: &[(&Identity, &[u8])],
        remove: &[u8],
        changes: &[Change],
    ) -> (Vec<u8>, Option<Vec<u8>>) {
        let passes: Vec<_> = add.iter().map(|(identity, _)| identity.pass()).collect();
        let context = self.derived(policy, &passes, changes);
        let packages: Vec<_> = add.iter().map(|(_, package)| *package).collect();
        self.commit(&packages, remove, changes, &context)
    }
}

pub fn change_proposal(change: &Change) -> CustomProposal {
    CustomProposal::new(CHANGE_PROPOSAL, serde_json::to_vec(change).unwrap())
}

pub fn meeting_proposal(change: &MeetingChange) -> CustomProposal {
    CustomProposal::new(MEETING_PROPOSAL, serde_json::to_vec(change).unwrap())
}

/// Somebody without rules who waits to be let in, for whoever drives it from outside.
pub struct EvilWaiting {
    client: Client<EvilConfig>,
    identity: Identity,
    pub key_package: Vec<u8>,
}

impl EvilWaiting {
    pub fn new(identity: &Identity) -> Self {
        let client = evil_client_of(identity);
        let key_package = client
            .generate_key_package_message(
                Default::default(),
                Default::default(),
                Some(MlsTime::from(0)),
            )
            .unwrap()
            .to_bytes()
            .unwrap();
        Self {
            client,
            identity: identity.clone(),
            key_package,
        }
    }

    pub fn join(self, welcome: &[u8]) -> Evil {
        Evil::joined(self.client, &self.identity, welcome)
    }
}

/// What the maker of a group leaves out of a context that it has seen.
#[derive(Debug, Clone, Copy, Default, Hash)]
pub struct LeftOut {
    pub dead_rounds: bool,
    pub numbers: bool,
    pub roles: bool,
}

impl LeftOut {
    fn of(self, consent: &ConsentState) -> ConsentState {
        let mut value = serde_json::to_value(consent).unwrap();
        let members = value.as_object_mut().unwrap();
        for (is_left_out, name) in [(self.dead_rounds, "dead_rounds"), (self.numbers, "said")] {
            if is_left_out {
                members.remove(name);
            }
        }
        sealed_visit_protocol::json::from_slice(&serde_json::to_vec(&value).unwrap()).unwrap()
    }
}

impl Evil {
    pub fn group_id(&self) -> &[u8] {
        self.mls.group_id()
    }

    pub fn epoch(&self) -> u64 {
        self.mls.current_epoch()
    }

    /// Follows a commit if it can.
    pub fn try_follow(&mut self, commit: &[u8]) -> bool {
        MlsMessage::from_bytes(commit).is_ok_and(|message| {
            self.mls
                .process_incoming_message_with_time(message, MlsTime::from(1))
                .is_ok()
        })
    }

    /// A group of its own that nobody honest led to.
    pub fn stranger(policy: &Policy, identity: &Identity, group_id: &[u8]) -> Self {
        let pass = identity.pass();
        let context = VisitContext::new(
            policy.visit(),
            pass.participant(),
            pass.role(),
            Legacy::default(),
        );
        Self::create_as(identity, group_id, context.to_extensions().unwrap())
    }

    /// The same, and the first context says of others what it likes: their roles, and the numbers that they have used.
    pub fn stranger_saying(
        policy: &Policy,
        identity: &Identity,
        group_id: &[u8],
        others: &[(ParticipantId, Role, u64)],
    ) -> Self {
        let mut before = Legacy::default();
        for (participant, role, seq) in others {
            before.roles.insert(*participant, *role);
            before.hear(*participant, *seq);
        }
        let pass = identity.pass();
        let context = VisitContext::new(policy.visit(), pass.participant(), pass.role(), before);
        Self::create_as(identity, group_id, context.to_extensions().unwrap())
    }

    /// A group under an old one's id, with that one's context: request and grants byte for byte, and this member's own
    /// grant besides. What is left out of it, nobody in the group is reminded of.
    pub fn revived(
        world: &World,
        identity: &Identity,
        group_id: &[u8],
        old: &ExtensionList,
        left_out: LeftOut,
    ) -> Self {
        let mut context = VisitContext::from_extensions(old).unwrap();
        let me = identity.pass().participant();
        if left_out.roles {
            context.roles.retain(|participant, _| *participant == me);
        }
        context.consent = left_out.of(&context.consent);
        let (clinic, visit) = (world.policy.clinic(), world.policy.visit());
        if let Ok(Some(request)) = context.consent.request(clinic, visit, group_id)
            && !context.consent.statements().contains_key(&me)
        {
            let seq = context.consent.said().get(&me).map_or(1, |seq| seq + 1);
            let grant = world.statement(identity, request.jws(), StatementKind::Grant, seq);
            let change = Change::Statement(grant);
            context.consent = context
                .consent
                .apply(&change, clinic, visit, group_id)
                .unwrap();
        }
        Self::create_as(identity, group_id, context.to_extensions().unwrap())
    }

    /// What there is in its context that can be left out.
    pub fn holds(&self) -> LeftOut {
        let context = self.context();
        LeftOut {
            dead_rounds: !context.consent.dead_rounds().is_empty(),
            numbers: !context.consent.said().is_empty(),
            roles: context.roles.len() > 1,
        }
    }

    /// How many statements the open round has, and the context as it is.
    pub fn answered(&self) -> (usize, ExtensionList) {
        let extensions = self.mls.context().extensions.clone();
        (self.context().consent.statements().len(), extensions)
    }

    /// Follows its own commit.
    pub fn follow_own(&mut self) {
        self.mls.apply_pending_commit().unwrap();
    }

    /// Adds these under the context as it is, and stays in the epoch before until [`Self::follow_own`].
    pub fn add_pending(
        &mut self,
        policy: &Policy,
        key_packages: &[&[u8]],
    ) -> (Vec<u8>, Option<Vec<u8>>) {
        let passes: Vec<_> = key_packages
            .iter()
            .map(|key_package| inspect_key_package(policy, key_package).unwrap().pass)
            .collect();
        let context = self.derived(policy, &passes.iter().collect::<Vec<_>>(), &[]);
        let restate = context != self.context();
        let mut builder = self.mls.commit_builder().commit_time(MlsTime::from(1));
        for key_package in key_packages {
            let message = MlsMessage::from_bytes(key_package).unwrap();
            builder = builder.add_member(message).unwrap();
        }
        if restate {
            let extensions = context.to_extensions().unwrap();
            builder = builder.set_group_context_ext(extensions).unwrap();
        }
        let output = builder.build().unwrap();
        (
            output.commit_message.to_bytes().unwrap(),
            output
                .welcome_messages
                .first()
                .map(|welcome| welcome.to_bytes().unwrap()),
        )
    }

    /// What an honest member says to prove that it is in this epoch.
    pub fn proof(&self) -> [u8; 32] {
        let secret = self.mls.epoch_authenticator().unwrap();
        let label: &[u8] = b"sealed-visit epoch proof v1\0";
        sealed_visit_protocol::hash::sha256(&[label, secret.as_bytes()].concat()).0
    }

    /// Says something inside the encryption.
    pub fn say(&mut self, data: &[u8]) -> Vec<u8> {
        let message = self.mls.encrypt_application_message(data, Vec::new());
        message.unwrap().to_bytes().unwrap()
    }

    /// Whether somebody has a leaf.
    pub fn has(&self, policy: &Policy, participant: ParticipantId) -> bool {
        super::super::rules::verified_roster(policy, &self.mls.roster())
            .is_ok_and(|roster| roster.iter().any(|entry| entry.participant == participant))
    }

    /// Adds these, as they would be added by somebody honest who does not ask for the verdict; with `forged`, the
    /// consent state is wiped as well.
    pub fn add(
        &self,
        policy: &Policy,
        key_packages: &[&[u8]],
        forged: bool,
    ) -> (Vec<u8>, Option<Vec<u8>>) {
        let passes: Vec<_> = key_packages
            .iter()
            .map(|key_package| inspect_key_package(policy, key_package).unwrap().pass)
            .collect();
        let passes: Vec<_> = passes.iter().collect();
        let mut context = self.derived(policy, &passes, &[]);
        if forged {
            context.consent = sealed_visit_protocol::consent::ConsentState::new();
        }
        self.commit(key_packages, &[], &[], &context)
    }
}

//! What a visit's group carries in its GroupContext besides RFC 9420's own: one extension, derived by everybody.
//!
//! Invariant: equal values have equal bytes (JSON with sorted maps, nothing optional missing or added), so a member
//! can compare what it derived with what a commit says.

use super::error::GateError;
use super::meeting::{Legacy, Meeting};
use mls_rs::extension::built_in::RequiredCapabilitiesExt;
use mls_rs::extension::{ExtensionType, MlsExtension};
use mls_rs::group::proposal::ProposalType;
use mls_rs::identity::CredentialType;
use mls_rs::{Extension, ExtensionList};
use sealed_visit_protocol::consent::{ConsentState, MAX_TOLD_SEQ};
use sealed_visit_protocol::sorted::SortedMap;
use sealed_visit_protocol::{ParticipantId, Role, VERSION, VisitId};
use serde::{Deserialize, Serialize};

/// Extension, proposal and credential type of this protocol, from the private ranges of RFC 9420 section 17.
const PRIVATE_TYPE: u16 = 0xF51E;

/// The GroupContext extension that holds a [`VisitContext`].
pub(super) const CONTEXT_EXTENSION: ExtensionType = ExtensionType::new(PRIVATE_TYPE);
/// The proposal that holds one consent change, as JSON.
pub(super) const CHANGE_PROPOSAL: ProposalType = ProposalType::new(PRIVATE_TYPE);
/// The proposal that holds one change of how the meeting is run, as JSON.
pub(super) const MEETING_PROPOSAL: ProposalType = ProposalType::new(PRIVATE_TYPE + 1);
/// The credential that holds a visit pass, as compact JWS.
pub(super) const PASS_CREDENTIAL: CredentialType = CredentialType::new(PRIVATE_TYPE);

/// The state that all members share by way of the GroupContext.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct VisitContext {
    pub v: u32,
    pub visit: VisitId,
    /// Everyone who was ever in the group: a role is fixed for the visit, even if its holder leaves and comes back.
    pub roles: SortedMap<ParticipantId, Role>,
    pub meeting: Meeting,
    pub consent: ConsentState,
}

impl VisitContext {
    pub fn new(visit: VisitId, creator: ParticipantId, role: Role, before: Legacy) -> Self {
        let mut roles = before.roles;
        roles.insert(creator, role);
        // Statements name their group: in this one every number is free. One that leaves none after it keeps nobody out.
        let mut said = before.said;
        for seq in said.values_mut() {
            *seq = MAX_TOLD_SEQ.min(*seq);
        }
        Self {
            v: VERSION,
            visit,
            roles,
            meeting: before.meeting,
            consent: ConsentState::after(before.dead_rounds, said),
        }
    }

    /// The extensions of a group in this state: exactly these two.
    pub fn to_extensions(&self) -> Result<ExtensionList, GateError> {
        let mut extensions = ExtensionList::new();
        extensions.set(required_capabilities()?);
        extensions.set(Extension::new(CONTEXT_EXTENSION, self.to_bytes()?));
        Ok(extensions)
    }

    /// Reads a context whose extensions are exactly those that [`Self::to_extensions`] writes.
    pub fn from_extensions(extensions: &ExtensionList) -> Result<Self, GateError> {
        let ours = extensions
            .get(CONTEXT_EXTENSION)
            .ok_or(GateError::Context("it has no visit state"))?;
        let context = Self::from_bytes(&ours.extension_data)?;
        // Also refuses another encoding of the same state.
        if context.to_extensions()? != *extensions {
            return Err(GateError::Context(
                "its extensions are not the two of a visit",
            ));
        }
        Ok(context)
    }

    fn to_bytes(&self) -> Result<Vec<u8>, GateError> {
        serde_json::to_vec(self).map_err(|_| GateError::Context("it cannot be written"))
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, GateError> {
        let context: Self = sealed_visit_protocol::json::from_slice(bytes)
            .map_err(|_| GateError::Context("its visit state cannot be read"))?;
        if context.v != VERSION || context.consent.v != VERSION {
            return Err(GateError::Context("its version is unknown"));
        }
        Ok(context)
    }
}

/// From the start: a member without the custom types would get in and block every later consent proposal.
fn required_capabilities() -> Result<Extension, GateError> {
    RequiredCapabilitiesExt::new(
        vec![CONTEXT_EXTENSION],
        vec![CHANGE_PROPOSAL, MEETING_PROPOSAL],
        vec![PASS_CREDENTIAL],
    )
    .into_extension()
    .map_err(|_| GateError::Context("it cannot be written"))
}

//! The host's signed request, which opens a consent round.

use crate::bytes::{B64, Hash32};
use crate::clinic::{ClinicDocument, ClinicError, RecipientRef};
use crate::id::{ParticipantId, RoundId, VisitId};
use crate::jws::{Claims, Jws, JwsError};
use crate::pass::{Pass, PassClaims, PassError, Role};
use serde::{Deserialize, Serialize};

/// Why a visit is recorded. Free text for `Other` stays inside the encryption.
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// Kept as part of the patient's medical record.
    MedicalRecord,
    /// Watched by a supervisor.
    Supervision,
    /// Watched by reviewers who check the quality of care.
    QualityReview,
    /// Used by a service that drafts a note.
    AiNote,
    /// Kept as evidence for a complaint or legal case.
    Dispute,
    /// Used by researchers.
    Research,
    /// The host gives the reason in words.
    Other,
}

impl Purpose {
    /// Every purpose, in the order in which a host is offered them.
    pub const ALL: [Self; 7] = [
        Self::MedicalRecord,
        Self::Supervision,
        Self::QualityReview,
        Self::AiNote,
        Self::Dispute,
        Self::Research,
        Self::Other,
    ];

    /// Whether the purpose goes beyond treatment, payment and operations, so that a written authorization is due.
    pub fn needs_authorization(self) -> bool {
        match self {
            Self::Research | Self::Dispute | Self::Other => true,
            Self::MedicalRecord | Self::Supervision | Self::QualityReview | Self::AiNote => false,
        }
    }
}

/// The two things that are decided separately.
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Layer {
    /// Use of the health information.
    Information,
    /// Being recorded at all.
    Recording,
}

/// One text that is shown, named by its hash.
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ConsentText {
    /// Which of the two things the text is about.
    pub layer: Layer,
    /// BCP 47 language tag.
    pub language: String,
    /// Version of the text, as its writer names it.
    pub version: String,
    /// SHA-256 of the text's UTF-8 bytes.
    pub hash: Hash32,
}

/// What happens to what was recorded when somebody withdraws.
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WithdrawalPolicy {
    /// What was recorded until then is kept.
    Keep,
    /// The recording is deleted whole.
    Delete,
    /// The person who withdraws says which.
    Ask,
}

/// What everybody agrees to besides purpose and recipients.
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    /// Days from the end of the recording until the clinic is to delete it. The vault deletes nothing by itself.
    pub retention_days: u32,
    /// What happens to the recording when somebody withdraws.
    pub on_withdrawal: WithdrawalPolicy,
    /// When an AI processor's audio is deleted, days from the end of the recording.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "typescript", ts(optional))]
    pub processor_retention_days: Option<u32>,
    /// Whether 42 CFR Part 2 governs the visit.
    #[serde(default)]
    #[cfg_attr(feature = "typescript", ts(optional, as = "Option<_>"))]
    pub part2: bool,
    /// When an authorization ends, milliseconds since the Unix epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "typescript", ts(optional))]
    pub authorization_expires_ms: Option<u64>,
}

/// Claims of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestClaims {
    /// The format's major version, [`crate::VERSION`].
    pub v: u32,
    /// The round that it opens: a new id, never one used before.
    pub round: RoundId,
    /// The visit.
    pub visit: VisitId,
    /// The MLS group the round belongs to.
    pub group_id: B64,
    /// The recorder that would join: this participant and no other.
    pub recorder: ParticipantId,
    /// What the recording is for.
    pub purpose: Purpose,
    /// Sorted, without duplicates.
    pub recipients: Vec<RecipientRef>,
    /// What people are shown: both layers in every language that occurs, at least one.
    pub texts: Vec<ConsentText>,
    /// How long the recording is kept, and what follows from a withdrawal.
    pub terms: Terms,
    /// When asked again after a refusal: the round that was refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub again_after: Option<RoundId>,
    /// The host's ticks before asking, with their times in milliseconds since the Unix epoch.
    #[serde(default)]
    pub checklist: Vec<Tick>,
    /// When it was signed, by the host's clock, milliseconds since the Unix epoch. No rule compares it.
    pub at_ms: u64,
    /// The host's pass, which names the key that signed this.
    pub pass: Jws<PassClaims>,
}

/// What a host confirms before asking, in the order in which a page lists it.
pub const CHECKLIST: [&str; 3] = [
    "identity_verified",
    "emergency_place_known",
    "private_setting",
];

/// One ticked precondition.
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tick {
    /// One of [`CHECKLIST`].
    #[cfg_attr(
        feature = "typescript",
        ts(type = "\"identity_verified\" | \"emergency_place_known\" | \"private_setting\"")
    )]
    pub what: String,
    /// When it was ticked, milliseconds since the Unix epoch.
    pub at_ms: u64,
}

impl Claims for RequestClaims {
    const TYP: &'static str = "sv-request+jwt";
}

/// Why a request was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// The author's pass key did not sign it, or it cannot be read.
    #[error(transparent)]
    Jws(#[from] JwsError),
    /// The author's pass is refused.
    #[error(transparent)]
    Pass(#[from] PassError),
    /// A recipient is not in the clinic document with that role, or is retired: somebody may have swapped a key.
    #[error(transparent)]
    Recipient(#[from] ClinicError),
    /// It was signed by a participant of this role, not by a clinician.
    #[error("a request must come from a clinician, not from a {0:?}")]
    NotTheHost(Role),
    /// It is for another visit or group than this one.
    #[error("the request is for another visit or group")]
    OtherGroup,
    /// It names no recipient: nobody could open the recording.
    #[error("the request names no recipient")]
    NoRecipient,
    /// The recipients do not ascend strictly by fingerprint.
    #[error("the recipients are not sorted, or repeat")]
    RecipientsNotSorted,
    /// A language lacks one of the two layers (`any` if there is no text at all); cut to 35 characters.
    #[error("the request has no text for both layers in language {0}")]
    TextsIncomplete(String),
}

/// A request whose signature, pass and recipients were checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    jws: Jws<RequestClaims>,
    claims: RequestClaims,
    hash: Hash32,
    host: Pass,
}

impl Request {
    /// Checks signature, pass, role, visit, group, recipients and texts.
    pub fn verify(
        jws: &Jws<RequestClaims>,
        clinic: &ClinicDocument,
        visit: VisitId,
        group_id: &[u8],
    ) -> Result<Self, RequestError> {
        let unverified = jws.unverified_claims()?;
        let host = Pass::verify_for(&unverified.pass, clinic, visit)?;
        let claims = jws.verify(host.key())?;
        if host.role() != Role::Clinician {
            return Err(RequestError::NotTheHost(host.role()));
        }
        if claims.visit != visit || claims.group_id.0 != group_id {
            return Err(RequestError::OtherGroup);
        }
        if claims.recipients.is_empty() {
            return Err(RequestError::NoRecipient);
        }
        if !claims
            .recipients
            .is_sorted_by(|a, b| a.fingerprint < b.fingerprint)
        {
            return Err(RequestError::RecipientsNotSorted);
        }
        for recipient in &claims.recipients {
            clinic.recipient(recipient)?;
        }
        for text in &claims.texts {
            if claims.text(Layer::Information, &text.language).is_none()
                || claims.text(Layer::Recording, &text.language).is_none()
            {
                return Err(RequestError::TextsIncomplete(
                    text.language.chars().take(35).collect(),
                ));
            }
        }
        if claims.texts.is_empty() {
            return Err(RequestError::TextsIncomplete("any".into()));
        }
        Ok(Self {
            jws: jws.clone(),
            hash: jws.hash(),
            claims,
            host,
        })
    }

    /// What the host signed.
    pub fn claims(&self) -> &RequestClaims {
        &self.claims
    }

    /// The signed document.
    pub fn jws(&self) -> &Jws<RequestClaims> {
        &self.jws
    }

    /// How statements name this request: nothing in it can change without a new round.
    pub fn hash(&self) -> Hash32 {
        self.hash
    }

    /// The pass of the clinician who signed it.
    pub fn host(&self) -> &Pass {
        &self.host
    }
}

impl RequestClaims {
    /// The text of a layer in a language.
    pub fn text(&self, layer: Layer, language: &str) -> Option<&ConsentText> {
        self.texts
            .iter()
            .find(|text| text.layer == layer && text.language == language)
    }
}

//! Who may connect: a pass by an authority of the clinic, not expired, shown by the holder of its key.
//!
//! Inputs: the pinned root key, the clinic document's file, a hello and the challenge it answers. Output: an
//! [`Admitted`] participant. The file is read again when it changes, so that a renewed document needs no restart;
//! a document with a lower number than the last is refused.

use sealed_visit_protocol::clinic::{ClinicClaims, ClinicError};
use sealed_visit_protocol::pass::{PassClaims, PassError};
use sealed_visit_protocol::wire::HelloClaims;
use sealed_visit_protocol::{
    ClinicDocument, Jws, JwsError, ParticipantId, Pass, Role, RootKey, VERSION, VisitId,
};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

/// Bytes of a challenge.
pub const NONCE_BYTES: usize = 32;

/// Why somebody was not admitted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AdmissionError {
    #[error("the clinic's document cannot be read: {0}")]
    File(#[from] std::io::Error),
    #[error(transparent)]
    Clinic(#[from] ClinicError),
    #[error("the clinic's document has number {got}, {known} was seen before")]
    OlderDocument { known: u64, got: u64 },
    #[error(transparent)]
    Pass(#[from] PassError),
    #[error("the proof of the pass's key does not verify: {0}")]
    Proof(#[from] JwsError),
    #[error(transparent)]
    Expired(Box<Expired>),
    #[error("the proof answers another challenge, visit or participant")]
    OtherChallenge,
}

/// A pass whose only fault is its age.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub struct Expired {
    pub visit: VisitId,
    pub error: PassError,
}

/// A participant whose pass and key were checked.
#[derive(Debug, Clone)]
pub struct Admitted {
    pub visit: VisitId,
    pub participant: ParticipantId,
    pub role: Role,
    pub pass: Pass,
}

/// The relay's copy of the clinic document.
#[derive(Debug)]
pub struct Admission {
    root: RootKey,
    path: PathBuf,
    current: Mutex<Current>,
}

#[derive(Debug)]
struct Current {
    document: Arc<ClinicDocument>,
    modified: Option<SystemTime>,
}

impl Admission {
    /// Reads and verifies the document; a relay does not start without a good one.
    pub fn open(root: RootKey, path: PathBuf) -> Result<Self, AdmissionError> {
        let modified = modified(&path);
        let document = Arc::new(read(&root, &path)?);
        Ok(Self {
            root,
            path,
            current: Mutex::new(Current { document, modified }),
        })
    }

    /// Judges a hello. `nonce` is the challenge of this connection.
    pub fn admit(
        &self,
        pass: &Jws<PassClaims>,
        proof: &Jws<HelloClaims>,
        nonce: &[u8; NONCE_BYTES],
        now_ms: u64,
    ) -> Result<Admitted, AdmissionError> {
        let clinic = self.document()?;
        clinic.check_time(now_ms)?;
        let pass = Pass::verify(pass, &clinic)?;
        let proof = proof.verify(pass.key())?;
        if proof.v != VERSION
            || proof.visit != pass.visit()
            || proof.participant != pass.participant()
            || proof.nonce.as_slice() != nonce
        {
            return Err(AdmissionError::OtherChallenge);
        }
        pass.check_time(now_ms).map_err(|error| {
            let visit = pass.visit();
            AdmissionError::Expired(Box::new(Expired { visit, error }))
        })?;
        Ok(Admitted {
            visit: pass.visit(),
            participant: pass.participant(),
            role: pass.role(),
            pass,
        })
    }

    fn document(&self) -> Result<Arc<ClinicDocument>, AdmissionError> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let modified = modified(&self.path);
        if modified.is_some() && modified != current.modified {
            let document = read(&self.root, &self.path)?;
            let (known, got) = (current.document.claims().number, document.claims().number);
            if got < known {
                return Err(AdmissionError::OlderDocument { known, got });
            }
            *current = Current {
                document: Arc::new(document),
                modified,
            };
        }
        Ok(current.document.clone())
    }
}

fn read(root: &RootKey, path: &PathBuf) -> Result<ClinicDocument, AdmissionError> {
    let text = std::fs::read_to_string(path)?;
    let jws = Jws::<ClinicClaims>::from_text(text.trim());
    Ok(ClinicDocument::verify(&jws, root)?)
}

/// None when the file is away for a moment, as while it is being replaced: the last document goes on.
fn modified(path: &PathBuf) -> Option<SystemTime> {
    std::fs::metadata(path)
        .and_then(|data| data.modified())
        .ok()
}

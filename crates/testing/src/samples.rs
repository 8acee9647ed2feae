//! What requests and answers of tests say where it does not matter.

use sealed_visit_protocol::Hash32;
use sealed_visit_protocol::consent::{
    Answer, ConsentText, Layer, OnBehalfOf, Terms, WithdrawalPolicy,
};

/// A recording is kept for 30 days; the person says what becomes of it after a withdrawal.
pub fn terms() -> Terms {
    Terms {
        retention_days: 30,
        on_withdrawal: WithdrawalPolicy::Ask,
        processor_retention_days: None,
        part2: false,
        authorization_expires_ms: None,
    }
}

/// Both layers in English, each with the hash of its text.
pub fn texts(hash: impl Fn(Layer) -> Hash32) -> Vec<ConsentText> {
    [Layer::Information, Layer::Recording]
        .map(|layer| ConsentText {
            layer,
            language: "en".into(),
            version: "1".into(),
            hash: hash(layer),
        })
        .to_vec()
}

/// The answer of a person alone at the device: yes to both layers, or no.
pub fn own_answer(agrees: bool) -> Answer {
    Answer {
        person: "self".into(),
        on_behalf_of: OnBehalfOf::Myself,
        information: agrees,
        recording: agrees,
    }
}

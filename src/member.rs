//! One person's media keys: from the visit to the frame engine, never through JavaScript.
//!
//! The visit says which epoch to install, use, retire or forget, and whether the gate is open. All of it happens here, before
//! JavaScript hears of any of it: a key never leaves the module's memory, and the gate closes before anything else.

use sealed_visit_frames::engine::{FrameEngine, FramesError};
use sealed_visit_frames::sframe::{Epoch, Leaf};
use sealed_visit_visit::visit::{BaseKey, LeafOf, Output};
use std::cell::RefCell;
use std::rc::Rc;

/// The frame engine that a visit and the page's transforms share.
pub(crate) type SharedMedia = Rc<RefCell<Media>>;

/// The frame engine, and the two that hold its gate.
pub(crate) struct Media {
    pub(crate) engine: FrameEngine,
    /// What the visit says. An engine that is in no visit has nobody to ask.
    visit_open: bool,
    /// What the page says.
    page_open: bool,
}

impl Media {
    pub(crate) fn new() -> Self {
        Self {
            engine: FrameEngine::new(),
            visit_open: true,
            page_open: true,
        }
    }

    /// The page's say: frames leave only while the visit agrees.
    pub(crate) fn set_page_open(&mut self, open: bool) {
        self.page_open = open;
        self.apply_gate();
    }

    fn set_visit_open(&mut self, open: bool) {
        self.visit_open = open;
        self.apply_gate();
    }

    fn apply_gate(&mut self) {
        self.engine.set_sending(self.visit_open && self.page_open);
    }

    /// Enters a visit: nothing is sent before it opens the gate.
    pub(crate) fn enter(&mut self) {
        self.set_visit_open(false);
    }

    /// Leaves the visit, or gives up: nothing is sent, and nothing opens anymore.
    pub(crate) fn leave(&mut self) {
        self.set_visit_open(false);
        self.engine.clear();
    }

    /// Carries out what concerns keys and gate, in the visit's order, which closes the gate first. If a step fails, nothing is
    /// sent anymore.
    pub(crate) fn carry_out(&mut self, outputs: &[Output]) -> Result<(), FramesError> {
        for output in outputs {
            let done = match output {
                Output::InstallEpoch {
                    epoch,
                    base_key,
                    own_leaf,
                    leaves,
                } => self.install(Epoch(*epoch), base_key, *own_leaf, leaves),
                Output::UseEpoch { epoch } => self.engine.send_in_epoch(Epoch(*epoch)),
                Output::RetireEpoch { epoch, at_ms } => self.retire(Epoch(*epoch), *at_ms),
                Output::DropLeaf { epoch, leaf } => self.drop_leaf(*epoch, *leaf),
                Output::ClearKeys => {
                    self.engine.clear();
                    Ok(())
                }
                Output::Gate { open } => {
                    self.set_visit_open(*open);
                    Ok(())
                }
                _ => Ok(()),
            };
            if done.is_err() {
                self.leave();
                return done;
            }
        }
        Ok(())
    }

    fn install(
        &mut self,
        epoch: Epoch,
        base_key: &BaseKey,
        own_leaf: u8,
        leaves: &[LeafOf],
    ) -> Result<(), FramesError> {
        let own_leaf = Leaf::new(u32::from(own_leaf))?;
        // A recorder sends nothing, so it is not among the leaves; the engine wants its own leaf all the same.
        let mut all = vec![own_leaf];
        for entry in leaves {
            let leaf = Leaf::new(u32::from(entry.leaf))?;
            if leaf != own_leaf {
                all.push(leaf);
            }
        }
        #[cfg(feature = "test-hooks")]
        crate::test_hooks::log_key(epoch, base_key, own_leaf, &all);
        self.engine
            .install_epoch(epoch, &base_key.0[..], own_leaf, &all)
            .map(drop)
    }

    /// An epoch that had to make room for a newer one is gone already.
    fn retire(&mut self, epoch: Epoch, dies_at_ms: u64) -> Result<(), FramesError> {
        if self.engine.live_epochs().any(|live| live == epoch) {
            self.engine.retire_epoch(epoch, dies_at_ms)?;
        }
        Ok(())
    }

    /// `epoch` is the last one that the leaf was in.
    fn drop_leaf(&mut self, epoch: u64, leaf: u8) -> Result<(), FramesError> {
        let leaf = Leaf::new(u32::from(leaf))?;
        self.engine
            .remove_leaf(leaf, Epoch(epoch.saturating_add(1)));
        Ok(())
    }
}

/// What JavaScript learns of these outputs: who is in a new epoch, without its key; that all keys are gone; the gate. The rest is
/// done.
pub(crate) fn is_shown(output: &Output) -> bool {
    !matches!(
        output,
        Output::UseEpoch { .. } | Output::RetireEpoch { .. } | Output::DropLeaf { .. }
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use sealed_visit_frames::codec::Codec;
    use sealed_visit_frames::engine::{DropReason, Outcome, TrackHandle};
    use sealed_visit_frames::sframe::FrameBuffer;
    use sealed_visit_protocol::ParticipantId;
    use zeroize::Zeroizing;

    fn install(epoch: u64, own_leaf: u8) -> Output {
        Output::InstallEpoch {
            epoch,
            base_key: BaseKey(Zeroizing::new([epoch as u8; 16])),
            own_leaf,
            leaves: [0, 1]
                .map(|leaf| LeafOf {
                    leaf,
                    participant: ParticipantId::from_bytes([leaf; 16]),
                })
                .to_vec(),
        }
    }

    fn member(outputs: &[Output]) -> Media {
        let mut media = Media::new();
        media.enter();
        media.carry_out(outputs).unwrap();
        media
    }

    fn sends(media: &mut Media, track: TrackHandle) -> Result<Vec<u8>, DropReason> {
        let mut buffer = FrameBuffer::new();
        buffer.load(b"frame");
        match media.engine.encrypt(track, 0, &mut buffer) {
            Outcome::Forward(()) => Ok(buffer.bytes().to_vec()),
            Outcome::Drop(reason) => Err(reason),
            Outcome::Wait(_) => unreachable!("frames that are sent never wait"),
        }
    }

    fn opens(media: &mut Media, track: TrackHandle, sealed: &[u8], now_ms: u64) -> bool {
        let mut buffer = FrameBuffer::new();
        buffer.load(sealed);
        matches!(
            media.engine.decrypt(track, now_ms, &mut buffer),
            Outcome::Forward(_)
        )
    }

    fn live(own_leaf: u8) -> Vec<Output> {
        vec![
            install(1, own_leaf),
            Output::UseEpoch { epoch: 1 },
            Output::Gate { open: true },
        ]
    }

    #[test]
    fn nothing_is_sent_before_the_visit_opens_the_gate_and_not_while_the_page_holds_it() {
        let mut media = member(&[install(1, 0), Output::UseEpoch { epoch: 1 }]);
        let track = media.engine.open_send_track("t", 0, Codec::Opus).unwrap();
        assert_eq!(sends(&mut media, track), Err(DropReason::Gated));
        media.carry_out(&[Output::Gate { open: true }]).unwrap();
        assert!(sends(&mut media, track).is_ok());
        media.set_page_open(false);
        media.carry_out(&[Output::Gate { open: true }]).unwrap();
        assert_eq!(sends(&mut media, track), Err(DropReason::Gated));
        media.carry_out(&[Output::Gate { open: false }]).unwrap();
        media.set_page_open(true);
        assert_eq!(sends(&mut media, track), Err(DropReason::Gated));
    }

    #[test]
    fn a_key_that_is_refused_closes_the_gate_and_takes_every_key_along() {
        let mut media = member(&live(0));
        let track = media.engine.open_send_track("t", 0, Codec::Opus).unwrap();
        // Epoch 1 again: its key must not be used twice.
        assert!(media.carry_out(&[install(1, 0)]).is_err());
        assert_eq!(sends(&mut media, track), Err(DropReason::Gated));
        assert_eq!(media.engine.live_epochs().count(), 0);
    }

    #[test]
    fn a_retired_epoch_dies_at_the_time_that_the_visit_named() {
        let (mut alice, mut bob) = (member(&live(0)), member(&live(1)));
        let out = alice.engine.open_send_track("t", 0, Codec::Opus).unwrap();
        let leaf = Leaf::new(0).unwrap();
        let incoming = bob.engine.open_receive_track("t", leaf, Codec::Opus);
        let [before, after] = [(); 2].map(|()| sends(&mut alice, out).unwrap());
        let outputs = [
            install(2, 1),
            Output::UseEpoch { epoch: 2 },
            Output::RetireEpoch {
                epoch: 1,
                at_ms: 5_000,
            },
        ];
        bob.carry_out(&outputs).unwrap();
        assert!(opens(&mut bob, incoming, &before, 4_999));
        assert!(!opens(&mut bob, incoming, &after, 5_000));
        // Retiring an epoch that is gone is no failure.
        bob.carry_out(&outputs[2..]).unwrap();
    }

    #[test]
    fn what_a_removed_leaf_sent_in_earlier_epochs_opens_nothing_any_more() {
        let (mut alice, mut bob) = (member(&live(0)), member(&live(1)));
        let out = alice.engine.open_send_track("t", 0, Codec::Opus).unwrap();
        let leaf = Leaf::new(0).unwrap();
        let incoming = bob.engine.open_receive_track("t", leaf, Codec::Opus);
        let sealed = sends(&mut alice, out).unwrap();
        bob.carry_out(&[install(2, 1), Output::DropLeaf { epoch: 1, leaf: 0 }])
            .unwrap();
        assert!(!opens(&mut bob, incoming, &sealed, 0));
    }
}

//! Pages that are loaded anew, with all of their memory, with an older one, or with none.
//!
//! What must hold, besides every other promise:
//! - a lost pass key takes all memory along, and its grants: the person is recorded after a click on "I agree" with the
//!   new key only. The member may be led into a group that the lost key left, among clinicians whom it cannot know;
//! - a second page of the same participant knows what had been decided when it was loaded. What the first page decided
//!   afterwards is known again once the page is loaded the next time, and no later decision takes that away;
//! - a backup that is put back knows what had been decided when it was made.

use super::check::Broken;
use super::scene::{Scene, Second};
use crate::group::Identity;
use crate::visit::VisitMemory;
use std::sync::Arc;

impl Scene {
    /// The page is loaded anew: everything but pass key and memory is gone.
    pub(super) fn crash(&mut self, page: usize) -> Result<(), Broken> {
        let identity = self.identity(page);
        let memories = self.pages[page].record.all();
        if let Some(elsewhere) = self.pages[page].elsewhere.take() {
            self.ghost.learns_again(page, &elsewhere);
        }
        self.load(page, &identity, memories)
    }

    pub(super) fn lose_key(&mut self, page: usize) -> Result<(), Broken> {
        let (n, role) = (page as u64, self.pages[page].admitted.role);
        let lost = self.pages[page].held.len() as u64;
        let identity = self.world.identity_with_new_key(n, role, lost);
        self.pages[page].record = Default::default();
        self.ghost.lost_key(page);
        let admitted = Arc::new(self.admitted(&identity));
        let this = &mut self.pages[page];
        Arc::make_mut(&mut this.held).push(*identity.pass().key());
        (this.admitted, this.elsewhere) = (admitted, None);
        self.load(page, &identity, Vec::new())
    }

    pub(super) fn open_second_page(&mut self, page: usize) {
        let memories = self.pages[page].record.all();
        let known = self.ghost.known_to(page);
        self.pages[page].second = Some(Arc::new(Second { memories, known }));
    }

    pub(super) fn take_over(&mut self, page: usize) -> Result<(), Broken> {
        let Some(second) = self.pages[page].second.take() else {
            return Ok(());
        };
        let elsewhere = self.ghost.known_to(page);
        self.ghost.knows_only(page, &second.known);
        let this = &mut self.pages[page];
        (this.is_older, this.elsewhere) = (true, Some(Arc::new(elsewhere)));
        let identity = self.identity(page);
        self.load(page, &identity, second.memories.clone())
    }

    pub(super) fn restore(&mut self, page: usize) -> Result<(), Broken> {
        let Some(backup) = self.pages[page].second.take() else {
            return Ok(());
        };
        self.ghost.knows_only(page, &backup.known);
        let this = &mut self.pages[page];
        (this.is_older, this.record) = (true, backup.memories.clone().into());
        let identity = self.identity(page);
        self.load(page, &identity, backup.memories.clone())
    }

    fn load(
        &mut self,
        page: usize,
        identity: &Identity,
        memories: Vec<Arc<VisitMemory>>,
    ) -> Result<(), Broken> {
        self.lose_connection(page);
        let machine = Arc::new(self.machine(page as u64, identity, &memories));
        let this = &mut self.pages[page];
        this.machine = machine;
        this.record.load(memories);
        this.keys.clear();
        (this.sending_with, this.gate_open, this.timer_ms) = (None, false, None);
        this.run += 1;
        this.beats = 0;
        self.ghost.crashed(page);
        self.connect(page)
    }
}

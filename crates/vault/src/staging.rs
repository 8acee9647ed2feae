//! Growing uploads on the local disk: one file a track, appended, verified and synced.
//!
//! Object stores cannot append, so a track grows here and moves to the [`crate::store`] when its part ends.
//!
//! Inputs: bytes of a track, in order. Output: the offset up to which they are durable. Invariants: every *complete*
//! record before an acknowledged offset was verified ([`TrackState`]); a file never holds more than what was fed to
//! the verifier; bytes that break the chain take the file back to the end of its last valid checkpoint, so that the
//! sender can go on from there.

use crate::db::{Db, TrackRow};
use crate::error::{ApiError, ApiResult, track_refused};
use crate::store::{Store, TrackKey, remove_if_there, sync_parent};
use sealed_visit_protocol::TrackId;
use sealed_visit_protocol::track::{TrackError, TrackState};
use std::collections::HashMap;
use std::io::Read as _;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{OwnedMutexGuard, oneshot};
use tokio::time::Instant;

const VERIFY_BUFFER_BYTES: usize = 1 << 20;
const NOT_LOADED: u64 = u64::MAX;
/// Slots of ended uploads are forgotten when there are this many.
const TIDY_ABOVE_SLOTS: usize = 1024;

/// All growing uploads of this vault.
#[derive(Debug)]
pub struct Staging {
    folder: PathBuf,
    slots: Mutex<HashMap<TrackId, Arc<Slot>>>,
}

impl Staging {
    pub fn open(data: &Path) -> anyhow::Result<Self> {
        let folder = data.join("staging");
        crate::private::folder(&folder)?;
        Ok(Self {
            folder,
            slots: Mutex::default(),
        })
    }

    pub fn slot(&self, track: TrackId) -> Arc<Slot> {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        if slots.len() >= TIDY_ABOVE_SLOTS {
            slots.retain(|_, slot| Arc::strong_count(slot) > 1 || slot.is_loaded());
        }
        slots.entry(track).or_default().clone()
    }

    /// Closes an upload that has ended, and removes its file. The slot stays: others may be waiting for it.
    pub fn discard(&self, track: TrackId, held: &mut Held) -> std::io::Result<()> {
        *held.guard = None;
        held.slot.durable.store(NOT_LOADED, Ordering::Release);
        remove_if_there(&self.file_of(track))
    }

    /// Loads the upload's file, verifying all of it, if the holder has not done so. A track that was stored when its
    /// part was closed as unfinished comes back from the store.
    pub async fn load<'a>(
        &self,
        held: &'a mut Held,
        row: &TrackRow,
        store: &Store,
    ) -> ApiResult<&'a mut Writer> {
        if held.guard.is_none() {
            let path = self.file_of(row.track);
            if row.stored_bytes > 0 && !tokio::fs::try_exists(&path).await? {
                store.restore(&key_of(row), row.stored_bytes, &path).await?;
            }
            let writer = Writer::open(path, row).await?;
            held.slot.durable.store(writer.synced, Ordering::Release);
            *held.guard = Some(writer);
        }
        held.guard
            .as_mut()
            .ok_or_else(|| ApiError::internal("an upload did not load"))
    }

    /// Makes the removal of files durable.
    pub async fn sync_folder(&self) -> ApiResult<()> {
        sync_parent(self.folder.join("any")).await
    }

    /// Removes files that no open part needs: what a crash between storing and tidying left.
    pub fn tidy(&self, needed: impl Fn(&str) -> bool) -> std::io::Result<()> {
        for entry in std::fs::read_dir(&self.folder)? {
            let entry = entry?;
            let name = entry.file_name();
            if !needed(&name.to_string_lossy()) {
                remove_if_there(&entry.path())?;
            }
        }
        Ok(())
    }

    fn file_of(&self, track: TrackId) -> PathBuf {
        self.folder.join(track.to_string())
    }
}

pub fn key_of(row: &TrackRow) -> TrackKey {
    TrackKey {
        recording: row.recording,
        part: row.part,
        track: row.track,
    }
}

/// One upload's lock: its holder may write.
#[derive(Debug)]
pub struct Slot {
    writer: Arc<tokio::sync::Mutex<Option<Writer>>>,
    /// The last acknowledged offset, readable while somebody writes; [`NOT_LOADED`] before the file was verified.
    durable: AtomicU64,
    activity: Mutex<Activity>,
}

#[derive(Debug)]
struct Activity {
    last: Instant,
    /// Asks the present holder to stop.
    interrupt: Option<oneshot::Sender<()>>,
}

impl Default for Slot {
    fn default() -> Self {
        Self {
            writer: Arc::default(),
            durable: AtomicU64::new(NOT_LOADED),
            activity: Mutex::new(Activity {
                last: Instant::now(),
                interrupt: None,
            }),
        }
    }
}

impl Slot {
    /// Takes the lock if it is free, or from a holder that brought nothing for `stalled_after`; `None` when somebody
    /// is writing. While the file is being verified after a restart, it waits for that a moment.
    pub async fn take(self: &Arc<Self>, stalled_after: Duration) -> Option<Held> {
        const PATIENCE: Duration = Duration::from_secs(5);
        if let Ok(guard) = self.writer.clone().try_lock_owned() {
            return Some(self.held(guard));
        }
        let is_loading = self.durable().is_none();
        if !is_loading && !self.interrupt_if_stalled(stalled_after) {
            return None;
        }
        let guard = tokio::time::timeout(PATIENCE, self.writer.clone().lock_owned()).await;
        guard.ok().map(|guard| self.held(guard))
    }

    /// Waits for the lock, interrupting the holder as soon as it stalls; `None` after `patience`.
    pub async fn wait(
        self: &Arc<Self>,
        stalled_after: Duration,
        patience: Duration,
    ) -> Option<Held> {
        const RETRY: Duration = Duration::from_millis(50);
        let deadline = Instant::now() + patience;
        loop {
            if let Some(held) = self.take(stalled_after).await {
                return Some(held);
            }
            if Instant::now() >= deadline {
                return None;
            }
            tokio::time::sleep(RETRY).await;
        }
    }

    /// The last acknowledged offset; `None` while the file is not verified yet.
    pub fn durable(&self) -> Option<u64> {
        let offset = self.durable.load(Ordering::Acquire);
        (offset != NOT_LOADED).then_some(offset)
    }

    fn is_loaded(&self) -> bool {
        self.writer
            .try_lock()
            .map_or(true, |writer| writer.is_some())
    }

    fn held(self: &Arc<Self>, guard: OwnedMutexGuard<Option<Writer>>) -> Held {
        let (sender, interrupted) = oneshot::channel();
        let mut activity = self.activity.lock().unwrap_or_else(PoisonError::into_inner);
        activity.last = Instant::now();
        activity.interrupt = Some(sender);
        Held {
            slot: self.clone(),
            guard,
            interrupted: Some(interrupted),
        }
    }

    fn interrupt_if_stalled(&self, stalled_after: Duration) -> bool {
        let mut activity = self.activity.lock().unwrap_or_else(PoisonError::into_inner);
        if activity.last.elapsed() < stalled_after {
            return false;
        }
        if let Some(interrupt) = activity.interrupt.take() {
            // The holder may have ended on its own: then the lock is about to be free.
            let _ = interrupt.send(());
        }
        true
    }
}

/// The lock of an upload, held.
#[derive(Debug)]
pub struct Held {
    slot: Arc<Slot>,
    guard: OwnedMutexGuard<Option<Writer>>,
    interrupted: Option<oneshot::Receiver<()>>,
}

impl Held {
    /// Resolves when somebody newer wants the upload.
    pub async fn interrupted(&mut self) {
        if let Some(interrupted) = &mut self.interrupted {
            let asked = interrupted.await.is_ok();
            self.interrupted = None;
            if asked {
                return;
            }
        }
        std::future::pending().await
    }

    /// The last acknowledged offset; `None` while the file is not verified yet.
    pub fn durable(&self) -> Option<u64> {
        self.slot.durable()
    }

    /// The holder is alive.
    pub fn touch(&self) {
        let mut activity = self
            .slot
            .activity
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        activity.last = Instant::now();
    }

    /// Makes everything written durable and remembers the offset; only then may anyone learn it.
    pub async fn acknowledge(&mut self, row: &TrackRow, db: &Db, now_ms: u64) -> ApiResult<u64> {
        let Some(writer) = self.guard.as_mut() else {
            return Err(ApiError::internal("an upload is not loaded"));
        };
        let offset = writer.sync().await?;
        if writer.remembered != offset {
            db.acknowledge(row, offset, now_ms).await?;
            writer.remembered = offset;
        }
        self.slot.durable.store(offset, Ordering::Release);
        Ok(offset)
    }

    pub fn writer(&mut self) -> Option<&mut Writer> {
        self.guard.as_mut()
    }
}

/// An upload's file with the verifier of what is in it.
#[derive(Debug)]
pub struct Writer {
    track: TrackId,
    path: PathBuf,
    file: Arc<std::fs::File>,
    state: TrackState,
    /// Bytes known to be on the disk.
    synced: u64,
    /// The offset in the track's row.
    remembered: u64,
}

impl Writer {
    async fn open(path: PathBuf, row: &TrackRow) -> ApiResult<Self> {
        let fresh = TrackState::expecting(row.header_hash);
        let opened = {
            let path = path.clone();
            tokio::task::spawn_blocking(move || verify_file(&path, fresh))
        };
        let (file, state, refused) = opened.await??;
        if let Some(error) = refused {
            tracing::warn!(track = %row.track, %error, kept = state.offset(), "the tail of an upload was dropped");
        }
        if state.offset() < row.acknowledged {
            // The sender keeps its bytes until the receipt and will send them again; but a disk that forgets is news.
            tracing::error!(
                track = %row.track, acknowledged = row.acknowledged, found = state.offset(),
                "the disk lost bytes that were acknowledged"
            );
        }
        sync_parent(path.clone()).await?;
        Ok(Self {
            track: row.track,
            path,
            file: Arc::new(file),
            synced: state.offset(),
            remembered: row.acknowledged,
            state,
        })
    }

    /// The verifier, at the end of the file.
    pub fn state(&self) -> &TrackState {
        &self.state
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn offset(&self) -> u64 {
        self.state.offset()
    }

    pub fn unsynced_bytes(&self) -> u64 {
        self.offset().saturating_sub(self.synced)
    }

    /// Verifies and writes more bytes. When they break the chain, only what was verified stays.
    pub async fn append(&mut self, bytes: bytes::Bytes) -> ApiResult<()> {
        let mut next = self.state.clone();
        let fed = next.feed(&bytes, |_| {});
        let kept = if fed.is_ok() { next } else { next.rewound() };
        let (start, end) = (self.offset(), kept.offset());
        if end > start {
            let new = bytes.slice(..(end - start) as usize);
            if let Err(error) = self.write_at(new, start).await {
                // A partly written piece goes away, so that the file holds what the verifier was fed.
                self.truncate(start).await?;
                return Err(error);
            }
        } else if end < start {
            self.truncate(end).await?;
        }
        self.state = kept;
        fed.map_err(|error| track_refused(self.track, &error, end))
    }

    /// Takes the file back to an earlier state of its own.
    pub async fn roll_back(&mut self, earlier: TrackState) -> ApiResult<()> {
        self.truncate(earlier.offset()).await?;
        self.state = earlier;
        Ok(())
    }

    /// Drops what came after the last valid checkpoint.
    pub async fn drop_tail(&mut self) -> ApiResult<()> {
        self.roll_back(self.state.rewound()).await
    }

    async fn sync(&mut self) -> ApiResult<u64> {
        let offset = self.offset();
        if self.synced != offset {
            let file = self.file.clone();
            tokio::task::spawn_blocking(move || file.sync_data()).await??;
            self.synced = offset;
        }
        Ok(offset)
    }

    async fn write_at(&self, bytes: bytes::Bytes, offset: u64) -> ApiResult<()> {
        let file = self.file.clone();
        let written = tokio::task::spawn_blocking(move || file.write_all_at(&bytes, offset));
        Ok(written.await??)
    }

    async fn truncate(&mut self, length: u64) -> ApiResult<()> {
        let file = self.file.clone();
        tokio::task::spawn_blocking(move || {
            file.set_len(length)?;
            file.sync_data()
        })
        .await??;
        self.synced = length;
        Ok(())
    }
}

/// Opens or makes the file and feeds all of it to the verifier; a tail that breaks the chain is cut off.
fn verify_file(
    path: &Path,
    mut state: TrackState,
) -> std::io::Result<(std::fs::File, TrackState, Option<TrackError>)> {
    let mut file = crate::private::options()
        .read(true)
        .create(true)
        .truncate(false)
        .open(path)?;
    let mut buffer = vec![0; VERIFY_BUFFER_BYTES];
    let mut refused = None;
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            break;
        }
        if let Err(error) = state.feed(&buffer[..read], |_| {}) {
            refused = Some(error);
            state = state.rewound();
            file.set_len(state.offset())?;
            break;
        }
    }
    // After a crash the kernel may hold what the disk does not: what is reported from here on must be there.
    file.sync_data()?;
    Ok((file, state, refused))
}

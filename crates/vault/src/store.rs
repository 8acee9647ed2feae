//! Where finished tracks rest: any `object_store`, a folder on the local disk by default.
//!
//! Invariant: when [`Store::keep`] has returned, the track is durable: file and directory entry synced on a local
//! disk, acknowledged by the service otherwise. An object appears whole or not at all.

use crate::error::{ApiError, ApiResult};
use crate::private;
use anyhow::Context as _;
use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{StreamExt as _, TryStreamExt as _};
use object_store::local::LocalFileSystem;
use object_store::path::Path as ObjectPath;
use object_store::{GetOptions, GetRange, ObjectStore, ObjectStoreExt as _, WriteMultipart};
use sealed_visit_protocol::{RecordingId, TrackId};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use url::Url;

const COPY_BUFFER_BYTES: usize = 1 << 20;
/// S3 takes no smaller ones, and at most 10,000 of them: enough for tracks of 80 GB.
const UPLOAD_PART_BYTES: usize = 8 << 20;
const CONCURRENT_UPLOAD_PARTS: usize = 4;

/// Finished tracks.
#[derive(Debug, Clone)]
pub struct Store {
    objects: Arc<dyn ObjectStore>,
    prefix: ObjectPath,
    /// Set when objects are local files: a track is then linked into place instead of copied.
    local: Option<Arc<LocalFileSystem>>,
}

impl Store {
    /// `url` as in the configuration; `None` is the folder `tracks` in `data`.
    pub fn open(url: Option<&Url>, data: &Path) -> anyhow::Result<Self> {
        match url {
            None => {
                let tracks = data.join("tracks");
                private::folder(&tracks)?;
                Self::folder(&tracks)
            }
            Some(url) if url.scheme() == "file" => {
                let path = url
                    .to_file_path()
                    .map_err(|()| anyhow::anyhow!("{url} is not a path on this machine"))?;
                Self::folder(&path)
            }
            // A store that forgets cannot give receipts.
            Some(url) if url.scheme() == "memory" => anyhow::bail!("{url} keeps nothing"),
            Some(url) => {
                let options =
                    std::env::vars().map(|(key, value)| (key.to_ascii_lowercase(), value));
                let (objects, prefix) = object_store::parse_url_opts(url, options)
                    .with_context(|| format!("cannot use {url} as store"))?;
                Ok(Self {
                    objects: Arc::from(objects),
                    prefix,
                    local: None,
                })
            }
        }
    }

    fn folder(path: &Path) -> anyhow::Result<Self> {
        // One that the clinic made for the store keeps the mode that the clinic gave it.
        if !path.try_exists()? {
            private::folder(path)?;
        }
        let local = Arc::new(LocalFileSystem::new_with_prefix(path)?.with_fsync(true));
        Ok(Self {
            objects: local.clone(),
            prefix: ObjectPath::default(),
            local: Some(local),
        })
    }

    /// Keeps the file at `staged`, synced and of exactly `length` bytes, as this track. Replaces an earlier, shorter
    /// state of it. The staged file stays; the caller removes it once the rows say that the track is kept.
    pub async fn keep(&self, key: &TrackKey, staged: &Path, length: u64) -> ApiResult<()> {
        if let Some(local) = &self.local {
            let target = local.path_to_filesystem(&self.path(key))?;
            if link_into_place(staged.to_owned(), target).await? {
                return Ok(());
            }
        }
        self.copy_in(key, staged, length).await
    }

    /// Writes the first `length` bytes of the kept track into a new file at `to`, synced.
    pub async fn restore(&self, key: &TrackKey, length: u64, to: &Path) -> ApiResult<()> {
        let partial = to.with_extension("partial");
        let mut file: tokio::fs::OpenOptions = private::options().into();
        let mut file = file.create(true).truncate(true).open(&partial).await?;
        let mut bytes = self.read(key, 0..length).await?;
        while let Some(piece) = bytes.try_next().await? {
            file.write_all(&piece).await?;
        }
        file.flush().await?;
        file.sync_all().await?;
        tokio::fs::rename(&partial, to).await?;
        sync_parent(to.to_owned()).await?;
        Ok(())
    }

    /// The bytes of a kept track in a range.
    pub async fn read(
        &self,
        key: &TrackKey,
        range: Range<u64>,
    ) -> ApiResult<BoxStream<'static, Result<Bytes, object_store::Error>>> {
        if range.is_empty() {
            return Ok(futures::stream::empty().boxed());
        }
        let options = GetOptions {
            range: Some(GetRange::Bounded(range)),
            ..GetOptions::default()
        };
        let got = self.objects.get_opts(&self.path(key), options).await?;
        Ok(got.into_stream())
    }

    /// Deletes a kept track, durably; one that is not there counts as deleted.
    pub async fn delete(&self, key: &TrackKey) -> ApiResult<()> {
        let path = self.path(key);
        match self.objects.delete(&path).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        if let Some(local) = &self.local {
            let target = local.path_to_filesystem(&path)?;
            remove_if_there(&target.with_extension("linking"))?;
            if target.parent().is_some_and(Path::exists) {
                sync_parent(target).await?;
            }
        }
        Ok(())
    }

    /// Deletes what a crash may have left beside a recording's tracks: half-written copies in a local folder. In a bucket
    /// those are uploads that were never completed, which its lifecycle rules end.
    pub async fn delete_rest(&self, recording: RecordingId) -> ApiResult<()> {
        let Some(local) = &self.local else {
            return Ok(());
        };
        let parts = self.prefix.parts().chain([recording.to_string().into()]);
        let folder = local.path_to_filesystem(&ObjectPath::from_iter(parts))?;
        match tokio::fs::remove_dir_all(&folder).await {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
            _ => sync_parent(folder).await,
        }
    }

    async fn copy_in(&self, key: &TrackKey, staged: &Path, length: u64) -> ApiResult<()> {
        let mut file = tokio::fs::File::open(staged).await?.take(length);
        let upload = self.objects.put_multipart(&self.path(key)).await?;
        let mut writer = WriteMultipart::new_with_chunk_size(upload, UPLOAD_PART_BYTES);
        let mut buffer = vec![0; COPY_BUFFER_BYTES];
        let mut copied = 0;
        loop {
            let read = file.read(&mut buffer).await?;
            if read == 0 {
                break;
            }
            copied += read as u64;
            writer.wait_for_capacity(CONCURRENT_UPLOAD_PARTS).await?;
            writer.write(&buffer[..read]);
        }
        if copied != length {
            writer.abort().await?;
            return Err(ApiError::internal(format!(
                "a staged track has {copied} bytes, not {length}"
            )));
        }
        writer.finish().await?;
        Ok(())
    }

    fn path(&self, key: &TrackKey) -> ObjectPath {
        let parts = self.prefix.parts().chain([
            key.recording.to_string().into(),
            key.part.to_string().into(),
            format!("{}.svtrack", key.track).into(),
        ]);
        ObjectPath::from_iter(parts)
    }
}

/// Which track an object is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TrackKey {
    pub recording: RecordingId,
    pub part: u32,
    pub track: TrackId,
}

/// Hard-links `staged` to `target`; false where the file system cannot.
async fn link_into_place(staged: PathBuf, target: PathBuf) -> ApiResult<bool> {
    let linked = tokio::task::spawn_blocking(move || -> std::io::Result<bool> {
        let folder = target.parent().unwrap_or(Path::new("."));
        std::fs::create_dir_all(folder)?;
        let beside = target.with_extension("linking");
        remove_if_there(&beside)?;
        match std::fs::hard_link(&staged, &beside) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::StorageFull => return Err(error),
            Err(_) => return Ok(false),
        }
        std::fs::rename(&beside, &target)?;
        // When both names were links to one file already, rename leaves them as they are.
        remove_if_there(&beside)?;
        // The folder, and the ones above that may be new.
        for above in folder.ancestors().take(3) {
            std::fs::File::open(above)?.sync_all()?;
        }
        Ok(true)
    });
    Ok(linked.await??)
}

pub fn remove_if_there(path: &Path) -> std::io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Makes a new or renamed directory entry durable.
pub async fn sync_parent(path: PathBuf) -> ApiResult<()> {
    let synced = tokio::task::spawn_blocking(move || -> std::io::Result<()> {
        std::fs::File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
    });
    Ok(synced.await??)
}

#[cfg(test)]
mod tests {
    use super::*;
    use object_store::memory::InMemory;

    const KEY: TrackKey = TrackKey {
        recording: RecordingId::from_bytes([1; 16]),
        part: 3,
        track: TrackId::from_bytes([2; 16]),
    };

    /// A store that is no local folder, as S3 is none.
    fn remote() -> Store {
        Store {
            objects: Arc::new(InMemory::new()),
            prefix: ObjectPath::from("some/prefix"),
            local: None,
        }
    }

    async fn bytes(store: &Store, range: Range<u64>) -> Vec<u8> {
        let pieces: Vec<Bytes> = store
            .read(&KEY, range)
            .await
            .unwrap()
            .try_collect()
            .await
            .unwrap();
        pieces.concat()
    }

    #[tokio::test]
    async fn keeps_reads_and_restores_in_any_store_at_every_size() {
        let part = UPLOAD_PART_BYTES;
        for size in [
            1,
            1000,
            COPY_BUFFER_BYTES,
            part - 1,
            part,
            part + 1,
            3 * part + 5,
        ] {
            let folder = tempfile::tempdir().unwrap();
            let staged = folder.path().join("staged");
            let track: Vec<u8> = (0..size).map(|at| (at * 31 / 7) as u8).collect();
            std::fs::write(&staged, &track).unwrap();
            let local = Store::open(None, folder.path()).unwrap();
            for store in [remote(), local] {
                let length = size as u64;
                store.keep(&KEY, &staged, length).await.unwrap();
                assert!(bytes(&store, 0..length).await == track, "{size}");
                let middle = length / 3..length - length / 3;
                let expected = &track[middle.start as usize..middle.end as usize];
                assert!(bytes(&store, middle).await == expected, "{size}");
                assert!(bytes(&store, 0..0).await.is_empty());
                let restored = folder.path().join("restored");
                store.restore(&KEY, length, &restored).await.unwrap();
                assert!(std::fs::read(&restored).unwrap() == track, "{size}");
            }
        }
    }

    #[tokio::test]
    async fn keeping_again_replaces_and_is_harmless_when_nothing_changed() {
        let folder = tempfile::tempdir().unwrap();
        let staged = folder.path().join("staged");
        let local = Store::open(None, folder.path()).unwrap();
        for store in [remote(), local] {
            std::fs::write(&staged, b"first").unwrap();
            store.keep(&KEY, &staged, 5).await.unwrap();
            store.keep(&KEY, &staged, 5).await.unwrap();
            // Another file with more, as after going on with an unfinished part.
            std::fs::remove_file(&staged).unwrap();
            std::fs::write(&staged, b"first and second").unwrap();
            store.keep(&KEY, &staged, 16).await.unwrap();
            assert_eq!(bytes(&store, 0..16).await, b"first and second");
            std::fs::remove_file(&staged).unwrap();
        }
    }

    #[tokio::test]
    async fn a_deleted_track_is_gone_and_deleting_it_again_is_no_error() {
        let folder = tempfile::tempdir().unwrap();
        let staged = folder.path().join("staged");
        std::fs::write(&staged, b"bytes").unwrap();
        let local = Store::open(None, folder.path()).unwrap();
        for store in [remote(), local] {
            store.delete(&KEY).await.unwrap();
            store.keep(&KEY, &staged, 5).await.unwrap();
            for _ in 0..2 {
                store.delete(&KEY).await.unwrap();
                assert!(store.read(&KEY, 0..5).await.is_err());
                store.delete_rest(KEY.recording).await.unwrap();
            }
        }
    }

    #[tokio::test]
    async fn a_file_that_is_shorter_than_said_is_not_kept() {
        let folder = tempfile::tempdir().unwrap();
        let staged = folder.path().join("staged");
        std::fs::write(&staged, b"short").unwrap();
        let store = remote();
        assert!(store.keep(&KEY, &staged, 6).await.is_err());
        assert!(store.read(&KEY, 0..5).await.is_err());
    }

    #[test]
    fn a_store_that_forgets_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let url = Url::parse("memory:///").unwrap();
        assert!(Store::open(Some(&url), folder.path()).is_err());
    }
}

//! Writing: a file has its name once it is whole, and not before.
//!
//! Content goes to `<name>.<8 hex digits>.partial` in the same folder, is synced, and is then linked or renamed into
//! place; the folder is synced too. Whatever keeps a run from finishing (an error, a signal) removes the partial files,
//! which may be plaintext of a health record. Only a killed process or a power cut can leave one; [`sweep`] removes it.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::Context as _;

use crate::exit::{Exit, Failure};
use crate::text::shown;

const ENDING: &str = ".partial";
const RANDOM_BYTES: usize = 4;
const WRITTEN_AT_ONCE_BYTES: usize = 256 << 10;

/// What this run has on the disk.
struct Ledger {
    partial: Vec<PathBuf>,
    /// Whole, under their names.
    placed: Vec<PathBuf>,
}

static LEDGER: Mutex<Ledger> = Mutex::new(Ledger {
    partial: Vec::new(),
    placed: Vec::new(),
});

fn ledger() -> MutexGuard<'static, Ledger> {
    LEDGER.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A file that is being written.
pub struct PartialFile {
    writer: BufWriter<File>,
    path: PathBuf,
    target: PathBuf,
    replace: bool,
}

impl PartialFile {
    /// Begins a file with these permissions, where the system has them.
    pub fn create(target: &Path, mode: u32, replace: bool) -> anyhow::Result<Self> {
        if !replace && target.symlink_metadata().is_ok() {
            return Err(exists(target).into());
        }
        let mut random = [0; RANDOM_BYTES];
        getrandom::fill(&mut random).context("the system gives no randomness")?;
        let mut path = target.as_os_str().to_owned();
        path.push(format!(".{:08x}{ENDING}", u32::from_be_bytes(random)));
        let path = PathBuf::from(path);
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, mode);
        #[cfg(not(unix))]
        let _ = mode;
        // Held until the file is listed, so that a signal never misses one.
        let mut ledger = ledger();
        let file = options
            .open(&path)
            .with_context(|| format!("cannot write {}", shown(target.display())))?;
        // Where locks exist, it tells `sweep` that somebody is still writing.
        let _ = file.try_lock();
        ledger.partial.push(path.clone());
        drop(ledger);
        Ok(Self {
            writer: BufWriter::with_capacity(WRITTEN_AT_ONCE_BYTES, file),
            path,
            target: target.to_owned(),
            replace,
        })
    }

    /// A whole file with this content, not yet in place.
    pub fn with(target: &Path, mode: u32, replace: bool, bytes: &[u8]) -> anyhow::Result<Self> {
        let mut file = Self::create(target, mode, replace)?;
        file.write_all(bytes)
            .and_then(|()| file.sync())
            .map_err(|error| file.failed(error))?;
        Ok(file)
    }

    /// Names the file in an error.
    pub fn failed(&self, error: io::Error) -> anyhow::Error {
        let next = "Nothing of it was kept. Free some space or choose another folder, then run the same command again.";
        let failure = Failure::new(
            Exit::Failed,
            format!("cannot write {}", shown(self.target.display())),
        )
        .next(next);
        anyhow::Error::new(error).context(failure)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.writer.flush()?;
        self.writer.get_ref().sync_all()
    }

    fn place(&self) -> anyhow::Result<()> {
        let placed = if self.replace {
            std::fs::rename(&self.path, &self.target)
        } else {
            // A link never replaces anything.
            match std::fs::hard_link(&self.path, &self.target) {
                Ok(()) => std::fs::remove_file(&self.path),
                Err(_) if self.target.symlink_metadata().is_ok() => {
                    return Err(exists(&self.target).into());
                }
                // File systems without links.
                Err(_) => std::fs::rename(&self.path, &self.target),
            }
        };
        placed.map_err(|error| self.failed(error))
    }
}

impl Write for PartialFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.writer.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

impl Seek for PartialFile {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.writer.seek(to)
    }
}

impl Drop for PartialFile {
    fn drop(&mut self) {
        let mut ledger = ledger();
        if let Some(index) = ledger.partial.iter().position(|path| *path == self.path) {
            ledger.partial.swap_remove(index);
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Puts all files in place, in this order. When one cannot be, those before it that are new are removed again.
pub fn place_all(mut files: Vec<PartialFile>) -> anyhow::Result<()> {
    for file in &mut files {
        file.sync().map_err(|error| file.failed(error))?;
    }
    // A signal waits until all are in place.
    let mut ledger = ledger();
    for (index, file) in files.iter().enumerate() {
        if let Err(error) = file.place() {
            for earlier in files[..index].iter().filter(|earlier| !earlier.replace) {
                let _ = std::fs::remove_file(&earlier.target);
            }
            ledger.placed.clear();
            drop(ledger);
            return Err(error);
        }
        ledger.partial.retain(|path| *path != file.path);
        ledger.placed.push(file.target.clone());
    }
    let mut folders: Vec<&Path> = files
        .iter()
        .filter_map(|file| folder_of(&file.target))
        .collect();
    folders.dedup();
    for folder in folders {
        sync_folder(folder).with_context(|| format!("cannot sync {}", shown(folder.display())))?;
    }
    Ok(())
}

/// Makes a folder for its owner's eyes, with those above it.
pub fn create_folder(path: &Path, mode: u32) -> anyhow::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, mode);
    #[cfg(not(unix))]
    let _ = mode;
    builder
        .create(path)
        .with_context(|| format!("cannot make the folder {}", shown(path.display())))
}

/// Removes partial files that a killed run left in `folder`, and names them. One that is still being written stays.
pub fn sweep(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let left = entries.map(|entry| entry.path()).filter(|path| {
        is_partial(path)
            && path
                .symlink_metadata()
                .is_ok_and(|metadata| metadata.is_file())
            && crate::files::open(path).is_ok_and(|file| file.try_lock().is_ok())
            && std::fs::remove_file(path).is_ok()
    });
    left.collect()
}

/// Stops all writing, for good, and removes the partial files: the process is about to end. Gives what is in place.
pub fn abandon() -> Vec<PathBuf> {
    let mut ledger = ledger();
    for path in ledger.partial.drain(..) {
        let _ = std::fs::remove_file(path);
    }
    let placed = ledger.placed.clone();
    // Nothing can be created or put into place any more.
    std::mem::forget(ledger);
    placed
}

fn is_partial(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.strip_suffix(ENDING)
        .and_then(|name| name.rsplit_once('.'))
        .is_some_and(|(_, random)| {
            random.len() == 2 * RANDOM_BYTES && random.bytes().all(|byte| byte.is_ascii_hexdigit())
        })
}

fn exists(path: &Path) -> Failure {
    Failure::new(
        Exit::Refused,
        format!(
            "{} exists already and is not replaced",
            shown(path.display())
        ),
    )
}

fn folder_of(path: &Path) -> Option<&Path> {
    path.parent()
        .map(|folder| match folder.as_os_str().is_empty() {
            true => Path::new("."),
            false => folder,
        })
}

/// Makes names durable, where folders can be opened.
fn sync_folder(folder: &Path) -> io::Result<()> {
    #[cfg(unix)]
    match File::open(folder)?.sync_all() {
        // Some network file systems cannot.
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported
            ) => {}
        synced => synced?,
    }
    #[cfg(not(unix))]
    let _ = folder;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const FOLDER: &str = "PARTIAL_TEST_FOLDER";

    /// In a process of its own, since nothing can be written after it.
    #[test]
    fn what_is_abandoned_leaves_neither_plaintext_nor_a_name() {
        let folder = tempfile::tempdir().unwrap();
        let kept = folder.path().join("kept");
        std::fs::write(&kept, "older").unwrap();
        let status = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "partial::tests::abandoning_process", "--ignored"])
            .env(FOLDER, folder.path())
            .status()
            .unwrap();
        assert_eq!(status.code(), Some(42));
        let left: Vec<_> = std::fs::read_dir(&folder).unwrap().flatten().collect();
        assert_eq!(left.len(), 1, "{left:?}");
        assert_eq!(std::fs::read(kept).unwrap(), b"older");
    }

    #[test]
    #[ignore = "the other half of the test above, which starts it"]
    fn abandoning_process() {
        let Some(folder) = std::env::var_os(FOLDER).map(PathBuf::from) else {
            return;
        };
        let mut new = PartialFile::create(&folder.join("new"), 0o600, false).unwrap();
        new.write_all(b"plaintext").unwrap();
        new.flush().unwrap();
        let kept = PartialFile::with(&folder.join("kept"), 0o600, true, b"newer").unwrap();
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 3);
        abandon();
        // The run's own thread goes on until the process ends, and must get nowhere.
        std::thread::spawn(move || place_all(vec![new, kept]));
        std::thread::sleep(std::time::Duration::from_millis(50));
        std::process::exit(42);
    }
}

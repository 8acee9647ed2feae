//! Files and folders that only the vault's own user can read.
//!
//! Folders are made with mode 0700, files with 0600, and what an earlier version left open is closed at the start.
//! A secret that others can read is refused: it may have been read already.

use anyhow::{Context as _, bail};
use std::fs::{File, OpenOptions, Permissions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

const FOLDER_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;

/// Makes a folder that nobody else can enter, and its missing parents; closes one that is there.
pub fn folder(path: &Path) -> anyhow::Result<()> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(FOLDER_MODE)
        .create(path)
        .with_context(|| format!("cannot make the folder {}", path.display()))?;
    close(path, FOLDER_MODE)
}

/// Makes sure that a file exists and that nobody else can read it.
pub fn file(path: &Path) -> anyhow::Result<()> {
    options()
        .create(true)
        .truncate(false)
        .open(path)
        .with_context(|| format!("cannot open {}", path.display()))?;
    close(path, FILE_MODE)
}

/// Keeps another process off a data folder for as long as the file is open; the system lets go of it when the process ends,
/// however it ends.
pub fn lock(folder: &Path) -> anyhow::Result<File> {
    let path = folder.join("vault.lock");
    file(&path)?;
    let lock = options()
        .open(&path)
        .with_context(|| format!("cannot open {}", path.display()))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => bail!(
            "another vault is using the data folder {}: stop it first, or give this one a folder of its own",
            folder.display()
        ),
        Err(TryLockError::Error(error)) => {
            Err(error).with_context(|| format!("cannot lock {}", path.display()))
        }
    }
}

/// A new file; an existing one is an error.
pub fn create_new(path: &Path) -> io::Result<File> {
    options().create_new(true).open(path)
}

/// Options for writing to a file that gets mode 0600 if it is made.
pub fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).mode(FILE_MODE);
    options
}

/// Reads a secret as text. Refuses a file that its group or others can read or write.
pub fn read_secret(path: &Path, what: &str) -> anyhow::Result<String> {
    let metadata = std::fs::metadata(path)
        .with_context(|| format!("cannot read the {what} {}", path.display()))?;
    if metadata.permissions().mode() & 0o077 != 0 {
        bail!(
            "other users can read the {what} {}: run chmod 600, and replace the secret if they may have read it",
            path.display()
        );
    }
    std::fs::read_to_string(path)
        .with_context(|| format!("cannot read the {what} {}", path.display()))
}

fn close(path: &Path, mode: u32) -> anyhow::Result<()> {
    let open = std::fs::metadata(path)?.permissions().mode() & 0o077;
    if open == 0 {
        return Ok(());
    }
    std::fs::set_permissions(path, Permissions::from_mode(mode))
        .with_context(|| format!("cannot keep others from reading {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn closes_what_others_could_read() {
        let temp = tempfile::tempdir().unwrap();
        let (outer, inner) = (temp.path().join("a"), temp.path().join("a/b"));
        folder(&inner).unwrap();
        assert_eq!((mode(&outer), mode(&inner)), (0o700, 0o700));
        let database = inner.join("database");
        std::fs::write(&database, "rows").unwrap();
        std::fs::set_permissions(&database, Permissions::from_mode(0o644)).unwrap();
        std::fs::set_permissions(&inner, Permissions::from_mode(0o755)).unwrap();
        folder(&inner).unwrap();
        file(&database).unwrap();
        assert_eq!((mode(&inner), mode(&database)), (0o700, 0o600));
        assert_eq!(std::fs::read(&database).unwrap(), b"rows");
    }

    #[test]
    fn refuses_a_secret_that_others_can_read() {
        let temp = tempfile::tempdir().unwrap();
        let secret = temp.path().join("secret");
        std::fs::write(&secret, "hush").unwrap();
        for (mode, taken) in [(0o600, true), (0o400, true), (0o640, false), (0o604, false)] {
            std::fs::set_permissions(&secret, Permissions::from_mode(mode)).unwrap();
            assert_eq!(read_secret(&secret, "key file").is_ok(), taken, "{mode:o}");
        }
    }
}

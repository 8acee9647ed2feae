//! Files that only their owner may read, made so that a crash leaves either the whole file or none.

use anyhow::{Context as _, bail};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// The content of a file with a secret; refused when others on this machine can read it.
pub fn read_secret(path: &Path) -> anyhow::Result<String> {
    let text = fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = fs::metadata(path)?.permissions().mode();
        if mode & 0o007 != 0 {
            bail!(
                "{} can be read by everyone on this machine (mode {:03o}); run: chmod 600 {}",
                path.display(),
                mode & 0o777,
                path.display()
            );
        }
    }
    Ok(text)
}

/// Writes a new file for its owner alone. An existing one is not overwritten.
pub fn create_secret(path: &Path, text: &str) -> anyhow::Result<()> {
    let beside = sibling(path, ".new");
    let write = || {
        // What a crash left behind was never in use.
        let _ = fs::remove_file(&beside);
        let mut file = private().write(true).create_new(true).open(&beside)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        // Unlike a rename, a link fails when the name is taken.
        fs::hard_link(&beside, path)?;
        fs::remove_file(&beside)?;
        sync_folder(path)
    };
    write().with_context(|| format!("making {}", path.display()))
}

/// Makes an empty file for its owner alone where there is none, and takes an existing one away from everybody else.
pub(crate) fn ensure_private(path: &Path) -> anyhow::Result<()> {
    let made = private().write(true).create_new(true).open(path);
    match made {
        Ok(_) => sync_folder(path).with_context(|| format!("making {}", path.display())),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => make_private(path),
        Err(error) => Err(error).with_context(|| format!("making {}", path.display())),
    }
}

/// Takes a file away from everybody but its owner; one that is not there needs nothing.
pub(crate) fn make_private(path: &Path) -> anyhow::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let metadata = match fs::metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            found => found.with_context(|| format!("looking at {}", path.display()))?,
        };
        if metadata.permissions().mode() & 0o077 != 0 {
            fs::set_permissions(path, fs::Permissions::from_mode(0o600))
                .with_context(|| format!("taking {} away from others", path.display()))?;
            tracing::warn!(file = %path.display(), "could be read by others; now by its owner only");
        }
    }
    #[cfg(not(unix))]
    let _ = path;
    Ok(())
}

pub(crate) fn read_if_there(path: &Path) -> anyhow::Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        read => Ok(Some(
            read.with_context(|| format!("reading {}", path.display()))?,
        )),
    }
}

pub(crate) fn rename(from: &Path, to: &Path) -> anyhow::Result<()> {
    fs::rename(from, to)
        .and_then(|()| sync_folder(to))
        .with_context(|| format!("renaming {} to {}", from.display(), to.display()))
}

/// The same name with something after it.
pub(crate) fn sibling(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(suffix);
    path.with_file_name(name)
}

/// A file's name is durable once its folder is.
pub(crate) fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    if cfg!(unix) {
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}

fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_secret_is_its_owners_and_is_never_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        fs::write(folder.path().join("key.new"), "left by a crash").unwrap();
        create_secret(&path, "one").unwrap();
        assert_eq!(mode(&path), 0o600);
        assert!(create_secret(&path, "two").is_err());
        assert_eq!(read_secret(&path).unwrap(), "one");
    }

    #[test]
    fn a_secret_that_everybody_can_read_is_refused_with_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        create_secret(&path, "one").unwrap();
        for (bits, refused) in [(0o644, true), (0o604, true), (0o640, false), (0o400, false)] {
            fs::set_permissions(&path, fs::Permissions::from_mode(bits)).unwrap();
            let read = read_secret(&path);
            assert_eq!(read.is_err(), refused, "{bits:o}");
            if let Err(error) = read {
                assert!(error.to_string().contains("chmod 600"), "{error}");
            }
        }
    }

    #[test]
    fn a_file_that_others_could_read_is_taken_away_from_them() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data");
        fs::write(&path, "kept").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
        ensure_private(&path).unwrap();
        assert_eq!(mode(&path), 0o600);
        assert_eq!(fs::read_to_string(&path).unwrap(), "kept");
        ensure_private(&folder.path().join("new")).unwrap();
        assert_eq!(mode(&folder.path().join("new")), 0o600);
    }
}

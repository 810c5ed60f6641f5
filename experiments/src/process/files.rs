//! Writing files that are either complete or not there, and knowing before long work that they can be written.

use std::fs::{self, OpenOptions};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use tempfile::NamedTempFile;

/// Who may read a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readers {
    /// Whom the umask lets.
    All,
    /// Its owner alone: mode 0600.
    Owner,
}

/// Writes a file through a temporary one beside it, which is then renamed. Makes the folder if need be. A link is
/// followed, and what is no regular file (a pipe, a device) is written as it is. The mode of a new file is what the
/// umask leaves of reading and writing for all.
///
/// # Errors
/// Whatever the system says, with the name of the file.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<()> {
    write_streaming(path, Readers::All, |out| Ok(out.write_all(bytes)?))
}

/// The same for what is written bit by bit. What is for its owner alone must be a regular file.
///
/// # Errors
/// Whatever the system or `write` says, with the name of the file.
pub fn write_streaming<T>(
    path: &Path,
    readers: Readers,
    write: impl FnOnce(&mut dyn Write) -> Result<T>,
) -> Result<T> {
    let failed = || format!("writing {}", path.display());
    let Some(target) = replaceable(path) else {
        if readers == Readers::Owner {
            bail!("{}: it is no regular file, and others could read it", failed());
        }
        let file = OpenOptions::new().write(true).open(path).with_context(failed)?;
        let mut out = BufWriter::new(file);
        let result = write(&mut out).with_context(failed)?;
        out.flush().with_context(failed)?;
        return Ok(result);
    };
    let mut out = BufWriter::new(temporary_beside(&target, readers).with_context(failed)?);
    let result = write(&mut out).with_context(failed)?;
    let file = out.into_inner().map_err(|e| e.into_error()).with_context(failed)?;
    file.as_file().sync_all().with_context(failed)?;
    file.persist(&target).with_context(failed)?;
    Ok(result)
}

/// Checks that [`write_atomically`] can write a file, and makes its folder: to be asked before long work, so that its
/// result is not lost at the end. What is there is left as it is.
///
/// # Errors
/// Whatever the system says, with the name of the file.
pub fn check_writable(path: &Path) -> Result<()> {
    let failed = || format!("{} cannot be written; name another file", path.display());
    if path.is_dir() {
        bail!("{}: it is a folder", failed());
    }
    match replaceable(path) {
        Some(target) => temporary_beside(&target, Readers::All).map(drop).with_context(failed),
        // To open a pipe would wait for its reader.
        None => Ok(()),
    }
}

/// Checks that lines can be added to a file, and makes it if it is not there.
///
/// # Errors
/// Whatever the system says, with the name of the file.
pub fn check_appendable(path: &Path) -> Result<()> {
    let open = OpenOptions::new().create(true).append(true).open(path);
    open.map(drop)
        .with_context(|| format!("{} cannot be written; name another file", path.display()))
}

/// Ends a file that does not belong to what is written next. A link to a file stays, and leads to an empty one; what is no regular
/// file is left alone.
///
/// # Errors
/// Whatever the system says, with the name of the file.
pub fn remove_old(path: &Path) -> Result<()> {
    let failed = || format!("replacing {}", path.display());
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_file() => fs::remove_file(path).with_context(failed),
        Ok(found) if found.is_symlink() && path.is_file() => {
            fs::File::create(path).map(drop).with_context(failed)
        }
        _ => Ok(()),
    }
}

/// The file that a rename may replace: the one a link leads to. None for what is no regular file.
fn replaceable(path: &Path) -> Option<PathBuf> {
    match fs::metadata(path) {
        Ok(found) if found.is_file() || found.is_dir() => {
            Some(fs::canonicalize(path).unwrap_or_else(|_| path.to_owned()))
        }
        Ok(_) => None,
        Err(_) => Some(path.to_owned()),
    }
}

/// A temporary file in the folder of another, which is made if need be.
fn temporary_beside(path: &Path, readers: Readers) -> std::io::Result<NamedTempFile> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    fs::create_dir_all(folder)?;
    let mut builder = tempfile::Builder::new();
    // Without this, only its owner may read a temporary one.
    #[cfg(unix)]
    if readers == Readers::All {
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    }
    builder.tempfile_in(folder)
}

/// Counts bytes, and forgets them.
#[derive(Debug, Default)]
pub struct Counted {
    /// How many there were.
    pub bytes: u64,
}

impl Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.bytes += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn old_files_end_and_links_stay() {
        let folder = tempfile::tempdir().unwrap();
        let [file, link] = ["file", "link"].map(|name| folder.path().join(name));
        fs::write(&file, "old").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        remove_old(&link).unwrap();
        assert_eq!(fs::read(&file).unwrap(), b"");
        remove_old(&file).unwrap();
        assert!(!file.exists() && link.is_symlink());
        // Nothing to end: no file, a link to none, a folder.
        for path in [&file, &link, folder.path()] {
            remove_old(path).unwrap();
        }
        assert!(link.is_symlink() && folder.path().is_dir());
    }

    #[test]
    fn replaces_and_makes_folders() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/file.txt");
        write_atomically(&path, b"one").unwrap();
        write_atomically(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
        let error = write_atomically(&path.join("below-a-file"), b"x").unwrap_err();
        assert!(error.to_string().starts_with("writing "));
    }

    #[test]
    fn what_cannot_be_written_is_known_before() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file.txt");
        fs::write(&path, "kept").unwrap();
        check_writable(&path).unwrap();
        check_appendable(&path).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"kept");
        check_writable(&folder.path().join("new/file.txt")).unwrap();
        assert_eq!(fs::read_dir(folder.path().join("new")).unwrap().count(), 0);
        for bad in [folder.path(), &path.join("below-a-file")] {
            for error in [check_writable(bad).unwrap_err(), check_appendable(bad).unwrap_err()] {
                assert!(error.to_string().contains("name another file"), "{error}");
            }
        }
    }

    #[cfg(unix)]
    #[test]
    fn files_have_the_mode_of_any_new_file() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let mode = |name: &str| {
            fs::metadata(folder.path().join(name)).unwrap().permissions().mode() & 0o777
        };
        fs::write(folder.path().join("plain"), "x").unwrap();
        write_atomically(&folder.path().join("ours"), b"x").unwrap();
        assert_eq!(mode("ours"), mode("plain"));
    }

    #[cfg(unix)]
    #[test]
    fn links_are_followed() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("file"), folder.path().join("link"));
        fs::write(&file, "one").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        write_atomically(&link, b"two").unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read(&file).unwrap(), b"two");
    }
}

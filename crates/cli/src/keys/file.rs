//! Key files: only the owner reads them, and they are written whole or not at all.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use anypod_proto::seal::Ring;

use super::{fresh, given};
use crate::output;
use crate::real;
use crate::usage::Usage;

/// The longest key file, in bytes: a full ring with a comment on each key is far below.
const LONGEST: u64 = 64 * 1024;
/// Read and write for the owner.
const MODE: u32 = 0o600;
/// What others may do with a file.
const OTHERS: u32 = 0o077;
/// The comment that marks the second key as staged. A ring by itself cannot tell such a key from an older one.
const STAGED_MARK: &str = "# staged: opens, does not seal yet";

/// What the key behind the current one is, if there is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Second {
    /// A key that sealed before.
    Older,
    /// A key that is to seal next.
    Staged,
}

/// Reads a ring. Warns when others than the owner may read the file.
///
/// # Errors
///
/// A [`Usage`] when there is no such file, it cannot be read, or is no ring.
pub(crate) fn load(path: &Path) -> Result<Ring, Usage> {
    load_with_second(path).map(|(ring, _)| ring)
}

/// Like [`load`], and says whether the second key is staged.
///
/// # Errors
///
/// As [`load`].
pub(super) fn load_with_second(path: &Path) -> Result<(Ring, Second), Usage> {
    let name = path.display();
    let (text, mode) = read(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => {
            Usage::new(format!("there is no key file {name}: `anypod keys new --out {name}` makes one"))
        }
        _ => Usage::new(format!("cannot read the key file {name}: {error}")),
    })?;
    let ring = Ring::parse(&text).map_err(|error| Usage::new(format!("bad key file {name}: {error}")))?;
    if mode & OTHERS != 0 {
        output::warning(&format!(
            "others than the owner can use the key file {name} (mode {:o}): `chmod 600 {name}`",
            mode & 0o777
        ));
    }
    let second = match text.lines().any(|line| line.trim() == STAGED_MARK) {
        true => Second::Staged,
        false => Second::Older,
    };
    Ok((ring, second))
}

/// What [`load_with_second`] reads: one key per line, and the mark before the staged one.
fn text(ring: &Ring, second: Second) -> String {
    let keys = ring.to_text();
    match (second, keys.split_once('\n')) {
        (Second::Staged, Some((current, others))) => format!("{current}\n{STAGED_MARK}\n{others}"),
        (Second::Staged, None) | (Second::Older, _) => keys,
    }
}

fn read(path: &Path) -> io::Result<(String, u32)> {
    let file = File::open(path)?;
    let mode = file.metadata()?.mode();
    let mut text = String::new();
    file.take(LONGEST + 1).read_to_string(&mut text)?;
    if text.len() as u64 > LONGEST {
        let long = format!("it is longer than {LONGEST} bytes");
        return Err(io::Error::new(io::ErrorKind::InvalidData, long));
    }
    Ok((text, mode))
}

/// Writes a ring to a file that does not exist yet.
///
/// # Errors
///
/// A [`Usage`] when it exists; otherwise when it cannot be written.
pub(super) fn create(path: &Path, ring: &Ring) -> anyhow::Result<()> {
    let draft = Draft::write(path, ring, Second::Older)?;
    // A link, unlike a rename, never takes the place of a file.
    match fs::hard_link(&draft.0, path) {
        Ok(()) => sync_directory(path),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            Err(Usage::new(format!("{0} exists already: `anypod keys rotate {0}` adds a key to it", path.display()))
                .into())
        }
        Err(error) => Err(cannot_write(path, error)),
    }
}

/// Writes a ring in the place of an existing file; where `path` is a link, of the file it leads to.
///
/// # Errors
///
/// When it cannot be written; the old file is whole then.
pub(super) fn replace(path: &Path, ring: &Ring, second: Second) -> anyhow::Result<()> {
    let path = fs::canonicalize(path).map_err(|error| cannot_write(path, error))?;
    let draft = Draft::write(&path, ring, second)?;
    fs::rename(&draft.0, &path).map_err(|error| cannot_write(&path, error))?;
    sync_directory(&path)
}

/// A file beside the one it is to become. Removed when dropped, if it is still there.
struct Draft(PathBuf);

impl Draft {
    fn write(path: &Path, ring: &Ring, second: Second) -> anyhow::Result<Self> {
        let draft = Self(path.with_added_extension(format!("{}.draft", random_name()?)));
        write_new(&draft.0, &text(ring, second)).map_err(|error| cannot_write(path, error))?;
        Ok(draft)
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        // Renamed away when all went well.
        let _ = fs::remove_file(&self.0);
    }
}

/// The ring in the environment, or one of a fresh key, in a file that lives as long as this value. A process that is killed leaves it
/// behind; no later one uses it.
#[derive(Debug)]
pub(crate) struct Ephemeral(PathBuf);

impl Ephemeral {
    /// Writes the ring to the directory for temporary files.
    ///
    /// # Errors
    ///
    /// A [`Usage`] when what is in the environment is no ring; otherwise when the system gives no randomness or
    /// no file.
    pub(crate) fn generate() -> anyhow::Result<Self> {
        let name = format!("anypod-{}.keys", random_name()?);
        let file = Self(std::env::temp_dir().join(name));
        let ring = match given(None)? {
            Some(ring) => ring,
            None => fresh()?,
        };
        write_new(&file.0, &ring.to_text()).map_err(|error| cannot_write(&file.0, error))?;
        Ok(file)
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Ephemeral {
    fn drop(&mut self) {
        // Someone who has cleaned up before us has done no harm.
        let _ = fs::remove_file(&self.0);
    }
}

fn write_new(path: &Path, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(MODE).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

/// Makes a rename or link last through a power cut.
fn sync_directory(path: &Path) -> anyhow::Result<()> {
    let directory = match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    File::open(directory)
        .and_then(|directory| directory.sync_all())
        .with_context(|| format!("cannot sync {}", directory.display()))
}

fn random_name() -> anyhow::Result<String> {
    Ok(format!("{:016x}", u64::from_ne_bytes(real::random()?)))
}

fn cannot_write(path: &Path, error: io::Error) -> anyhow::Error {
    anyhow::Error::new(error).context(format!("cannot write {}", path.display()))
}

//! `anypod keys`: makes, rotates and names the key ring that the pods of a fleet share.

mod file;

use std::path::{Path, PathBuf};

use anypod_proto::seal::{KEY_LEN, MAX_KEYS, Ring};

use self::file::Second;
pub(crate) use self::file::{Ephemeral, load};
use crate::output;
use crate::real;
use crate::usage::Usage;

/// The subcommands of `anypod keys`.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum KeysCommand {
    /// Make a ring with one fresh key.
    New {
        /// Where to write it; must not exist yet. Printed unless given.
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Put a fresh key behind the current one: it opens, and does not seal yet.
    ///
    /// With several machines, do this first and `rotate --staged` when all of them have the file, so that no pod
    /// meets a key it does not know.
    Stage {
        /// The file to change.
        file: PathBuf,
    },
    /// Put a fresh key in front. The older ones still open what they sealed.
    Rotate {
        /// The file to change.
        file: PathBuf,
        /// Take the key that was staged in place of a fresh one.
        #[arg(long)]
        staged: bool,
        /// How many of the older keys to keep.
        #[arg(long, value_name = "N", default_value_t = 2, value_parser = older_keys)]
        keep: usize,
    },
    /// Name the keys by their fingerprints. The keys themselves are not shown.
    Show {
        /// The file to look at.
        file: PathBuf,
    },
}

/// Does what the subcommand says.
///
/// # Errors
///
/// A `Usage` when the file is not there, is no key file, or is there already; otherwise when the system fails us.
pub(crate) fn run(command: &KeysCommand) -> anyhow::Result<()> {
    match command {
        KeysCommand::New { out: None } => output::print(&fresh()?.to_text()),
        KeysCommand::New { out: Some(path) } => {
            let ring = fresh()?;
            file::create(path, &ring)?;
            show(path, &ring, Second::Older);
        }
        KeysCommand::Stage { file } => stage(file)?,
        KeysCommand::Rotate { file, staged: false, keep } => {
            let ring = load(file)?.rotate(real::random::<KEY_LEN>()?, *keep);
            file::replace(file, &ring, Second::Older)?;
            show(file, &ring, Second::Older);
        }
        KeysCommand::Rotate { file, staged: true, keep } => promote(file, *keep)?,
        KeysCommand::Show { file } => {
            let (ring, second) = file::load_with_second(file)?;
            show(file, &ring, second);
        }
    }
    Ok(())
}

fn stage(file: &Path) -> anyhow::Result<()> {
    let (ring, second) = file::load_with_second(file)?;
    if second == Second::Staged {
        let name = file.display();
        return Err(Usage::new(format!(
            "{name} has a staged key already: `anypod keys rotate --staged {name}` seals with it"
        ))
        .into());
    }
    let ring = ring.stage(real::random::<KEY_LEN>()?);
    file::replace(file, &ring, Second::Staged)?;
    show(file, &ring, Second::Staged);
    Ok(())
}

fn promote(file: &Path, keep: usize) -> anyhow::Result<()> {
    let (ring, second) = file::load_with_second(file)?;
    let staged = match second {
        Second::Staged => ring.promote(keep),
        // Without the mark it is a key from before, which must not seal again.
        Second::Older => None,
    };
    let name = file.display();
    let ring =
        staged.ok_or_else(|| Usage::new(format!("{name} has no staged key: `anypod keys stage {name}` adds one")))?;
    file::replace(file, &ring, Second::Older)?;
    show(file, &ring, Second::Older);
    Ok(())
}

/// The ring that a pod is given: in a file, or in the environment. None if neither is there.
///
/// # Errors
///
/// A [`Usage`] when what is there is no ring.
pub(crate) fn given(file: Option<&Path>) -> Result<Option<Ring>, Usage> {
    match (file, real::keys()) {
        (Some(path), _) => load(path).map(Some),
        (None, Some(text)) => {
            Ring::parse(&text).map(Some).map_err(|error| Usage::new(format!("bad keys in {}: {error}", real::KEYS)))
        }
        (None, None) => Ok(None),
    }
}

fn fresh() -> anyhow::Result<Ring> {
    Ok(Ring::generate(real::random::<KEY_LEN>()?))
}

fn show(path: &Path, ring: &Ring, second: Second) {
    let mut text = format!("{}\n", path.display());
    for (index, fingerprint) in ring.fingerprints().enumerate() {
        let role = match (index, second) {
            (0, _) => "seals and opens",
            (1, Second::Staged) => "opens, staged",
            _ => "opens",
        };
        text.push_str(&format!("{fingerprint}  {role}\n"));
    }
    output::print(&text);
}

fn older_keys(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(number) if number < MAX_KEYS => Ok(number),
        _ => Err(format!("write a number from 0 to {}", MAX_KEYS - 1)),
    }
}

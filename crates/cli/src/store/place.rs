//! Which store is meant, and opening it.

use std::convert::Infallible;
use std::fmt;
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;

use anypod_store::{OpenError, Options, Store};

use crate::real;
use crate::usage::Usage;

/// Which store is meant.
#[derive(Debug, clap::Args)]
pub(crate) struct PlaceArgs {
    /// The store: sqlite:PATH or postgres://USER@HOST/DATABASE. Without it, the one in ANYPOD_STORE.
    ///
    /// Others on this machine can see the command line: an address with a password belongs into ANYPOD_STORE.
    #[arg(long, value_name = "URL", global = true)]
    store: Option<Address>,
}

/// The address of a store, which may have a password in it.
#[derive(Clone)]
struct Address(String);

impl FromStr for Address {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Address(…)")
    }
}

impl PlaceArgs {
    /// Opens the store. A file that is not there is not made: a mistake in its name would look like an empty store.
    ///
    /// # Errors
    /// A [`Usage`] if no store is named, or what is named is none; otherwise if it cannot be reached.
    pub(crate) async fn open(&self) -> anyhow::Result<Arc<dyn Store>> {
        let named = self.store.clone().or_else(|| real::store().map(Address));
        let Some(Address(url)) = named else {
            let how = "sqlite:PATH or postgres://USER@HOST/DATABASE";
            return Err(
                Usage::new(format!("no store is named: write {how} after --store, or into {}", real::STORE)).into()
            );
        };
        if let Some(path) = url.strip_prefix("sqlite:").filter(|path| is_missing(path)) {
            return Err(Usage::new(format!("there is no store {path}: the first pod that opens it makes it")).into());
        }
        anypod_store::open(&url, Options::default(), real::now).await.map_err(refused)
    }
}

fn is_missing(path: &str) -> bool {
    !path.is_empty() && Path::new(path).try_exists().is_ok_and(|there| !there)
}

/// What is wrong with the address, or with what is there, is for the caller to put right.
fn refused(error: OpenError) -> anyhow::Error {
    match error {
        OpenError::Address { .. } | OpenError::Newer { .. } | OpenError::Unusable { .. } => {
            Usage::new(error.to_string()).into()
        }
        OpenError::Unreachable { .. } => error.into(),
    }
}

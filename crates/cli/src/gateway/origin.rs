//! Where a configuration comes from, each time that it is read.

use std::path::PathBuf;

use anypod_gateway::Config;
use anypod_gateway::config::{Address, Problem};
use anypod_proto::seal::Ring;

use super::RunArgs;
use crate::keys;
use crate::usage::Usage;

/// Where a configuration comes from.
#[derive(Debug, Clone)]
pub(super) struct Origin {
    from: From,
    /// Goes before what the file says.
    advertise: Option<String>,
}

#[derive(Debug, Clone)]
enum From {
    File(PathBuf),
    /// Boxed, because a path is much smaller.
    Flags(Box<Config>),
}

impl Origin {
    /// # Errors
    ///
    /// A [`Usage`] when neither pods nor a file are named.
    pub(super) fn of(args: RunArgs) -> Result<Self, Usage> {
        let RunArgs { config, upstream, port, host, key_file, allow_host, advertise } = args;
        let from = match config {
            Some(file) => From::File(file),
            None if upstream.is_empty() => {
                return Err(Usage::new(
                    "there is nothing to stand before: name pods with --upstream URL, or a file with --config FILE",
                ));
            }
            None => {
                let mut config = Config::of_upstreams(&upstream);
                let address = Address::Tcp { host: host.to_string(), port };
                config.listener.iter_mut().for_each(|listener| listener.address = address.to_string());
                config.fleet.key_file = key_file;
                config.route.iter_mut().for_each(|route| route.hosts.clone_from(&allow_host));
                From::Flags(Box::new(config))
            }
        };
        Ok(Self { from, advertise })
    }

    /// The files whose change is a reason to read again.
    pub(super) fn files(&self) -> Vec<PathBuf> {
        match &self.from {
            From::Flags(config) => config.files(),
            From::File(path) => Config::watched(path),
        }
    }

    /// What is to be in effect now.
    ///
    /// # Errors
    ///
    /// A `ConfigError` with everything that is wrong in the file, or a [`Usage`] with what is wrong in the flags or the
    /// key file.
    pub(super) fn read(&self) -> anyhow::Result<(Config, Option<Ring>)> {
        let config = match &self.from {
            From::File(path) => self.advertised(Config::read(path)?),
            From::Flags(config) => self.advertised(Config::clone(config)),
        };
        if let Err(error) = config.check() {
            let texts: Vec<_> = error.problems().iter().map(Problem::text).collect();
            return Err(Usage::new(texts.join("; ")).into());
        }
        let ring = keys::given(config.fleet.key_file.as_deref())?;
        Ok((config, ring))
    }

    fn advertised(&self, mut config: Config) -> Config {
        if self.advertise.is_some() {
            config.fleet.advertise.clone_from(&self.advertise);
        }
        config
    }

    /// How the person can see all that is wrong.
    pub(super) fn advice(&self) -> String {
        match &self.from {
            From::File(path) => format!("`anypod gateway check {}` shows all of it", path.display()),
            From::Flags(_) => "the flags and the key file say all of it".to_owned(),
        }
    }
}

//! The command line.

use anyhow::{Context as _, Result, bail};
use anypod_client::proto::version::Era;
use anypod_client::stdio::Command;
use anypod_client::{Client, ClientBuilder};

use crate::script::Script;

/// Where the server is.
enum Place {
    Url(String),
    Command(Vec<String>),
}

/// The command line, read.
pub(crate) struct Arguments {
    place: Place,
    era: Era,
    pinned: bool,
    script: String,
}

impl Arguments {
    pub(crate) fn parse(mut given: impl Iterator<Item = String>) -> Result<Self> {
        let (mut era, mut pinned, mut script) = (Era::Modern, false, "peer".to_owned());
        let place = loop {
            match given.next().context("a URL or a command is missing")?.as_str() {
                "--era" => era = read_era(&given.next().context("--era is modern or legacy")?)?,
                "--pin" => pinned = true,
                "--script" => script = given.next().context("--script is peer or everything")?,
                "--" => break Place::Command(given.collect()),
                flag if flag.starts_with('-') => bail!("unknown flag {flag}"),
                url => break Place::Url(url.to_owned()),
            }
        };
        Ok(Self { place, era, pinned, script })
    }

    pub(crate) const fn era(&self) -> Era {
        self.era
    }

    pub(crate) fn script(&self) -> Script {
        if self.script == "everything" { Script::everything() } else { Script::peer() }
    }

    pub(crate) fn connect(&self, builder: ClientBuilder) -> Result<Client> {
        let builder = if self.pinned { builder.era(self.era) } else { builder };
        match &self.place {
            Place::Url(url) => Ok(builder.connect(url)?),
            Place::Command(words) => {
                let (program, arguments) = words.split_first().context("a command is missing")?;
                Ok(builder.stdio(Command::new(program).args(arguments)))
            }
        }
    }
}

fn read_era(name: &str) -> Result<Era> {
    match name {
        "modern" => Ok(Era::Modern),
        "legacy" => Ok(Era::Legacy),
        other => bail!("{other} is no era"),
    }
}

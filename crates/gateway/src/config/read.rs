//! From a file to a [`Config`]: read within a bound, every mistake with its line.

use std::path::{Path, PathBuf};

use super::address::SOCKET;
use super::check::{self, Depth};
use super::document::Document;
use super::error::{ConfigError, Problem};
use super::{Config, files};

impl Config {
    /// Reads a file and checks it, and the files that it names.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, is longer than 1 MiB, or anything in it is wrong: everything that is, each with its
    /// line and what to write instead.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = files::text(path).map_err(|problem| Problem {
            origin: path.display().to_string(),
            place: None,
            text: problem,
        })?;
        read(&text, path, Depth::Files)
    }

    /// What the text of the file at `path` says. Paths in it that are relative are relative to that file; no file is
    /// looked at.
    ///
    /// # Errors
    ///
    /// As [`Config::read`].
    pub fn parse(text: &str, path: &Path) -> Result<Self, ConfigError> {
        read(text, path, Depth::Text)
    }

    /// The files whose change is a reason to read the configuration at `path` again: itself, and those that it names as far
    /// as can be told, also when it is refused for what is not in them yet.
    pub fn watched(path: &Path) -> Vec<PathBuf> {
        let text = files::text(path).unwrap_or_default();
        let named = Document::parse(&text, path).ok().and_then(|mut document| document.config().0).map(|mut config| {
            config.resolve(folder(path));
            config.files()
        });
        [path.to_owned()].into_iter().chain(named.into_iter().flatten()).collect()
    }

    /// Checks what types cannot say, and the files that are named.
    ///
    /// # Errors
    ///
    /// When anything is wrong: everything that is.
    pub fn check(&self) -> Result<(), ConfigError> {
        ConfigError::of(check::problems(self, None, Depth::Files))
    }

    /// Makes the paths absolute that are relative to `base`.
    fn resolve(&mut self, base: &Path) {
        files::for_each_path(self, |path| *path = base.join(&*path));
        let listeners = self.listener.iter_mut().map(|listener| &mut listener.address);
        let pods = self.upstream.iter_mut().flat_map(|upstream| upstream.pods.iter_mut());
        listeners.chain(pods).for_each(|text| resolve_socket(text, base));
        for program in self.upstream.iter_mut().filter_map(|upstream| upstream.command.first_mut()) {
            if program.contains('/') {
                *program = base.join(&*program).display().to_string();
            }
        }
    }
}

fn read(text: &str, path: &Path, depth: Depth) -> Result<Config, ConfigError> {
    let mut document = Document::parse(text, path)?;
    let (config, mut problems) = document.config();
    let Some(mut config) = config else {
        ConfigError::of(problems)?;
        unreachable!("what is not read has a problem");
    };
    config.resolve(folder(path));
    config.complete();
    problems.extend(check::problems(&config, Some(&document), depth));
    ConfigError::of(problems).map(|()| config)
}

fn folder(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new(""))
}

/// `unix:SOCKET` or `unix:SOCKET:/PATH`, with the socket beside the file.
fn resolve_socket(text: &mut String, base: &Path) {
    let Some(socket) = text.strip_prefix(SOCKET) else { return };
    let socket = PathBuf::from(socket.strip_prefix("//").unwrap_or(socket));
    // Joined, an empty one would become the folder.
    if socket.is_relative() && socket != Path::new("") {
        *text = format!("{SOCKET}{}", base.join(socket).display());
    }
}

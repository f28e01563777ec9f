//! The command that starts a pod: words with places for the port, the key file and the store.

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::Stdio;

use tokio::process::Command;

use crate::usage::Usage;

const PORT: &str = "{port}";
const KEY_FILE: &str = "{key-file}";
const STORE: &str = "{store}";

/// How to start a pod.
#[derive(Debug, Clone)]
pub(super) struct Template {
    program: OsString,
    arguments: Vec<String>,
}

impl Template {
    /// The pod of the demo server that comes with this program.
    pub(super) fn demo(program: OsString) -> Self {
        let arguments = ["demo", "--port", PORT, "--key-file", KEY_FILE, "--store", STORE, "--exit-with-parent"];
        Self { program, arguments: arguments.map(str::to_owned).to_vec() }
    }

    /// A command as a shell would split it. Nothing else that shells do is done.
    ///
    /// # Errors
    ///
    /// When it has no place for the port, no words, or a quote that does not end.
    pub(super) fn parse(text: &str) -> Result<Self, Usage> {
        let Ok(words) = shell_words::split(text) else {
            return Err(Usage::new(format!("--pod '{text}' has a quote that does not end")));
        };
        let Some((program, arguments)) = words.split_first() else {
            return Err(Usage::new("--pod is empty: give the command that starts one pod"));
        };
        if !arguments.iter().any(|word| word.contains(PORT)) {
            return Err(Usage::new(format!(
                "--pod '{text}' has no {PORT}: write {PORT} where the command takes the port to listen on"
            )));
        }
        Ok(Self { program: program.into(), arguments: arguments.to_vec() })
    }

    /// The program that is run.
    pub(super) fn program(&self) -> &OsStr {
        &self.program
    }

    /// Whether the command wants to know where the key ring is.
    pub(super) fn wants_keys(&self) -> bool {
        self.arguments.iter().any(|word| word.contains(KEY_FILE))
    }

    /// Whether the command wants to know where the store is.
    pub(super) fn wants_store(&self) -> bool {
        self.arguments.iter().any(|word| word.contains(STORE))
    }

    /// The command for a pod on that port. Its three standard streams are pipes; the pod is in a process
    /// group of its own, so that Ctrl-C at the terminal reaches it only by way of the supervisor.
    pub(super) fn command(&self, port: u16, key_file: Option<&Path>, store: Option<&str>) -> Command {
        let mut command = Command::new(&self.program);
        for word in &self.arguments {
            command.arg(fill(word, port, key_file, store));
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0).kill_on_drop(true);
        command
    }
}

/// A word with its places filled. A path need not be UTF-8.
fn fill(word: &str, port: u16, key_file: Option<&Path>, store: Option<&str>) -> OsString {
    let word = word.replace(PORT, &port.to_string()).replace(STORE, store.unwrap_or(STORE));
    let Some(key_file) = key_file else {
        return word.into();
    };
    let mut filled = OsString::new();
    for (index, part) in word.split(KEY_FILE).enumerate() {
        if index > 0 {
            filled.push(key_file);
        }
        filled.push(part);
    }
    filled
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(template: &str) -> Vec<OsString> {
        let template = Template::parse(template).unwrap();
        let command = template.command(4000, Some(Path::new("/run/a b")), Some("sqlite:/run/c d"));
        let command = command.as_std();
        let program = std::iter::once(command.get_program());
        program.chain(command.get_args()).map(OsStr::to_owned).collect()
    }

    #[test]
    fn splits_words_as_a_shell_does_and_fills_in_the_port() {
        let template = r#"serve --listen=127.0.0.1:{port} 'a  b' "c\"d" e\ f"#;
        assert_eq!(words(template), ["serve", "--listen=127.0.0.1:4000", "a  b", "c\"d", "e f"]);
    }

    #[test]
    fn keeps_a_key_file_with_a_space_in_one_word() {
        assert_eq!(words("serve {port} --keys={key-file}"), ["serve", "4000", "--keys=/run/a b"]);
    }

    #[test]
    fn says_where_the_store_is() {
        assert_eq!(words("serve {port} --store {store}"), ["serve", "4000", "--store", "sqlite:/run/c d"]);
    }

    #[test]
    fn refuses_a_command_without_a_place_for_the_port() {
        for text in ["serve", "", "  ", "serve 'a", "{port}"] {
            assert!(Template::parse(text).is_err(), "{text:?}");
        }
    }
}

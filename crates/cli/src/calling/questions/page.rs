//! A page that a server sends the person to: where it is, whether to go there, and opening it.

use std::process::{Command, Stdio};

use anypod_client::proto::elicitation::{ElicitAction, ElicitRequestUrlParams, ElicitResult};

use super::punycode;
use crate::output::{self, clean};

/// The question.
pub(super) const PROMPT: &str = "Open it? yes, print (you open it yourself), no, or cancel [no] > ";

/// What the person wants to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Visit {
    /// Go there now.
    Open,
    /// Go there by themselves.
    Themselves,
    /// Not go there.
    Decline,
    /// Not say.
    Cancel,
    /// Be asked again.
    Unclear,
}

/// A page that can be shown to the person.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Page {
    message: String,
    host: String,
    url: String,
    warnings: Vec<&'static str>,
}

impl Page {
    /// Looks at where a server wants to send the person.
    ///
    /// # Errors
    /// If it is no page of the web, or one cannot say on which host it is.
    pub(super) fn new(params: &ElicitRequestUrlParams) -> Result<Self, &'static str> {
        let url = &params.url;
        let (scheme, rest) = url.split_once("://").ok_or("that is no address of a page")?;
        let encrypted = match scheme.to_ascii_lowercase().as_str() {
            "https" => true,
            "http" => false,
            _ => return Err("only pages with https:// and http:// are opened"),
        };
        if url.chars().any(|char| char.is_whitespace() || char.is_control() || char == '\\') {
            return Err("the address has characters that no address has");
        }
        let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        let (user, place) = authority.rsplit_once('@').map_or((None, authority), |(user, place)| (Some(user), place));
        let (name, port) = match place.rsplit_once(':') {
            Some((name, port)) if !port.ends_with(']') => (name, format!(":{port}")),
            Some(_) | None => (place, String::new()),
        };
        let host = punycode::host(name).filter(|host| !host.is_empty()).ok_or("the address has no host")?;
        let mut warnings = Vec::new();
        if !encrypted {
            warnings.push("the page is not encrypted (http, not https): others on the network can read and change it");
        }
        if host.split('.').any(|label| label.starts_with("xn--")) {
            warnings.push("the name of the host is not written in Latin letters: it may look like another");
        }
        if user.is_some() {
            warnings.push("what stands before the @ in the address is not the host");
        }
        let user = user.map(|user| format!("{user}@")).unwrap_or_default();
        let url = format!("{}://{user}{host}{port}{path}", scheme.to_ascii_lowercase());
        Ok(Self { message: params.message.clone(), host, url, warnings })
    }

    /// What the person is told before they choose. The whole URL is in it.
    pub(super) fn introduction(&self) -> String {
        let mut out = format!("{}\n", output::emphasis("The server wants you to visit a page:"));
        out.push_str(&clean::quote(&self.message));
        out.push_str(&format!("  host: {}\n  URL:  {}\n", output::emphasis(&self.host), clean::line(&self.url)));
        out.extend(self.warnings.iter().map(|warning| format!("  warning: {warning}\n")));
        out
    }

    /// Opens it with what the desktop opens pages with. Where that fails the person still has the address.
    pub(super) fn open(&self) -> ElicitResult {
        let opener = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
        let null = Stdio::null;
        match Command::new(opener).arg(&self.url).stdin(null()).stdout(null()).stderr(null()).spawn() {
            Ok(child) => {
                // Reaped by a thread of its own: browsers may stay for as long as they like.
                std::thread::spawn(move || child.wait_with_output());
            }
            Err(error) => output::warning(&format!("{opener}: {error}; open {} yourself", self.url)),
        }
        accepted()
    }
}

/// The person agreed to go there.
pub(super) const fn accepted() -> ElicitResult {
    ElicitResult { action: ElicitAction::Accept, content: None }
}

/// What a line, or the end of the input, means.
pub(super) fn choose(line: Option<&str>) -> Visit {
    let Some(line) = line else { return Visit::Cancel };
    match line.trim().to_lowercase().as_str() {
        "y" | "yes" => Visit::Open,
        "p" | "print" => Visit::Themselves,
        "" | "n" | "no" | "!decline" => Visit::Decline,
        "c" | "cancel" | "!cancel" => Visit::Cancel,
        _ => Visit::Unclear,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(url: &str) -> Result<Page, &'static str> {
        Page::new(&ElicitRequestUrlParams::new("Sign in", url))
    }

    #[test]
    fn shows_the_host_that_a_browser_would_go_to() {
        let table = [
            ("https://pods.example/a?b#c", "pods.example", 0),
            ("http://pods.example:8080/", "pods.example", 1),
            ("https://[::1]:8080/", "[::1]", 0),
            ("HTTPS://PODS.example", "pods.example", 0),
            ("https://good.example@evil.example/", "evil.example", 1),
            ("https://good.example:x@evil.example?@good.example", "evil.example", 1),
            ("https://аpple.example/", "xn--pple-43d.example", 1),
            ("https://xn--pple-43d.example/", "xn--pple-43d.example", 1),
        ];
        for (url, host, warnings) in table {
            let page = page(url).unwrap();
            assert_eq!((page.host.as_str(), page.warnings.len()), (host, warnings), "{url}");
            assert!(page.introduction().contains(&page.url), "{url}");
        }
    }

    #[test]
    fn opens_nothing_but_pages() {
        let wrong = [
            "javascript:alert(1)",
            "file:///etc/passwd",
            "https://",
            "https:///a",
            "-x",
            "https://a\\@b/",
            "https://a b/",
            "https://a/\x1b[2J",
            "data:text/html,x",
            "ssh://a",
        ];
        for url in wrong {
            assert!(page(url).is_err(), "{url}");
        }
    }

    #[test]
    fn what_a_line_means() {
        let table = [
            (Some("yes"), Visit::Open),
            (Some("P"), Visit::Themselves),
            (Some(""), Visit::Decline),
            (Some("no"), Visit::Decline),
            (Some("cancel"), Visit::Cancel),
            (None, Visit::Cancel),
            (Some("what?"), Visit::Unclear),
        ];
        for (line, expected) in table {
            assert_eq!(choose(line), expected, "{line:?}");
        }
    }
}

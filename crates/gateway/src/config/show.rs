//! The configuration as it is in effect: defaults filled in, secrets masked.

use super::Config;
use super::error::{ConfigError, Problem};

/// What stands in the place of a secret.
const MASK: &str = "***";

impl Config {
    /// The configuration as TOML, with every default filled in. The values of headers and variables and the hashes of
    /// tokens are masked.
    ///
    /// # Errors
    ///
    /// When a number is greater than TOML can say, which [`Config::check`] would have found.
    pub fn show(&self) -> Result<String, ConfigError> {
        let mut shown = self.clone();
        shown.complete();
        for upstream in &mut shown.upstream {
            upstream.headers.values_mut().chain(upstream.environment.values_mut()).for_each(mask);
        }
        shown.route.iter_mut().flat_map(|route| &mut route.token).for_each(|token| mask(&mut token.sha256));
        toml::to_string_pretty(&shown)
            .map_err(|error| Problem { origin: String::new(), place: None, text: error.to_string() }.into())
    }
}

fn mask(secret: &mut String) {
    MASK.clone_into(secret);
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn what_is_shown_is_read_as_the_same_and_has_every_default() {
        let config = Config::of_upstreams(&["http://127.0.0.1:9000/mcp".to_owned()]);
        let shown = config.show().unwrap();
        assert_eq!(Config::parse(&shown, Path::new("")).unwrap(), config, "{shown}");
        for default in ["drain = \"30s\"", "mode = \"verify\"", "failures = 3", "address = \"127.0.0.1:8080\""] {
            assert!(shown.contains(default), "{default} is not in\n{shown}");
        }
    }

    #[test]
    fn secrets_are_masked_and_no_debug_output_has_them() {
        let digest = "5e".repeat(32);
        let text = format!(
            "[[upstream]]\nname = \"a\"\npods = [\"http://a/mcp\"]\nheaders.authorization = \"Bearer sesame\"\n\
             [[upstream]]\nname = \"b\"\ncommand = [\"b\"]\nenvironment.KEY = \"sesame\"\n\
             [[route]]\npath = \"/mcp\"\nupstreams = [\"a\", \"b\"]\n[[route.token]]\nprincipal = \"alice\"\nsha256 = \"{digest}\"\n",
        );
        let config = Config::parse(&text, Path::new("anypod.toml")).unwrap();
        let shown = config.show().unwrap();
        assert_eq!(shown.matches(MASK).count(), 3, "{shown}");
        assert!(shown.contains("authorization") && shown.contains("KEY") && shown.contains("alice"), "{shown}");
        for text in [shown, format!("{config:?}")] {
            assert!(!text.contains("sesame") && !text.contains(&digest), "{text}");
        }
    }
}

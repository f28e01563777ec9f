//! What stands at one path: `[[route]]`.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Time;

/// Which path leads to which upstreams.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Route {
    /// The path, such as `/mcp`.
    pub path: String,
    /// The names of the upstreams. Several are federated into one server.
    pub upstreams: Vec<String>,
    /// How bodies are held against headers. Default `verify`.
    #[serde(default)]
    pub mode: Mode,
    /// The hosts under which it may be called, besides loopback names, such as `mcp.example.com`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<String>,
    /// The web origins whose pages may call it, such as `https://app.example.com`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub origins: Vec<String>,
    /// Does not check `Host`, where something in front does. Default false.
    #[serde(default)]
    pub any_host_unchecked: bool,
    /// Static bearer tokens. With any, callers need one; without, everybody may call, and `Authorization` is passed on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub token: Vec<Token>,
    /// What may be called, by whom. The first rule that fits decides; what no rule fits is allowed unless there is an
    /// allowing rule.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rule: Vec<Rule>,
    /// How often it may be called.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rate: Vec<Rate>,
    /// How names of several upstreams are kept apart.
    #[serde(default)]
    pub names: Names,
    /// Which of several upstreams methods of extensions are for, as globs, such as `{ "com.example/*" = "crm" }`. One without
    /// `*` goes before others, and of those the longest that fits. Default: the upstream that declares an extension of which
    /// the method is by its name, such as `reviews/start` of `com.example/reviews`; else the only one that declares any.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub methods: BTreeMap<String, String>,
    /// What is answered from memory.
    #[serde(default)]
    pub cache: Cache,
}

impl Route {
    /// A route at this path to these upstreams, with everything else as it is by default.
    pub fn new(path: impl Into<String>, upstreams: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self {
            path: path.into(),
            upstreams: upstreams.into_iter().map(Into::into).collect(),
            mode: Mode::default(),
            hosts: Vec::new(),
            origins: Vec::new(),
            any_host_unchecked: false,
            token: Vec::new(),
            rule: Vec::new(),
            rate: Vec::new(),
            names: Names::default(),
            methods: BTreeMap::new(),
            cache: Cache::default(),
        }
    }
}

/// How bodies are held against headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// The gateway reads along, and withholds the end of a body that says something else than its headers.
    #[default]
    Verify,
    /// The gateway believes the headers of bodies that it does not read first (see `whole-body-bytes`). The upstream has to
    /// check them, as revision 2026-07-28 obliges it to.
    Trust,
    /// The gateway reads the whole body, arguments included, and holds `Mcp-Param-*` against the schema of the tool, as its
    /// upstream lists it. Needed for rules on arguments.
    Parse,
}

/// A static bearer token.
#[derive(Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Token {
    /// Whose it is: the name of the principal.
    pub principal: String,
    /// The SHA-256 of the token, as 64 hexadecimal digits: `printf %s TOKEN | sha256sum`.
    pub sha256: String,
}

// The hash of a weak token gives it away.
impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token").field("principal", &self.principal).finish_non_exhaustive()
    }
}

/// What may be called, by whom.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Rule {
    /// Whether what fits is allowed or denied. A denied name looks unknown, and is missing from lists, unless it depends on
    /// the arguments: then it is listed, and a call with denied ones is refused as forbidden.
    pub effect: Effect,
    /// The principals, as globs. Default: everybody.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub principals: Vec<String>,
    /// The methods, as globs such as `tools/*`. Default: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub methods: Vec<String>,
    /// The names of tools and prompts, and URIs of resources, as globs. Default: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<String>,
    /// What arguments of `tools/call` and `prompts/get` have to be: JSON Pointers into them, each with globs. All pointers have
    /// to fit, such as `{ "/table" = ["public_*"], "/options/mode" = ["read"] }`. What is no text is compared as JSON writes it,
    /// numbers as they are shortest (`1` for `1.0` and `1e0`). Of a list, one fitting element is enough to deny, and all have
    /// to fit to allow. An object fits nothing, nor does what is not there. A call is refused if a name on the way stands in it
    /// twice, or in another case. Servers may read what no rule foresaw: prefer rules that allow. Needs `mode = "parse"`.
    /// Default: any.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub arguments: BTreeMap<String, Vec<String>>,
}

/// Allow or deny.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Effect {
    /// Allowed.
    Allow,
    /// Denied.
    Deny,
}

/// A bucket of tokens, one for each principal and name that fit.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Rate {
    /// Requests a second.
    pub per_second: f64,
    /// Requests at once. Default: those of one second, at least 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub burst: Option<u32>,
    /// What has a bucket of its own. Default `principal`.
    #[serde(default)]
    pub each: Each,
    /// The methods that count, as globs. Default: `tools/call`, `prompts/get`, `resources/read`, `completion/complete`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub methods: Vec<String>,
    /// The names that count, as globs. Default: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<String>,
}

/// What has a bucket of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Each {
    /// Each principal.
    #[default]
    Principal,
    /// Each name, whoever calls it.
    Name,
    /// Each principal and name.
    PrincipalAndName,
}

/// How names of several upstreams are kept apart.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct Names {
    /// Which tools and prompts bear the name of their upstream in front. Default `collisions`.
    pub prefix: Prefix,
    /// What stands between the two. No upstream's name may contain it. Default `__`.
    pub delimiter: String,
    /// The longest name that clients see, in characters; longer ones are cut and end with a hash. Default: no bound. Some
    /// clients cut at 64.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub longest: Option<usize>,
}

/// Which names are prefixed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Prefix {
    /// Those that more than one upstream has.
    #[default]
    Collisions,
    /// All.
    Always,
    /// None: of several, that of the upstream which the route names first is called.
    Never,
}

/// What is answered from memory.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct Cache {
    /// Whether anything is. Default true; only what upstreams allow, for as long as they allow.
    pub enabled: bool,
    /// The most that is kept for this route, in bytes. Default 64 MiB.
    pub bytes: usize,
    /// The longest that a result counts as fresh, whatever its upstream says. Default 1 h.
    pub longest: Time,
    /// How long after that it may stand in for an upstream that cannot be reached. Default 10 min.
    pub stale: Time,
}

impl Default for Names {
    fn default() -> Self {
        Self { prefix: Prefix::default(), delimiter: "__".to_owned(), longest: None }
    }
}

impl Default for Cache {
    fn default() -> Self {
        Self { enabled: true, bytes: 64 << 20, longest: Time::from_secs(3600), stale: Time::from_secs(600) }
    }
}

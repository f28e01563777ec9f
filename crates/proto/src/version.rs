//! Protocol revisions and the two eras they fall into.
//!
//! Spec: basic/versioning, "Terminology".

/// How a peer conveys its version, identity and capabilities.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Era {
    /// In `_meta` of every request (2026-07-28 and later).
    Modern,
    /// By an `initialize` handshake (2025-11-25 and earlier).
    Legacy,
}

/// A revision that anypod speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Version {
    /// 2025-03-26: the first with Streamable HTTP; the only one with JSON-RPC batches.
    V2025_03_26,
    /// 2025-06-18: structured output, elicitation, the version header.
    V2025_06_18,
    /// 2025-11-25: the last with sessions.
    V2025_11_25,
    /// 2026-07-28: every request stands alone.
    V2026_07_28,
}

impl Version {
    /// The revision that modern requests declare.
    pub const LATEST: Self = Self::V2026_07_28;
    /// The revision offered to a legacy client that asks for one we do not speak.
    pub const LATEST_LEGACY: Self = Self::V2025_11_25;
    /// What a modern server lists in `supportedVersions`. Legacy revisions are reached by `initialize`.
    pub const MODERN: [Self; 1] = [Self::V2026_07_28];
    /// The revisions that `initialize` can negotiate.
    pub const LEGACY: [Self; 3] = [Self::V2025_11_25, Self::V2025_06_18, Self::V2025_03_26];

    /// The date as it stands on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::V2025_03_26 => "2025-03-26",
            Self::V2025_06_18 => "2025-06-18",
            Self::V2025_11_25 => "2025-11-25",
            Self::V2026_07_28 => "2026-07-28",
        }
    }

    /// The revision of that date, if anypod speaks it.
    pub fn parse(text: &str) -> Option<Self> {
        Self::MODERN.into_iter().chain(Self::LEGACY).find(|version| version.as_str() == text)
    }

    /// The era this revision belongs to.
    pub const fn era(self) -> Era {
        match self {
            Self::V2026_07_28 => Era::Modern,
            Self::V2025_03_26 | Self::V2025_06_18 | Self::V2025_11_25 => Era::Legacy,
        }
    }
}

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

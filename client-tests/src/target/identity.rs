//! Which product and version a server is, and selectors such as `redis <8.0` that name some of them.

use std::fmt;

use crate::program::caller::Caller;

/// A server as it introduces itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    pub product: Product,
    pub version: Version,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Product {
    Redlet,
    Redis,
    Valkey,
}

/// Major and minor; patches do not change behaviour that a case could declare.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(pub u32, pub u32);

/// The real servers whose behaviour the cases state.
pub const REAL_SERVERS: [Identity; 3] = [
    Identity { product: Product::Redis, version: Version(7, 0) },
    Identity { product: Product::Redis, version: Version(8, 0) },
    Identity { product: Product::Valkey, version: Version(9, 1) },
];

impl fmt::Display for Identity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let product = match self.product {
            Product::Redlet => "redlet",
            Product::Redis => "redis",
            Product::Valkey => "valkey",
        };
        write!(formatter, "{product} {}.{}", self.version.0, self.version.1)
    }
}

impl Identity {
    /// The redlet that was built with this suite.
    pub fn of_redlet() -> Self {
        let version = Version::parse(env!("CARGO_PKG_VERSION"));
        Self {
            product: Product::Redlet,
            version: version.expect("cargo gives every crate a version"),
        }
    }

    /// Asks a server which it is.
    pub async fn ask(caller: &mut Caller) -> Result<Self, String> {
        let reply = caller.demand_words(&["INFO", "server"]).await?;
        Self::from_info(&String::from_utf8_lossy(&reply.text().unwrap_or_default()))
    }

    /// Reads INFO's server section; Valkey and redlet name themselves beside the Redis version they follow.
    pub fn from_info(info: &str) -> Result<Self, String> {
        let field =
            |name: &str| info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        let (product, version) = if let Some(version) = field("redlet_version") {
            (Product::Redlet, version)
        } else if let Some(version) = field("valkey_version") {
            (Product::Valkey, version)
        } else {
            (Product::Redis, field("redis_version").ok_or("INFO server names no version")?)
        };
        Ok(Self { product, version: Version::parse(version)? })
    }
}

impl Version {
    fn parse(text: &str) -> Result<Self, String> {
        let mut parts = text.trim().split('.').map(str::parse);
        match (parts.next(), parts.next()) {
            (Some(Ok(major)), Some(Ok(minor))) => Ok(Self(major, minor)),
            _ => Err(format!("`{text}` is no version such as 7.0")),
        }
    }
}

/// Some servers: `valkey`, `redis 7.0`, `redis <8.0`, `redis >=8.0`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selector {
    product: Product,
    bound: Bound,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bound {
    Every,
    Exactly(Version),
    Before(Version),
    Since(Version),
}

impl Selector {
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut words = text.split_whitespace();
        let product = match words.next() {
            Some("redis") => Product::Redis,
            Some("valkey") => Product::Valkey,
            Some("redlet") => {
                let rule = "redlet has to answer as the case says; see `redlet differs because` in the README";
                return Err(rule.to_owned());
            }
            other => return Err(format!("`{}` is no server", other.unwrap_or_default())),
        };
        let bound = words.next().map_or(Ok(Bound::Every), Bound::parse)?;
        match words.next() {
            None => Ok(Self { product, bound }),
            Some(word) => Err(format!("`{word}` after a server's version")),
        }
    }

    /// Several selectors between commas.
    pub fn parse_list(text: &str) -> Result<Vec<Self>, String> {
        text.split(',').map(Self::parse).collect()
    }

    pub fn selects(&self, identity: &Identity) -> bool {
        identity.product == self.product
            && match self.bound {
                Bound::Every => true,
                Bound::Exactly(version) => identity.version == version,
                Bound::Before(version) => identity.version < version,
                Bound::Since(version) => identity.version >= version,
            }
    }
}

impl Bound {
    fn parse(text: &str) -> Result<Self, String> {
        if let Some(version) = text.strip_prefix(">=") {
            return Ok(Self::Since(Version::parse(version)?));
        }
        if let Some(version) = text.strip_prefix('<') {
            return Ok(Self::Before(Version::parse(version)?));
        }
        Ok(Self::Exactly(Version::parse(text)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selectors_know_versions() {
        let [redis_7, redis_8, valkey] = REAL_SERVERS;
        let before = Selector::parse("redis <8.0").unwrap();
        assert!(before.selects(&redis_7) && !before.selects(&redis_8) && !before.selects(&valkey));
        assert!(Selector::parse("redis >=8.0").unwrap().selects(&redis_8));
        assert!(Selector::parse("valkey").unwrap().selects(&valkey));
    }

    #[test]
    fn redlet_cannot_be_selected() {
        assert!(Selector::parse("redlet").is_err());
        assert!(Selector::parse_list("redis 7.0, redlet").is_err());
    }
}

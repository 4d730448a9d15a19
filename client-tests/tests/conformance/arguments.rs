//! What the command line and the environment ask for.

use std::env;

/// The wishes of whoever runs the suite.
pub(crate) struct Arguments {
    /// Parts of `family: name`; a case runs if it has one of them.
    pub(crate) filters: Vec<String>,
    pub(crate) targets: Option<Vec<String>>,
    pub(crate) lanes: usize,
    pub(crate) list: bool,
    /// A target that cannot be had is a failure.
    pub(crate) require_all: bool,
}

impl Arguments {
    pub(crate) fn read() -> Result<Self, String> {
        let mut arguments = Self {
            filters: Vec::new(),
            targets: targets_of_environment(),
            lanes: 2,
            list: false,
            require_all: env::var("CONFORMANCE_REQUIRE").is_ok_and(|value| value == "all"),
        };
        let mut words = env::args().skip(1);
        while let Some(word) = words.next() {
            match word.as_str() {
                "--list" => arguments.list = true,
                "--target" => {
                    let name = words.next().ok_or("--target needs a name")?;
                    arguments.targets.get_or_insert_default().push(name);
                }
                "--lanes" => {
                    let count = words.next().and_then(|count| count.parse().ok());
                    arguments.lanes =
                        count.filter(|count| *count > 0).ok_or("--lanes needs a number")?;
                }
                option if option.starts_with('-') => {
                    return Err(format!(
                        "{option} is not known: [--target NAME] [--lanes N] [--list] [part of a name]"
                    ));
                }
                filter => arguments.filters.push(filter.to_owned()),
            }
        }
        Ok(arguments)
    }
}

/// A URL is run alone; else `CONFORMANCE_TARGETS` may choose among the targets.
fn targets_of_environment() -> Option<Vec<String>> {
    if let Some(url) = env::var("CONFORMANCE_URL").ok().filter(|url| !url.is_empty()) {
        return Some(vec![url]);
    }
    let names = env::var("CONFORMANCE_TARGETS").ok().filter(|names| !names.is_empty())?;
    Some(names.split(',').map(|name| name.trim().to_owned()).collect())
}

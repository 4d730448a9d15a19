//! Rules of the house that no lint can say.

use std::path::{Path, PathBuf};

/// Where `unsafe` code is allowed, and why is said there.
const WITH_UNSAFE_CODE: [&str; 1] = ["storage/table/mod.rs"];

fn sources(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).expect("the sources are there");
    let paths = entries.map(|entry| entry.expect("it can be read").path());
    paths.flat_map(|path| if path.is_dir() { sources(&path) } else { vec![path] }).collect()
}

#[test]
fn unsafe_code_is_nowhere_but_where_it_is_looked_after() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let allows = |path: &PathBuf| {
        std::fs::read_to_string(path).expect("it is text").contains("allow(unsafe_code")
    };
    let mut found: Vec<_> = sources(&root).into_iter().filter(allows).collect();
    found.sort();
    let expected = WITH_UNSAFE_CODE.map(|path| root.join(path));
    assert_eq!(found, expected);
}

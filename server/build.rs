//! Builds the Lua of scripts: version 5.1.5 as its authors released it, with the changes that `lua/README.md` lists.

use std::path::{Path, PathBuf};

fn main() {
    let sources = Path::new("lua");
    println!("cargo::rerun-if-changed={}", sources.display());
    let mut files: Vec<PathBuf> = std::fs::read_dir(sources)
        .expect("the sources of Lua lie beside the build script")
        .map(|entry| entry.expect("their directory can be read").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "c"))
        .collect();
    // The archive is the same on every machine.
    files.sort();
    let mut build = cc::Build::new();
    build.files(files).define("LUA_USE_ULONGJMP", None).warnings(false);
    // Scripts are as fast in tests as anywhere else.
    build.opt_level(2);
    build.compile("redlet_lua");
}

//! Who imports whom: no circle of files in any crate, and in the kernels the arrows that their page shows.

mod made_up;
mod tokens;
mod tree;

use std::fs;
use std::path::{Path, PathBuf};

use tree::{Arrows, Sources, arrows, circles};

/// The workspace's files.
struct Disk;

impl Sources for Disk {
    fn read(&self, path: &Path) -> Option<String> {
        fs::read_to_string(path).ok()
    }
}

fn workspace() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().expect("a folder around").to_owned()
}

/// The root files of every library and program of the workspace: whatever `Cargo.toml` has `src/lib.rs`, `src/main.rs` or `src/bin` beside.
fn roots(folder: &Path, found: &mut Vec<PathBuf>) {
    let entries = fs::read_dir(folder).expect("a folder of the workspace");
    for entry in entries.map(|entry| entry.expect("an entry of it")) {
        let path = entry.path();
        let name = entry.file_name().to_string_lossy().into_owned();
        if name == "Cargo.toml" {
            let source = folder.join("src");
            let bins = fs::read_dir(source.join("bin")).into_iter().flatten();
            let bins = bins.map(|bin| bin.expect("a program").path());
            let all = ["lib.rs", "main.rs"].map(|file| source.join(file));
            let all = all.into_iter().chain(bins);
            found.extend(
                all.filter(|root| root.extension().is_some_and(|e| e == "rs") && root.is_file()),
            );
        } else if path.is_dir() && !name.starts_with('.') && !matches!(&*name, "target" | "corpus")
        {
            roots(&path, found);
        }
    }
}

fn shown(path: &Path) -> String {
    path.strip_prefix(workspace())
        .unwrap_or(path)
        .display()
        .to_string()
}

/// The circles of a crate, each file with what it needs of the others.
fn described(arrows: &Arrows) -> Vec<String> {
    let describe = |circle: std::collections::BTreeSet<PathBuf>| {
        let lines = circle.iter().flat_map(|file| {
            let needs = arrows[file]
                .iter()
                .filter(|(needed, _)| circle.contains(*needed));
            needs.map(move |(needed, path)| {
                format!("  {} needs {} ({path})", shown(file), shown(needed))
            })
        });
        let lines: Vec<String> = lines.collect();
        format!("{} files in a circle:\n{}", circle.len(), lines.join("\n"))
    };
    circles(arrows).into_iter().map(describe).collect()
}

#[test]
fn no_files_import_each_other_in_a_circle() {
    let mut all = Vec::new();
    roots(&workspace(), &mut all);
    assert!(all.len() >= 6, "the workspace's crates: {all:?}");
    let mut found = Vec::new();
    for root in all {
        let arrows = arrows(&Disk, &root);
        found.extend(described(&arrows));
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

/// Parts of the kernels, and which they may import; see the crate's page.
const MAY: [(&str, &[&str]); 12] = [
    ("isa", &[]),
    ("layout", &["isa"]),
    ("memory", &[]),
    ("arithmetic", &["layout", "isa", "memory"]),
    ("operands", &["arithmetic", "layout", "isa", "memory"]),
    (
        "jobs",
        &["operands", "arithmetic", "layout", "isa", "memory"],
    ),
    (
        "set",
        &["jobs", "operands", "arithmetic", "layout", "isa", "memory"],
    ),
    (
        "layers",
        &[
            "set",
            "jobs",
            "operands",
            "arithmetic",
            "layout",
            "isa",
            "memory",
        ],
    ),
    (
        "sets",
        &[
            "set",
            "jobs",
            "operands",
            "arithmetic",
            "layout",
            "isa",
            "memory",
        ],
    ),
    (
        "benchmarks",
        &[
            "set",
            "jobs",
            "operands",
            "arithmetic",
            "layout",
            "isa",
            "memory",
        ],
    ),
    (
        "tables",
        &[
            "sets",
            "layers",
            "benchmarks",
            "set",
            "jobs",
            "operands",
            "arithmetic",
            "layout",
            "isa",
            "memory",
        ],
    ),
    (
        "kernels",
        &[
            "tables",
            "jobs",
            "operands",
            "arithmetic",
            "layout",
            "isa",
            "memory",
        ],
    ),
];

#[test]
fn the_parts_of_the_kernels_import_one_way() {
    let source = workspace().join("runtime/kernels/src");
    let part = |file: &Path| {
        let below = file.strip_prefix(&source).expect("a file of the kernels");
        let first = below.iter().next().expect("a name").to_string_lossy();
        first.trim_end_matches(".rs").to_owned()
    };
    let mut met = std::collections::BTreeSet::new();
    for (file, needs) in arrows(&Disk, &source.join("lib.rs")) {
        let from = part(&file);
        // The crate's face hands everything on.
        if from == "lib" {
            continue;
        }
        let (_, may) = MAY
            .iter()
            .find(|(name, _)| *name == from)
            .unwrap_or_else(|| {
                panic!(
                    "{}: a part of the kernels that this test does not know",
                    shown(&file)
                )
            });
        for (needed, path) in needs {
            let to = part(&needed);
            assert!(
                to == from || may.contains(&&*to),
                "{} needs {} ({path}): {from} may import {may:?}",
                shown(&file),
                shown(&needed)
            );
            met.insert((from.clone(), to));
        }
        let text = fs::read_to_string(&file).expect("a source file");
        assert!(
            from != "layers" || !text.contains("target_arch"),
            "{} asks which machine this is",
            shown(&file)
        );
    }
    for pair in [
        ("kernels", "tables"),
        ("tables", "sets"),
        ("tables", "layers"),
        ("layers", "set"),
        ("sets", "set"),
    ] {
        let pair = (pair.0.to_owned(), pair.1.to_owned());
        assert!(
            met.contains(&pair),
            "no arrow {pair:?}: is the parser blind?"
        );
    }
}

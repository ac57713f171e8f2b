//! The documentation holds together: links lead somewhere, and the README's example is one that is compiled.

use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Every page below `folder`, build outputs and hidden folders left out.
fn pages(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder of ours") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let ours = !name.starts_with('.') && name != "target" && name != "out";
        if path.is_dir() && ours {
            pages(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "md") {
            into.push(path);
        }
    }
}

/// What the links of a page lead to, code blocks left out.
fn links(text: &str) -> Vec<&str> {
    let prose = text.split("```").step_by(2);
    let lines = prose.flat_map(str::lines);
    let lines = lines.filter(|line| !line.starts_with("    "));
    lines
        .flat_map(|line| line.split("](").skip(1))
        .filter_map(|rest| rest.split_once(')').map(|(link, _)| link))
        .collect()
}

#[test]
fn links_are_found_in_prose_and_not_in_code() {
    let page = "a [b](c.md) and ![d](e/f.png#g)\n    x[0](y)\n```\n[h](i)\n```\n[j](https://k)\n";
    assert_eq!(links(page), ["c.md", "e/f.png#g", "https://k"]);
}

#[test]
fn every_link_within_the_repository_leads_to_a_file_and_heading() {
    let mut all = Vec::new();
    pages(&root(), &mut all);
    assert!(all.len() > 20, "the pages of this repository: {all:?}");
    let mut broken = Vec::new();
    for page in &all {
        let text = fs::read_to_string(page).expect("a page");
        for link in links(&text) {
            if link.contains("://") || link.starts_with("mailto:") {
                continue;
            }
            let (file, heading) = link.split_once('#').unwrap_or((link, ""));
            let target = match file {
                "" => page.clone(),
                file => page.parent().expect("a folder").join(file),
            };
            let found = target.exists()
                && (heading.is_empty() || headings(&target).iter().any(|known| known == heading));
            if !found {
                broken.push(format!("{}: {link}", page.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

/// The anchors that a forge makes of a page's headings.
fn headings(page: &Path) -> Vec<String> {
    let text = fs::read_to_string(page).unwrap_or_default();
    let headings = text.lines().filter(|line| line.starts_with('#'));
    headings
        .map(|line| {
            let words = line.trim_start_matches('#').trim().to_lowercase();
            let kept = words
                .chars()
                .filter(|c| c.is_alphanumeric() || " -_".contains(*c));
            kept.map(|c| if c == ' ' { '-' } else { c }).collect()
        })
        .collect()
}

#[test]
fn the_example_of_the_readme_is_the_one_that_is_compiled() {
    let read = |name: &str| fs::read_to_string(root().join(name)).expect(name);
    let example = |text: &str| {
        let (_, rest) = text.split_once("```rust\n").expect("an example");
        rest.split_once("```").expect("its end").0.to_owned()
    };
    // The crate's is run in the crate's folder.
    let compiled = example(&read("runtime/README.md")).replace("\"../models", "\"models");
    assert_eq!(example(&read("README.md")), compiled);
}

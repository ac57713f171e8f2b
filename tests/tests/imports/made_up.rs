//! The parser and the search on crates made up for them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::tokens::words;
use crate::tree::{Sources, arrows, circles};

impl Sources for BTreeMap<&str, &str> {
    fn read(&self, path: &Path) -> Option<String> {
        Some((*self.get(path.to_str()?)?).to_owned())
    }
}

/// The arrows of a crate, `from > to`.
fn of(files: &[(&'static str, &'static str)]) -> Vec<String> {
    let files: BTreeMap<&str, &str> = files.iter().copied().collect();
    let arrows = arrows(&files, Path::new("lib.rs"));
    let pairs = arrows.iter().flat_map(|(file, needs)| {
        let needs = needs.keys();
        needs.map(move |needed| format!("{} > {}", file.display(), needed.display()))
    });
    pairs.collect()
}

/// Its circles.
fn circles_of(files: &[(&'static str, &'static str)]) -> Vec<Vec<PathBuf>> {
    let files: BTreeMap<&str, &str> = files.iter().copied().collect();
    let found = circles(&arrows(&files, Path::new("lib.rs")));
    found.into_iter().map(|c| c.into_iter().collect()).collect()
}

#[test]
fn comments_strings_and_characters_say_nothing() {
    let text = r##"// use crate::a;
        /* use crate::b; /* nested */ */ let c = '"'; let s = "use crate::c;"; let r = r#"use "crate::d"#;
        fn f<'a>(x: &'a str) { '\'' ; r#mod::g() }"##;
    let words = words(text).join(" ");
    let want = r#"let c = ; let s = "use crate::c;" ; let r = "" ; fn f < > ( x : & str ) { ; mod :: g ( ) }"#;
    assert_eq!(words, want);
}

#[test]
fn a_use_and_a_path_are_arrows_and_a_declaration_is_none() {
    let found = of(&[
        ("lib.rs", "mod a; mod b; mod c;"),
        (
            "a.rs",
            "use crate::b::{self, Thing as Other, deep::{x, y}};",
        ),
        ("b.rs", "pub mod deep; pub struct Thing;"),
        (
            "b/deep.rs",
            "fn f() { super::super::c::call::<u8>(); std::mem::take(x); }",
        ),
        ("c/mod.rs", "fn g() { self::h(); }"),
    ]);
    assert_eq!(
        found,
        ["a.rs > b/deep.rs", "a.rs > b.rs", "b/deep.rs > c/mod.rs"]
    );
}

#[test]
fn what_a_parent_hands_on_is_its_makers() {
    let found = of(&[
        ("lib.rs", "mod a; mod b; pub use b::inner::Thing;"),
        ("a.rs", "use crate::Thing; use crate::b::Again;"),
        ("b.rs", "pub mod inner; pub use inner::Thing as Again;"),
        ("b/inner.rs", "pub struct Thing;"),
    ]);
    assert_eq!(found, ["a.rs > b/inner.rs"]);
}

#[test]
fn what_only_tests_see_is_no_arrow() {
    let found = of(&[
        ("lib.rs", "mod a; mod b; #[cfg(test)] mod rig;"),
        (
            "a.rs",
            "#[cfg(test)] mod tests { use crate::b::f; } #[cfg(all(test, unix))] mod more;",
        ),
        ("a/more.rs", "use crate::b::f;"),
        ("b.rs", "use crate::a::g;"),
        ("rig.rs", "use crate::b::f;"),
    ]);
    assert_eq!(found, ["b.rs > a.rs"]);
}

#[test]
fn inline_modules_and_files_placed_elsewhere_are_followed() {
    let found = of(&[
        (
            "lib.rs",
            "mod outer { pub mod inner; } #[path = \"odd/name.rs\"] mod placed;",
        ),
        ("outer/inner.rs", "use crate::placed::f;"),
        (
            "odd/name.rs",
            "mod inside { use super::*; fn t() { super::f(); } } pub fn f() {}",
        ),
    ]);
    assert_eq!(found, ["outer/inner.rs > odd/name.rs"]);
}

#[test]
fn a_circle_is_found_with_all_its_files_and_only_those() {
    let files = [
        ("lib.rs", "mod a; mod b; mod c; mod d;"),
        ("a.rs", "use crate::b::f;"),
        ("b.rs", "fn g() { crate::c::h(); }"),
        ("c.rs", "use super::a;"),
        ("d.rs", "use crate::a::x;"),
    ];
    let circle = ["a.rs", "b.rs", "c.rs"].map(PathBuf::from).to_vec();
    assert_eq!(circles_of(&files), [circle]);
    assert!(
        circles_of(&files[..3]).is_empty(),
        "b needs a file that is not there"
    );
}

#[test]
fn a_module_is_made_of_its_children_and_they_may_need_it_but_not_who_needs_it() {
    let files = [
        ("lib.rs", "mod a; mod c;"),
        ("a.rs", "mod b; use b::f; pub struct A;"),
        ("a/b.rs", "use super::A; use crate::c::g;"),
        ("c.rs", "pub fn g() {}"),
    ];
    assert!(circles_of(&files).is_empty());
    let mut round = files;
    round[3].1 = "use crate::a::b::f;";
    let circle = ["a/b.rs", "c.rs"].map(PathBuf::from).to_vec();
    assert_eq!(circles_of(&round), [circle]);
}

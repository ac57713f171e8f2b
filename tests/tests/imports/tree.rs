//! The modules of a crate, and which file names what of which other file.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::tokens::words;

/// What names a file's items, or needs them: the file, and those it needs, each with a path that says so.
pub(crate) type Arrows = BTreeMap<PathBuf, BTreeMap<PathBuf, String>>;

/// A module, by its path below the crate.
type Name = Vec<String>;

/// The modules of a crate.
#[derive(Default)]
struct Crate {
    /// The file that each is in.
    files: BTreeMap<Name, PathBuf>,
    /// Paths named in each, as written.
    paths: Vec<(Name, Name)>,
    /// What each calls by another module's path: its `use` declarations, by the name they give.
    uses: BTreeMap<Name, BTreeMap<String, Name>>,
}

/// Where a module's files come from: the text of a file, if there is one.
pub(crate) trait Sources {
    /// The text of this file.
    fn read(&self, path: &Path) -> Option<String>;
}

/// The arrows of the crate whose root file this is. What a module names of those inside it is none, declared, handed on (`pub use`) or
/// used: it is made of them; nor is what only tests see (`#[cfg(test)] mod`). What they name of it is one. A name that a module only hands on is an arrow to the file it comes from.
pub(crate) fn arrows(sources: &impl Sources, root: &Path) -> Arrows {
    let mut all = Crate::default();
    let folder = root.parent().unwrap_or(Path::new("")).to_owned();
    all.file(sources, root, Vec::new(), &folder);
    let mut arrows = Arrows::new();
    for (module, path) in &all.paths {
        let file = &all.files[module];
        let target = all.resolve(module, path, 0);
        let target = target.filter(|target| !target.starts_with(module));
        let needed = target.and_then(|target| all.files.get(&target));
        if let Some(needed) = needed.filter(|needed| *needed != file) {
            let needs = arrows.entry(file.clone()).or_default();
            needs.entry(needed.clone()).or_insert(path.join("::"));
        }
    }
    arrows
}

impl Crate {
    /// Takes in a file, which is `module`; files of the modules it declares are below `folder`.
    fn file(&mut self, sources: &impl Sources, path: &Path, module: Name, folder: &Path) {
        let Some(text) = sources.read(path) else {
            return;
        };
        self.files.insert(module.clone(), path.to_owned());
        self.block(sources, &words(&text), path, &module, folder);
    }

    /// Takes in what a module holds.
    fn block(
        &mut self,
        sources: &impl Sources,
        words: &[String],
        path: &Path,
        module: &Name,
        folder: &Path,
    ) {
        let word = |i: usize| words.get(i).map_or("", String::as_str);
        let (mut placed, mut tested) = (None, false);
        let mut i = 0;
        while i < words.len() {
            match word(i) {
                "path" if word(i + 1) == "=" && word(i + 2).starts_with('"') => {
                    placed = Some(word(i + 2).trim_matches('"').to_owned());
                    i += 3;
                }
                // `#[cfg(test)]` and `#[cfg(all(test, ...))]`, which the next item is below.
                "cfg" if word(i + 1) == "(" => {
                    let first = if word(i + 2) == "all" { i + 4 } else { i + 2 };
                    tested = word(first) == "test";
                    i += 2;
                }
                "fn" | "use" | "const" | "static" | "impl" | "struct" if tested => {
                    tested = false;
                }
                "mod" if tested && matches!(word(i + 2), ";" | "{") => {
                    i = if word(i + 2) == ";" {
                        i + 3
                    } else {
                        after_block(words, i + 2)
                    };
                    tested = false;
                }
                "mod" if is_name(word(i + 1)) && matches!(word(i + 2), ";" | "{") => {
                    let name = word(i + 1).to_owned();
                    let inner: Name = [&module[..], std::slice::from_ref(&name)].concat();
                    let below = folder.join(&name);
                    if word(i + 2) == "{" {
                        let end = after_block(words, i + 2);
                        self.files.insert(inner.clone(), path.to_owned());
                        self.block(sources, &words[i + 3..end - 1], path, &inner, &below);
                        i = end;
                    } else {
                        let at = match placed.take() {
                            Some(placed) => path.parent().unwrap_or(folder).join(placed),
                            None => folder.join(format!("{name}.rs")),
                        };
                        self.file(sources, &at, inner.clone(), &below);
                        if !self.files.contains_key(&inner) {
                            self.file(sources, &below.join("mod.rs"), inner, &below);
                        }
                        i += 3;
                    }
                    placed = None;
                }
                "use" => {
                    let end = (i..words.len()).find(|i| word(*i) == ";");
                    let end = end.unwrap_or(words.len());
                    self.tree(module, &[], &words[i + 1..end]);
                    i = end;
                }
                start if is_name(start) && word(i + 1) == "::" => {
                    // After `.` or another `::` it is a method or the rest of something else.
                    let fresh = i == 0 || !matches!(word(i - 1), "." | "::");
                    let mut path = vec![start.to_owned()];
                    i += 1;
                    while word(i) == "::" && is_name(word(i + 1)) {
                        path.push(word(i + 1).to_owned());
                        i += 2;
                    }
                    if fresh {
                        self.paths.push((module.clone(), path));
                    }
                }
                _ => i += 1,
            }
        }
    }

    /// Takes in a tree of a `use` declaration, below `prefix`.
    fn tree(&mut self, module: &Name, prefix: &[String], words: &[String]) {
        for part in split(words) {
            let mut path = prefix.to_vec();
            let mut i = 0;
            while let Some(name) = part.get(i) {
                match name.as_str() {
                    "::" => {}
                    "{" => {
                        let end = after_block(part, i);
                        self.tree(module, &path, &part[i + 1..end - 1]);
                        break;
                    }
                    "as" => break,
                    name => path.push(name.to_owned()),
                }
                i += 1;
            }
            if part.get(i).is_some_and(|word| word == "{") {
                continue;
            }
            if path.last().is_some_and(|last| last == "self") && path.len() > 1 {
                path.pop();
            }
            let Some(last) = path.last().cloned() else {
                continue;
            };
            let name = match part.get(i..) {
                Some([_, name, ..]) => name.clone(),
                _ => last,
            };
            self.paths.push((module.clone(), path.clone()));
            self.uses
                .entry(module.clone())
                .or_default()
                .insert(name, path);
        }
    }

    /// The module whose item a path names, as seen from `from`; nothing if that is another crate's, or no module's.
    fn resolve(&self, from: &Name, path: &[String], depth: usize) -> Option<Name> {
        let mut at = match path.first()?.as_str() {
            "crate" => Vec::new(),
            "self" => from.clone(),
            "super" => from.split_last()?.1.to_vec(),
            first => {
                let child: Name = [&from[..], &[first.to_owned()]].concat();
                if self.files.contains_key(&child) {
                    child
                } else {
                    let used = self.uses.get(from)?.get(first)?;
                    let whole = [&used[..], &path[1..]].concat();
                    // A path through itself, such as `use bytes::Bytes` beside `bytes::`, leads nowhere.
                    return match depth < 16 && used.first()? != first {
                        true => self.resolve(from, &whole, depth + 1),
                        false => None,
                    };
                }
            }
        };
        for (i, name) in path.iter().enumerate().skip(1) {
            if name == "super" {
                at.pop();
                continue;
            }
            let child: Name = [&at[..], std::slice::from_ref(name)].concat();
            if self.files.contains_key(&child) {
                at = child;
                continue;
            }
            // Handed on from elsewhere?
            if at != *from
                && let Some(used) = self.uses.get(&at).and_then(|uses| uses.get(name))
                && depth < 16
            {
                let whole = [&used[..], &path[i + 1..]].concat();
                return self.resolve(&at, &whole, depth + 1);
            }
            break;
        }
        Some(at)
    }
}

fn is_name(word: &str) -> bool {
    word.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

/// Past the block that opens at `open`.
fn after_block(words: &[String], open: usize) -> usize {
    let mut depth = 0;
    for (i, word) in words.iter().enumerate().skip(open) {
        match word.as_str() {
            "{" => depth += 1,
            "}" => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return i + 1;
        }
    }
    words.len()
}

/// The parts between commas that are in no block.
fn split(words: &[String]) -> Vec<&[String]> {
    let (mut parts, mut depth, mut start) = (Vec::new(), 0, 0);
    for (i, word) in words.iter().enumerate() {
        match word.as_str() {
            "{" => depth += 1,
            "}" => depth -= 1,
            "," if depth == 0 => {
                parts.push(&words[start..i]);
                start = i + 1;
            }
            _ => {}
        }
    }
    parts.push(&words[start..]);
    parts.retain(|part| !part.is_empty());
    parts
}

/// Files that need each other, every group that there is.
pub(crate) fn circles(arrows: &Arrows) -> Vec<BTreeSet<PathBuf>> {
    let reach = |start: &PathBuf| {
        let mut seen = BTreeSet::new();
        let mut next = vec![start];
        while let Some(file) = next.pop() {
            for needed in arrows.get(file).into_iter().flat_map(BTreeMap::keys) {
                if seen.insert(needed.clone()) {
                    next.push(needed);
                }
            }
        }
        seen
    };
    let reached: BTreeMap<&PathBuf, _> = arrows.keys().map(|file| (file, reach(file))).collect();
    let mut found: Vec<BTreeSet<PathBuf>> = Vec::new();
    for (file, needs) in reached
        .iter()
        .filter(|(file, needs)| needs.contains(**file))
    {
        if found.iter().any(|circle| circle.contains(*file)) {
            continue;
        }
        let back = |other: &&PathBuf| reached.get(other).is_some_and(|r| r.contains(*file));
        found.push(needs.iter().filter(back).cloned().collect());
    }
    found
}

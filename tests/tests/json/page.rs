//! docs/json.md as a schema: its tables are read, and JSON is held to them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// One row of a table.
#[derive(Clone, Debug)]
struct Row {
    /// Of `string`, `integer`, `number`, `boolean`, `object`, `array` and `null` those that are allowed.
    kinds: Vec<String>,
    optional: bool,
    /// Not in what the test runs, or not on every machine.
    rarely: bool,
}

impl Row {
    fn read(cell: &str) -> Option<Self> {
        let (kinds, flag) = cell.split_once(", ").unwrap_or((cell, ""));
        let known = [
            "string", "integer", "number", "boolean", "object", "array", "null",
        ];
        let kinds: Vec<String> = kinds.split(" or ").map(str::to_owned).collect();
        let sound = ["", "optional", "rarely"].contains(&flag)
            && kinds.iter().all(|kind| known.contains(&kind.as_str()));
        sound.then_some(Self {
            kinds,
            optional: !flag.is_empty(),
            rarely: flag == "rarely",
        })
    }

    fn allows(&self, value: &Value) -> bool {
        self.kinds.iter().any(|kind| match kind.as_str() {
            "string" => value.is_string(),
            "integer" => value.is_u64() || value.is_i64(),
            "number" => value.is_number(),
            "boolean" => value.is_boolean(),
            "object" => value.is_object(),
            "array" => value.is_array(),
            _ => value.is_null(),
        })
    }
}

/// The keys that a section describes, by their paths: `model.file`, `top[].label`, `verdicts.*`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Section {
    rows: BTreeMap<String, Row>,
    /// Sections whose keys are also these, and below which path.
    with: Vec<(String, String)>,
}

/// The page.
#[derive(Debug)]
pub(crate) struct Page(BTreeMap<String, Section>);

impl Page {
    /// Reads the page: headings begin sections, rows of their tables are keys, and a row of type "as *SECTION*" takes
    /// over another section's (with the key `…`, beside the others).
    pub(crate) fn read(text: &str) -> Self {
        let mut sections = BTreeMap::<String, Section>::new();
        let mut name = String::new();
        for line in text.lines() {
            if let Some(heading) = line.strip_prefix("## ") {
                name = heading.replace('`', "");
            }
            let cells: Vec<&str> = line.split('|').map(str::trim).collect();
            let [_, key, kind, ..] = cells.as_slice() else {
                continue;
            };
            let Some(key) = key.strip_prefix('`').and_then(|key| key.strip_suffix('`')) else {
                continue;
            };
            let section = sections.entry(name.clone()).or_default();
            if let Some(other) = kind.strip_prefix("as *") {
                let other = other.trim_end_matches('*').to_owned();
                let below = key.trim_end_matches('…').to_owned();
                section.with.push((below, other));
                continue;
            }
            let row =
                Row::read(kind).unwrap_or_else(|| panic!("{name}: {key}: {kind:?} is no type"));
            let before = section.rows.insert(key.to_owned(), row);
            assert!(before.is_none(), "{name}: {key} is described twice");
        }
        Self(sections)
    }

    /// A section with everything that it takes over.
    fn whole(&self, name: &str) -> BTreeMap<String, Row> {
        let section = self
            .0
            .get(name)
            .unwrap_or_else(|| panic!("no section {name:?}"));
        let mut rows = section.rows.clone();
        for (below, other) in &section.with {
            for (key, mut row) in self.whole(other) {
                // What a verb never needs of what others need too.
                row.rarely |= row.optional;
                rows.insert(format!("{below}{key}"), row);
            }
        }
        rows
    }

    /// Holds outputs to a section: each of their keys is described, with its type, and each key that is described
    /// appears in one of them, and in all if it is not optional.
    pub(crate) fn hold(&self, name: &str, outputs: &[Value]) {
        assert!(!outputs.is_empty(), "{name}: nothing to hold to it");
        let rows = self.whole(name);
        let mut seen = BTreeSet::new();
        for output in outputs {
            let mut here = BTreeSet::<String>::new();
            Walk {
                name,
                rows: &rows,
                seen: &mut here,
            }
            .value(output, "");
            for (key, _) in rows.iter().filter(|(_, row)| !row.optional) {
                let parent = key.rsplit_once('.').map_or("", |(parent, _)| parent);
                let inside = format!("{parent}.");
                let given = parent.is_empty() || here.iter().any(|seen| seen.starts_with(&inside));
                let each = !key.contains("[]") && !key.contains('*');
                assert!(
                    !(given && each) || here.contains(key),
                    "{name}: no {key} in {output}"
                );
            }
            seen.extend(here);
        }
        for (key, _) in rows.iter().filter(|(_, row)| !row.rarely) {
            assert!(
                seen.contains(key),
                "{name}: {key} is described and appears nowhere"
            );
        }
    }
}

struct Walk<'a> {
    name: &'a str,
    rows: &'a BTreeMap<String, Row>,
    seen: &'a mut BTreeSet<String>,
}

impl Walk<'_> {
    fn value(&mut self, value: &Value, path: &str) {
        let name = self.name;
        self.seen.insert(path.to_owned());
        let below = |start: &str| self.rows.keys().any(|key| key.starts_with(start));
        let described =
            below(&format!("{path}.")) || below(&format!("{path}[]")) || path.is_empty();
        if let Some(row) = self.rows.get(path) {
            assert!(
                row.allows(value),
                "{name}: {path} is {value}, described as {:?}",
                row.kinds
            );
            if !described {
                return;
            }
        } else {
            assert!(described, "{name}: {path} is not described: {value}");
        }
        match value {
            Value::Object(fields) => {
                let any = below(&format!("{path}.*"));
                for (key, field) in fields {
                    let key = if any { "*" } else { key };
                    let dot = if path.is_empty() { "" } else { "." };
                    self.value(field, &format!("{path}{dot}{key}"));
                }
            }
            Value::Array(entries) => {
                for entry in entries {
                    self.value(entry, &format!("{path}[]"));
                }
            }
            Value::Null => {}
            _ => assert!(
                self.rows.contains_key(path),
                "{name}: {path} is not described: {value}"
            ),
        }
    }
}

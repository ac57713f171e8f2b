//! A table of image files and their labels: CSV as people, spreadsheets and data sets write it.

mod parts;

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow, bail, ensure};
use igpt_runtime::tools::lfs;

use super::Part;

/// What a table's extension may be, with the separators its columns may have.
const KINDS: [(&str, &[u8]); 2] = [("csv", b",;\t|"), ("tsv", b"\t,;|")];

/// Names of the column of files, the first of which goes before the others. Case, spaces and punctuation do
/// not matter.
const FILE: [&str; 12] = [
    "filename",
    "file",
    "filepath",
    "path",
    "image",
    "imagefile",
    "imagefilename",
    "imagename",
    "imagepath",
    "img",
    "imgname",
    "imgpath",
];
/// The same of the column of labels.
const LABEL: [&str; 9] = [
    "label",
    "labels",
    "labelname",
    "labelid",
    "class",
    "classname",
    "classid",
    "category",
    "target",
];

/// The same of the column of splits.
const SPLIT: [&str; 4] = ["split", "set", "subset", "partition"];

/// Images with the name of each one's class.
#[derive(Debug)]
pub(super) struct Table {
    /// The files, where they are.
    pub(super) files: Vec<PathBuf>,
    /// The label of each.
    pub(super) labels: Vec<String>,
    /// What the table calls the part that was read, if it has a column of splits.
    pub(super) split: Option<String>,
    /// Whether the other part is there as well.
    pub(super) other: bool,
}

/// Whether a path is a table's, by its name.
pub(super) fn is_table(path: &Path) -> bool {
    separators(path).is_some()
}

fn separators(path: &Path) -> Option<&'static [u8]> {
    let extension = path.extension()?.to_str()?;
    let kind = KINDS
        .iter()
        .find(|(kind, _)| extension.eq_ignore_ascii_case(kind));
    kind.map(|(_, separators)| *separators)
}

/// Reads `part` of a table, or all if it has no column of splits; relative files are looked for from its folder.
/// Without `labelled` a column of labels may be missing.
///
/// # Errors
/// A table that cannot be read, has no such columns or several, a record without a value, a file of two labels,
/// splits that are none or not the part, files of which not one is there.
pub(super) fn read(path: &Path, labelled: bool, part: Part) -> anyhow::Result<Table> {
    read_table(path, labelled, part).with_context(|| path.display().to_string())
}

fn read_table(path: &Path, labelled: bool, part: Part) -> anyhow::Result<Table> {
    let bytes = fs::read(path)?;
    ensure!(!lfs::is_pointer(&bytes), lfs::MESSAGE);
    let text = text(&bytes)?;
    let (separator, columns) = columns(text, separators(path).unwrap_or(b","), labelled)?;
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(separator)
        .from_reader(text.as_bytes());
    let folder = path.parent().unwrap_or(Path::new(""));
    let records = reader.records().collect::<Result<Vec<_>, _>>()?;
    let value = |record: &csv::StringRecord, index: usize| -> String {
        record.get(index).unwrap_or_default().trim().to_owned()
    };
    let chosen = match columns.split {
        None => parts::Chosen::default(),
        Some(split) => {
            let values: Vec<String> = records.iter().map(|record| value(record, split)).collect();
            let values: Vec<&str> = values.iter().map(String::as_str).collect();
            parts::choose(&values, columns.name(split), part, labelled)?
        }
    };
    let (mut files, mut labels) = (Vec::new(), Vec::new());
    let mut first_of: HashMap<PathBuf, (usize, String)> = HashMap::new();
    for (index, record) in records.iter().enumerate() {
        if !chosen.holds(index) {
            continue;
        }
        let number = index + 1;
        let field = |index: usize| {
            let field = value(record, index);
            let column = columns.name(index);
            ensure!(!field.is_empty(), "record {number} has no {column}");
            Ok(field)
        };
        let file = located(folder, &field(columns.file)?);
        let label = columns.label.map_or(Ok(String::new()), field)?;
        let entry = first_of.entry(file.clone());
        let (before, other) = entry.or_insert_with(|| (number, label.clone()));
        ensure!(
            *other == label,
            "record {number} calls {} {label:?} and record {before} {other:?}: expected one label for each picture",
            file.display()
        );
        files.push(file);
        labels.push(label);
    }
    if let Some(first) = files.first()
        && !files.iter().any(|file| file.exists())
    {
        bail!(
            "none of its {} files is there; the first is {}: relative names are taken from the table's folder",
            files.len(),
            first.display()
        );
    }
    Ok(Table {
        files,
        labels,
        split: chosen.split,
        other: chosen.other,
    })
}

/// The text, without the mark that spreadsheets begin it with.
fn text(bytes: &[u8]) -> anyhow::Result<&str> {
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        bail!("is UTF-16, expected UTF-8: save it as \"CSV UTF-8\"");
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let text = std::str::from_utf8(bytes);
    text.map_err(|error| {
        let at = error.valid_up_to();
        anyhow!("byte {at} is not UTF-8: save it as \"CSV UTF-8\"")
    })
}

struct Columns {
    names: Vec<String>,
    file: usize,
    label: Option<usize>,
    split: Option<usize>,
}

impl Columns {
    fn name(&self, index: usize) -> &str {
        self.names.get(index).map_or("", String::as_str)
    }
}

/// The separator by which the header has the columns, and where they are.
fn columns(text: &str, separators: &[u8], labelled: bool) -> anyhow::Result<(u8, Columns)> {
    let mut first = None;
    for separator in separators {
        let mut reader = csv::ReaderBuilder::new()
            .delimiter(*separator)
            .from_reader(text.as_bytes());
        let names: Vec<String> = reader
            .headers()?
            .iter()
            .map(|name| name.trim().to_owned())
            .collect();
        match of_header(names, labelled) {
            Ok(columns) => return Ok((*separator, columns)),
            // What is wrong is told of the separator that the table most likely has.
            Err((found, error)) => {
                let better = first.as_ref().is_none_or(|(before, _)| found > *before);
                if better {
                    first = Some((found, error));
                }
            }
        }
    }
    Err(first.map_or_else(|| anyhow!("no header"), |(_, error)| error))
}

/// Where the columns are, or how many names the header has and what is wrong with it.
fn of_header(names: Vec<String>, labelled: bool) -> Result<Columns, (usize, anyhow::Error)> {
    let found = (|| {
        let file = column(&names, &FILE, "file_name")?;
        let label = column(&names, &LABEL, "label")?;
        let split = column(&names, &SPLIT, "split")?;
        let file = file.filter(|_| label.is_some() || !labelled);
        Ok::<_, anyhow::Error>(file.map(|file| (file, label, split)))
    })();
    match found {
        Ok(Some((file, label, split))) => Ok(Columns {
            names,
            file,
            label,
            split,
        }),
        Ok(None) => {
            let error = anyhow!("columns {names:?}, expected file_name and label");
            Err((names.len(), error))
        }
        Err(error) => Err((names.len(), error)),
    }
}

/// The column that is `called` so, by one of these names: the first of them, else the only one there is.
fn column(names: &[String], wanted: &[&str], called: &str) -> anyhow::Result<Option<usize>> {
    let plain = |name: &str| {
        let kept = name.chars().filter(|c| c.is_alphanumeric());
        kept.flat_map(char::to_lowercase).collect::<String>()
    };
    let of = |wanted: &[&str]| -> Vec<usize> {
        let is_wanted = |(index, name): (usize, &String)| {
            wanted.contains(&plain(name).as_str()).then_some(index)
        };
        names.iter().enumerate().filter_map(is_wanted).collect()
    };
    let best = of(wanted.get(..1).unwrap_or_default());
    let found = if best.is_empty() { of(wanted) } else { best };
    match *found.as_slice() {
        [] => Ok(None),
        [only] => Ok(Some(only)),
        _ => {
            let several: Vec<_> = found.iter().filter_map(|index| names.get(*index)).collect();
            bail!("columns {several:?} may all be the {called}, expected one: rename the others")
        }
    }
}

/// A file that a table names. Backslashes are Windows' separators where no file has them in its name.
fn located(folder: &Path, name: &str) -> PathBuf {
    let path = folder.join(name);
    if !name.contains('\\') || path.exists() {
        return path;
    }
    folder.join(name.replace('\\', "/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(name: &str, text: &[u8]) -> Result<(Vec<PathBuf>, Vec<String>), String> {
        let folder = tempfile::tempdir().unwrap();
        for file in ["x.png", "a/y.png", "b, c.png"] {
            let path = folder.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        match read(&path, true, Part::Test) {
            Ok(table) => {
                let relative = |file: PathBuf| file.strip_prefix(folder.path()).unwrap().to_owned();
                Ok((
                    table.files.into_iter().map(relative).collect(),
                    table.labels,
                ))
            }
            Err(error) => Err(format!("{error:#}")),
        }
    }

    #[test]
    fn tables_are_read_as_people_and_spreadsheets_write_them() {
        let expected = (
            vec![PathBuf::from("x.png"), "a/y.png".into()],
            vec!["dog".to_owned(), "a, b".to_owned()],
        );
        for (name, text) in [
            ("l.csv", "file_name,label\nx.png,dog\na/y.png,\"a, b\"\n"),
            (
                "L.CSV",
                "\u{feff}label,file_name\r\ndog,x.png\r\n\"a, b\",a/y.png\r\n",
            ),
            ("l.csv", "Filename;id;Class\nx.png;1;dog\na\\y.png;2;a, b\n"),
            (
                "l.csv",
                "Image Path,ClassId,label\nx.png,0,dog\na/y.png,1,\"a, b\"",
            ),
            (
                "l.csv",
                "file_name,label,split\ngone.png,,train\nx.png,dog,test\na/y.png,\"a, b\",Test\n",
            ),
            (
                "l.csv",
                "Subset;file;class\ntrain;gone.png;cat\nval;x.png;dog\nval;a/y.png;a, b\n",
            ),
            (
                "l.csv",
                "set,file_name,label\n75192,x.png,dog\n75192,a/y.png,\"a, b\"\n",
            ),
            ("l.tsv", "path\ttarget\nx.png\tdog\na/y.png\ta, b\n"),
        ] {
            let found = parsed(name, text.as_bytes());
            assert_eq!(found, Ok(expected.clone()), "{text}");
        }
        let quoted = parsed("l.csv", b"file_name,label\n\"b, c.png\",dog\n").unwrap();
        assert_eq!(quoted.0, [PathBuf::from("b, c.png")]);
    }

    #[test]
    fn what_is_no_such_table_is_refused() {
        for (text, words) in [
            (
                b"a,b\n1,2\n".as_slice(),
                "columns [\"a\", \"b\"], expected file_name and label",
            ),
            (
                b"image;class;category\nx.png;1;2\n",
                "[\"class\", \"category\"] may all be the label",
            ),
            (b"file_name,label\nx.png,\n", "record 1 has no label"),
            (
                b"file_name,label\nx.png,a\n,b\n",
                "record 2 has no file_name",
            ),
            (b"file_name,label\nx.png\n", "l.csv"),
            (
                b"file_name,label\nx.png,a\na/y.png,b\nx.png,b\n",
                "x.png \"b\" and record 1 \"a\": expected one label for each picture",
            ),
            (
                b"file_name,label,partition\nx.png,a,0\na/y.png,b,1\n",
                "record 1 has the partition \"0\", expected train, validation or test",
            ),
            (
                b"file_name,label,set,subset\nx.png,a,train,1\n",
                "[\"set\", \"subset\"] may all be the split",
            ),
            (
                b"file_name,label\nno.png,a\nneither.png,b\n",
                "none of its 2 files is there; the first is",
            ),
            (b"\xff\xfef\0", "is UTF-16"),
            (b"file_name,label\nx.png,caf\xe9\n", "byte 25 is not UTF-8"),
            (b"", "expected file_name and label"),
            (
                b"version https://git-lfs.github.com/spec/v1\noid",
                "Git LFS pointer",
            ),
        ] {
            let error = parsed("l.csv", text).unwrap_err();
            assert!(error.contains(words), "{error}");
        }
    }
}

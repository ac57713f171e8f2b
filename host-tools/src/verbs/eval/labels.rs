//! Which label of the model each class of a data set is.

use std::path::Path;

use igpt_runtime::tools::one_line;

use super::error::EvalError;
use crate::labelled::LabelledSet;

/// Labels that an error lists.
const LISTED: usize = 20;

/// The model's index of every class of `set`.
///
/// A numbered class (IDX) is its number. A named one is the label of that name; if there is none, the only
/// label that is the same but for case and punctuation, which a folder's name may lack; and if every class is
/// a whole number, the label of that number.
///
/// # Errors
/// A class that the model has no label for.
pub(super) fn of_classes(
    set: &LabelledSet,
    labels: &[String],
    data: &Path,
    file: &Path,
) -> Result<Vec<usize>, EvalError> {
    if !set.is_numbered() {
        let named: Option<Vec<usize>> = set.classes.iter().map(|c| find(c, labels)).collect();
        if let Some(named) = named {
            return Ok(named);
        }
    }
    // pandas writes whole numbers as 3.0 where one is missing.
    let number = |class: &String| class.strip_suffix(".0").unwrap_or(class).parse().ok();
    let numbers: Option<Vec<usize>> = set.classes.iter().map(number).collect();
    let Some(numbers) = numbers else {
        let unknown = set.classes.iter().find(|c| find(c, labels).is_none());
        return Err(EvalError::UnknownClass {
            data: data.to_owned(),
            class: unknown.cloned().unwrap_or_default(),
            file: file.to_owned(),
            labels: listed(labels),
        });
    };
    match numbers.iter().max().filter(|last| **last >= labels.len()) {
        Some(last) => Err(EvalError::LabelRange {
            data: data.to_owned(),
            label: *last,
            file: file.to_owned(),
            labels: labels.len(),
        }),
        None => Ok(numbers),
    }
}

fn find(class: &str, labels: &[String]) -> Option<usize> {
    let exact = labels.iter().position(|label| label == class);
    exact.or_else(|| {
        let plain = plain(class);
        let mut alike = labels
            .iter()
            .enumerate()
            .filter(|(_, l)| self::plain(l) == plain);
        let first = alike.next().filter(|_| !plain.is_empty());
        // Two that are alike: only the exact name tells them apart.
        first
            .filter(|_| alike.next().is_none())
            .map(|(index, _)| index)
    })
}

/// A name without case and punctuation.
fn plain(name: &str) -> String {
    let kept = name.chars().filter(|c| c.is_alphanumeric());
    kept.flat_map(char::to_lowercase).collect()
}

fn listed(labels: &[String]) -> String {
    let names: Vec<_> = labels.iter().take(LISTED).map(|l| one_line(l)).collect();
    let more = labels.len() - names.len();
    let names = names.join(", ");
    if more == 0 {
        return names;
    }
    format!("{names} and {more} more")
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::labelled::Part;

    fn map(folders: &[&str], labels: &[&str]) -> Result<Vec<usize>, String> {
        let folder = tempfile::tempdir().unwrap();
        for name in folders {
            fs::create_dir(folder.path().join(name)).unwrap();
            fs::write(folder.path().join(name).join("1.png"), "").unwrap();
        }
        let (set, _) = LabelledSet::read(folder.path(), Part::Test).unwrap();
        let labels: Vec<String> = labels.iter().map(|l| (*l).to_owned()).collect();
        of_classes(&set, &labels, Path::new("data"), Path::new("m.onnx")).map_err(|e| e.to_string())
    }

    #[test]
    fn folders_are_labels_by_name_else_but_for_punctuation_else_by_number() {
        let labels = ["T-shirt/top", "Ankle boot", "2"];
        assert_eq!(map(&["Ankle boot"], &labels).unwrap(), [1]);
        // Folders are read in the order of their names.
        assert_eq!(
            map(&["ankle_boot", "t-shirt-top"], &labels).unwrap(),
            [1, 0]
        );
        assert_eq!(map(&["0", "2"], &labels).unwrap(), [0, 2]);
        assert_eq!(map(&["00001", "2.0"], &labels).unwrap(), [1, 2]);
        // Names go before numbers: these labels are numbers in another order.
        assert_eq!(map(&["0", "1"], &["1", "0"]).unwrap(), [1, 0]);
        assert_eq!(map(&["C++"], &["C", "C++"]).unwrap(), [1]);
    }

    #[test]
    fn a_class_without_a_label_is_named() {
        let labels = ["cat", "dog"];
        let error = map(&["cat", "cow"], &labels).unwrap_err();
        assert_eq!(
            error,
            "data: class \"cow\" is no label of m.onnx, expected one of cat, dog"
        );
        let error = map(&["0", "2"], &labels).unwrap_err();
        assert_eq!(
            error,
            "data: label 2, expected 0 to 1 as m.onnx has 2 of them"
        );
        // Alike twice, exact never.
        assert!(map(&["c"], &["C", "C++"]).unwrap_err().contains("\"c\""));
        assert!(map(&["-"], &["+", "cat"]).unwrap_err().contains("\"-\""));
    }
}

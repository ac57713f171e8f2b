//! Every layout of folders that data sets come in: read, or refused by name.

use super::*;

fn folder(files: &[&str]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for file in files {
        let path = folder.path().join(file);
        if file.ends_with('/') {
            fs::create_dir_all(path).unwrap();
            continue;
        }
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "").unwrap();
    }
    folder
}

/// `split: class=images ...`, then `+` if the other part is there.
fn read(files: &[&str], part: Part) -> Result<String, String> {
    let folder = folder(files);
    let read = choose(folder.path(), part).and_then(|chosen| {
        let classes = classes(&chosen)?;
        let count = |class: usize| {
            classes
                .labels
                .iter()
                .filter(|label| **label == class)
                .count()
        };
        let named: Vec<String> = classes
            .names
            .iter()
            .enumerate()
            .map(|(i, name)| format!("{name}={}", count(i)))
            .collect();
        let split = chosen
            .split
            .map_or_else(String::new, |split| format!("{split}: "));
        Ok(format!(
            "{split}{}{}",
            named.join(" "),
            if chosen.other { " +" } else { "" }
        ))
    });
    let root = folder.path().display().to_string();
    read.map_err(|error| format!("{error:#}").replace(&root, "D"))
}

#[test]
fn splits_by_hugging_faces_names_in_any_case() {
    for (train, test) in [
        ("train", "test"),
        ("train", "val"),
        ("train", "valid"),
        ("train", "validation"),
        ("train", "dev"),
        ("training", "testing"),
        ("Train", "Test"),
        ("TRAIN", "eval"),
        ("Training", "Evaluation"),
        ("training_set", "test_set"),
        ("seg_train", "seg_test"),
        ("train2017", "val2017"),
        ("train", "test-1"),
    ] {
        let files = [
            format!("{train}/a/1.png"),
            format!("{train}/a/deep/2.png"),
            format!("{train}/b/3.png"),
            format!("{test}/a/1.png"),
            format!("{test}/b/deep/2.png"),
            "readme.txt".to_owned(),
        ];
        let files: Vec<&str> = files.iter().map(String::as_str).collect();
        assert_eq!(read(&files, Part::Train), Ok(format!("{train}: a=2 b=1 +")));
        assert_eq!(read(&files, Part::Test), Ok(format!("{test}: a=1 b=1 +")));
    }
}

#[test]
fn the_test_split_goes_before_the_validation_split() {
    let files = [
        "train/a/1.png",
        "valid/a/1.png",
        "test/a/1.png",
        "test/b/1.png",
    ];
    assert_eq!(read(&files, Part::Test), Ok("test: a=1 b=1 +".into()));
    assert_eq!(read(&files, Part::Train), Ok("train: a=1 +".into()));
}

#[test]
fn one_split_alone_serves_its_own_purpose_only() {
    assert_eq!(
        read(&["train/a/1.png"], Part::Train),
        Ok("train: a=1".into())
    );
    assert_eq!(read(&["Val/a/1.png"], Part::Test), Ok("Val: a=1".into()));
    assert_eq!(
        read(&["train/a/1.png"], Part::Test),
        Err("D: holds train, but no test or validation split: to measure on that nevertheless name it itself, as \
             D/train".into())
    );
    let error = read(&["test/a/1.png"], Part::Train).unwrap_err();
    assert!(
        error.contains("no training split") && error.ends_with("as D/test"),
        "{error}"
    );
}

#[test]
fn words_of_splits_in_names_of_classes_are_classes() {
    for (files, classes) in [
        (
            &["bullet_train/1.png", "car/1.png"][..],
            "bullet_train=1 car=1",
        ),
        (
            &["steam train/1.png", "bullet-train/1.png"],
            "bullet-train=1 steam train=1",
        ),
        (&["trainer/1.png", "contest/1.png"], "contest=1 trainer=1"),
        (&["10/1.png", "9/1.png", "0/1.png"], "0=1 9=1 10=1"),
        (&["a10/1.png", "a9/1.png"], "a10=1 a9=1"),
        (
            &["a/1.png", "__MACOSX/a/._1.png", "notes/x.txt", "b/1.png"],
            "a=1 b=1",
        ),
    ] {
        assert_eq!(read(files, Part::Train), Ok(classes.into()));
        assert_eq!(read(files, Part::Test), Ok(classes.into()));
    }
}

#[test]
fn an_archive_within_a_folder_of_its_name_is_unpacked() {
    let files = [
        "seg_train/seg_train/a/1.png",
        "seg_train/seg_train/b/1.png",
        "seg_test/seg_test/a/1.png",
    ];
    assert_eq!(read(&files, Part::Train), Ok("seg_train: a=1 b=1 +".into()));
    assert_eq!(read(&files, Part::Test), Ok("seg_test: a=1 +".into()));
}

#[test]
fn what_looks_like_a_split_and_cannot_be_one_is_refused_by_name() {
    for (files, words) in [
        (
            &["train/a/1.png", "cat/1.png"][..],
            "D: train by its name is a split of a data set, but beside it there is cat",
        ),
        (
            &["train/1.png", "cat/1.png"],
            "if train is a class, list the images in a CSV",
        ),
        (
            &["Train/a/1.png", "Test/a/1.png", "Meta/1.png"],
            "Test and Train by their names are splits of a data set, but beside them there is Meta",
        ),
        (
            &["seg_train/a/1.png", "seg_pred/1.png"],
            "beside it there is seg_pred",
        ),
        (
            &["train/a/1.png", "val/a/1.png", "1.png"],
            "beside them there is 1 picture",
        ),
        (
            &["train/1.png", "test/1.png"],
            "is a split by its name, but holds 1 picture and no folder",
        ),
        (
            &["train_images/1.png", "test_images/1.png"],
            "is a split by its name, but holds 1 picture and no folder",
        ),
        (
            &["train/a/1.png", "training/a/1.png"],
            "D: train and training are all the training split",
        ),
        (
            &["train/a/1.png", "val/a/1.png", "dev/a/1.png"],
            "dev and val are all the validation split",
        ),
        (
            &["cat/train/1.png", "cat/test/1.png", "dog/train/1.png"],
            "D/cat: holds test, a split by its name",
        ),
        (
            &["archive/train/a/1.png", "archive/test/a/1.png"],
            "if archive is the data set, name it itself",
        ),
        (
            &["1.png", "labels.csv"],
            "D: no folders of pictures in it, expected one for each class, called as the class, or IDX files, or in its place a CSV of file_name and label (docs/data.md); it holds 1 picture; if D/labels.csv says the classes, name it instead",
        ),
        (&["a/notes.txt"], "no folders of pictures"),
    ] {
        let error = read(files, Part::Test).unwrap_err();
        assert!(error.contains(words), "{files:?}: {error}");
    }
}

#[test]
fn a_split_without_pictures_is_refused_by_name() {
    let error = read(&["train/a/1.png", "test/a/"], Part::Test).unwrap_err();
    assert!(
        error.contains("no test or validation split (in test is no picture)"),
        "{error}"
    );
}

#[cfg(unix)]
#[test]
fn what_is_passed_over_in_a_class_is_named_and_links_are_followed() {
    let root = folder(&[
        "a/1.png",
        "a/.x.png",
        "a/notes.txt",
        "b/2.png",
        "loose.png",
        "empty/",
    ]);
    let far = folder(&["3.png"]);
    std::os::unix::fs::symlink(far.path(), root.path().join("a/more")).unwrap();
    std::os::unix::fs::symlink(root.path().join("a"), root.path().join("a/self")).unwrap();
    std::os::unix::fs::symlink(far.path(), root.path().join("linked class")).unwrap();
    let classes = classes(&choose(root.path(), Part::Train).unwrap()).unwrap();
    assert_eq!(classes.names, ["a", "b", "linked class"]);
    assert_eq!(classes.labels, [0, 0, 1, 2]);
    let named: Vec<(String, Reason)> = classes
        .passed_over
        .named()
        .iter()
        .map(|p| {
            (
                p.file
                    .strip_prefix(root.path())
                    .unwrap()
                    .display()
                    .to_string(),
                p.reason.clone(),
            )
        })
        .collect();
    assert_eq!(
        named,
        [
            ("empty".to_owned(), Reason::NoImage),
            ("loose.png".to_owned(), Reason::NoClass),
            ("a/.x.png".to_owned(), Reason::Hidden),
            ("a/notes.txt".to_owned(), Reason::Extension),
            (
                "a/self".to_owned(),
                Reason::Other("a link to a folder that it lies in".into())
            ),
        ]
    );
}

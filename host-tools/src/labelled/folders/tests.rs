//! Every layout of folders that data sets come in: read, or refused by name.

use super::*;
use crate::test_folder::folder;

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
        ("trainset", "testset"),
        ("TrainingSet", "ValSet"),
        ("trainA", "testA"),
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
            "If archive is the data set, name it itself",
        ),
        (
            &["1.png", "labels.csv"],
            "D: no folders of pictures in it, expected one for each class, called as the class, or IDX files, or in its place a CSV of file_name and label (docs/data.md); it holds 1 picture; if D/labels.csv says the classes, name it instead",
        ),
        (&["a/notes.txt"], "no folders of pictures"),
        (
            &["trainA/1.png", "trainB/1.png", "testA/1.png", "testB/1.png"],
            "trainA and trainB are all the training split by their names",
        ),
        (
            &[
                "cat/train_imgs/1.png",
                "cat/test_imgs/1.png",
                "dog/train_imgs/1.png",
            ],
            "D/cat: holds test_imgs and train_imgs, splits by their names, and is a class by its place",
        ),
        (
            &["cat/2017_train/1.png", "cat/2017_val/1.png", "dog/1.png"],
            "D/cat: holds 2017_train and 2017_val, splits by their names",
        ),
        (
            &["a/cat/x/trainset/1.png", "a/cat/x/testset/1.png", "b/1.png"],
            "D/a: holds cat/x/testset and cat/x/trainset, splits by their names",
        ),
    ] {
        let error = read(files, Part::Test).unwrap_err();
        assert!(error.contains(words), "{files:?}: {error}");
    }
}

#[test]
fn folders_that_all_hold_the_same_folders_are_parts_and_no_classes() {
    let of = |parts: &[&str], classes: &[&str]| -> Vec<String> {
        let file = |part: &&str| {
            let part = (*part).to_owned();
            let each = classes.iter();
            each.map(move |class| format!("{part}/{class}/1.png"))
                .collect::<Vec<_>>()
        };
        parts.iter().flat_map(file).collect()
    };
    for parts in [
        &["trn", "tst"][..],
        &["te", "tr"],
        &["fold1", "fold2", "fold3"],
        &["split1", "split2"],
        &["gallery", "query"],
        &["labeled", "unlabeled"],
        &["2019", "2020"],
    ] {
        let mut files = of(parts, &["cat", "dog"]);
        for extra in ["", "third/fox/1.png", "plain/1.png"] {
            files.extend((!extra.is_empty()).then(|| extra.to_owned()));
            let files: Vec<&str> = files.iter().map(String::as_str).collect();
            let error = read(&files, Part::Train).unwrap_err();
            let names = format!("{} hold no pictures themselves", listed(parts));
            assert!(
                error.contains(&names) && error.contains("of the same names (cat and dog)"),
                "{error}"
            );
            assert!(error.contains(&format!("as D/{}", parts[0])), "{error}");
        }
    }
    // One part may lack a class; and the folder of a split may hold such parts too.
    let mut files = of(&["tst"], &["cat", "dog"]);
    files.extend(of(&["trn"], &["cat", "dog", "fox"]));
    let files: Vec<&str> = files.iter().map(String::as_str).collect();
    let error = read(&files, Part::Train).unwrap_err();
    assert!(
        error.contains("trn and tst hold no pictures themselves"),
        "{error}"
    );
    let files = of(&["train/x", "train/y", "test"], &["cat", "dog"]);
    let files: Vec<&str> = files.iter().map(String::as_str).collect();
    let error = read(&files, Part::Train).unwrap_err();
    assert!(error.contains("D/train: x and y hold no"), "{error}");
}

#[test]
fn classes_may_hold_folders_that_are_not_the_same() {
    for (files, classes) in [
        // The same folder once, as archives and tools make it.
        (&["cat/images/1.png", "dog/images/1.png"][..], "cat=1 dog=1"),
        (
            &[
                "cat/old/1.png",
                "cat/new/2.png",
                "dog/left/1.png",
                "dog/right/2.png",
            ],
            "cat=2 dog=2",
        ),
        // Pictures beside them: as classes have.
        (
            &[
                "cat/1.png",
                "cat/l/1.png",
                "cat/r/1.png",
                "dog/1.png",
                "dog/l/1.png",
                "dog/r/1.png",
            ],
            "cat=3 dog=3",
        ),
        // Two of many.
        (
            &[
                "a/l/1.png",
                "a/r/1.png",
                "b/l/1.png",
                "b/r/1.png",
                "c/1.png",
                "d/1.png",
                "e/1.png",
            ],
            "a=2 b=2 c=1 d=1 e=1",
        ),
        (
            &["road/bullet_train/1.png", "road/car/1.png", "sky/1.png"],
            "road=2 sky=1",
        ),
    ] {
        assert_eq!(read(files, Part::Train), Ok(classes.into()));
    }
}

#[cfg(unix)]
#[test]
fn a_picture_that_a_link_puts_into_two_classes_is_refused_by_both_names() {
    use std::os::unix::fs::symlink;

    for (target, link, found) in [
        (
            "../a",
            "b/other",
            "D/b/other/1.png: is by a link the same picture as D/a/1.png",
        ),
        (
            "../b",
            "a/other",
            "D/a/other/2.png: is by a link the same picture as D/b/2.png",
        ),
        (
            "../a/1.png",
            "b/3.png",
            "D/b/3.png: is by a link the same picture as D/a/1.png",
        ),
        (
            "a",
            "c",
            "D/c/1.png: is by a link the same picture as D/a/1.png",
        ),
    ] {
        let root = folder(&["a/1.png", "b/2.png"]);
        symlink(target, root.path().join(link)).unwrap();
        let chosen = choose(root.path(), Part::Train).unwrap();
        let error = classes(&chosen).unwrap_err().to_string();
        let error = error.replace(&root.path().display().to_string(), "D");
        assert!(error.contains(found), "{error}");
        assert!(
            error.contains("expected each picture in one class"),
            "{error}"
        );
    }
    // From outside into two, and twice into one.
    let far = folder(&["far.png"]);
    for (second, refused) in [("b/x.png", true), ("a/y.png", false)] {
        let root = folder(&["a/1.png", "b/2.png"]);
        symlink(far.path().join("far.png"), root.path().join("a/x.png")).unwrap();
        symlink(far.path().join("far.png"), root.path().join(second)).unwrap();
        // Links to nothing are told of where they are read.
        symlink("nowhere", root.path().join("b/broken.png")).unwrap();
        let chosen = choose(root.path(), Part::Train).unwrap();
        assert_eq!(classes(&chosen).is_err(), refused, "{second}");
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
    let farther = folder(&["4.png"]);
    std::os::unix::fs::symlink(far.path(), root.path().join("a/more")).unwrap();
    std::os::unix::fs::symlink(root.path().join("a"), root.path().join("a/self")).unwrap();
    std::os::unix::fs::symlink(farther.path(), root.path().join("linked class")).unwrap();
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

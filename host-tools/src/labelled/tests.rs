//! Data sets of every form, read.

use super::*;
use crate::test_folder::folder;

#[test]
fn folders_are_classes_and_parts_are_found() {
    let flat = folder(&[
        "cat/1.png",
        "cat/2.jpg",
        "ant/x/3.png",
        "readme.txt",
        ".git/4.png",
    ]);
    let (set, other) = LabelledSet::read(flat.path(), Part::Train).unwrap();
    assert!(!other);
    assert_eq!(
        (set.classes.join(","), set.labels),
        ("ant,cat".into(), vec![0, 1, 1])
    );
    let parts = folder(&["train/a/1.png", "train/b/2.png", "val/b/3.png"]);
    let (train, other) = LabelledSet::read(parts.path(), Part::Train).unwrap();
    assert!(other);
    assert_eq!((train.len(), train.classes.len()), (2, 2));
    let (test, _) = LabelledSet::read(parts.path(), Part::Test).unwrap();
    let test = test.with_classes(&train.classes, parts.path()).unwrap();
    assert_eq!(test.labels, [1], "b, as it was fitted");
    let error = train.with_classes(&["b".into()], parts.path()).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("\"a\" is not among those fitted: b"),
        "{error}"
    );
}

#[test]
fn a_table_names_files_beside_it() {
    let folder = folder(&["x.png", "y.png", "z.png"]);
    let path = folder.path().join("labels.csv");
    fs::write(
        &path,
        "label,file_name\ndog,x.png\n\"a, b\",y.png\ndog,z.png\n",
    )
    .unwrap();
    let (set, _) = LabelledSet::read(&path, Part::Train).unwrap();
    assert_eq!(
        (set.classes.join(";"), &set.labels),
        ("a, b;dog".into(), &vec![1, 0, 1])
    );
    fs::write(&path, "label,file_name\n10,x.png\n9,y.png\n10,z.png\n").unwrap();
    let (set, _) = LabelledSet::read(&path, Part::Train).unwrap();
    assert_eq!(
        (set.classes.join(";"), &set.labels),
        ("9;10".into(), &vec![1, 0, 1])
    );
    fs::write(
        &path,
        "label,file_name,split\n10,x.png,train\n9,y.png,train\n10,z.png,test\n",
    )
    .unwrap();
    for (part, labels) in [(Part::Train, &[1, 0][..]), (Part::Test, &[0])] {
        let (set, other) = LabelledSet::read(&path, part).unwrap();
        assert_eq!((set.labels.as_slice(), other), (labels, true));
        let name = if part == Part::Train { "train" } else { "test" };
        assert_eq!(set.split.as_deref(), Some(name));
        let set = LabelledSet::read_unlabelled(&path, part).unwrap();
        assert_eq!(set.len(), labels.len());
    }
    fs::write(&path, "file_name,label\n").unwrap();
    let error = LabelledSet::read(&path, Part::Train)
        .unwrap_err()
        .to_string();
    assert!(error.contains("no images"), "{error}");
    fs::write(&path, "file_name\nx.png\n").unwrap();
    assert_eq!(
        LabelledSet::read_unlabelled(&path, Part::Test)
            .unwrap()
            .len(),
        1
    );
    assert!(LabelledSet::read(&path, Part::Test).is_err());
}

#[test]
fn without_classes_splits_still_count() {
    let folder = folder(&[
        "train/1.png",
        "train/x/2.png",
        "test/3.png",
        "test/notes.txt",
    ]);
    let names = |part| {
        let set = LabelledSet::read_unlabelled(folder.path(), part).unwrap();
        (set.len(), set.split.unwrap(), set.passed_over.len())
    };
    assert_eq!(names(Part::Train), (2, "train".into(), 0));
    assert_eq!(names(Part::Test), (1, "test".into(), 1));
    fs::write(folder.path().join("loose.png"), "").unwrap();
    let set = LabelledSet::read_unlabelled(folder.path(), Part::Test).unwrap();
    assert_eq!((set.len(), set.split), (4, None), "a folder as any other");
    let one = self::folder(&["test/3.png"]);
    assert_eq!(
        LabelledSet::read_unlabelled(one.path(), Part::Train)
            .unwrap()
            .len(),
        1
    );
    let one = self::folder(&["train/3.png"]);
    assert!(LabelledSet::read_unlabelled(one.path(), Part::Test).is_err());
}

#[test]
fn every_class_is_on_both_sides_of_a_split() {
    let set = LabelledSet {
        images: Images::Files(Vec::new()),
        labels: (0..100).map(|i| usize::from(i >= 95)).collect(),
        classes: vec!["many".into(), "few".into()],
        split: None,
        passed_over: PassedOver::default(),
    };
    let all = set.sample(None, 0);
    let (train, test) = set.split(&all, 0.2, 3);
    let few = |part: &[usize]| part.iter().filter(|i| **i >= 95).count();
    assert_eq!(
        (train.len(), test.len(), few(&train), few(&test)),
        (80, 20, 4, 1)
    );
    assert!(train.iter().all(|i| !test.contains(i)));
    assert_eq!(set.split(&all, 0.2, 3), (train.clone(), test));
    assert_ne!(set.split(&all, 0.2, 4).0, train);
    assert_eq!(set.sample(Some(10), 1).len(), 10);
}

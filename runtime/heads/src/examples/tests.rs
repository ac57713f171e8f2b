use proptest::prelude::*;

use super::*;

fn empty() -> Examples {
    let layer = |number, width| Layer { number, width };
    Examples::new(vec![layer(2, 2), layer(4, 1)])
}

fn show(examples: &mut Examples, label: Option<&str>, values: &[f32]) -> Vec<Added> {
    let showing = examples.begin(label).unwrap();
    let add = |value: &f32| {
        let features: [&[f32]; 2] = [&[*value, 1.0], &[1.0]];
        examples.add(showing, label, &features).unwrap()
    };
    values.iter().map(add).collect()
}

#[test]
fn near_duplicates_of_one_showing_count_once() {
    use Added::{Duplicate, New};
    let mut examples = empty();
    let added = show(&mut examples, Some("mug"), &[1.0, 1.001, 2.0]);
    assert_eq!(added, [New, Duplicate, New]);
    // Another showing of the same is an example more: another day.
    assert_eq!(show(&mut examples, Some("mug"), &[1.0]), [New]);
    let class = &examples.classes()[0];
    assert_eq!((class.examples, class.showings, class.pictures), (3, 2, 4));
}

#[test]
fn showings_and_forgetting_are_undone_one_by_one() {
    let mut examples = empty();
    show(&mut examples, Some("mug"), &[1.0, 2.0]);
    show(&mut examples, None, &[5.0]);
    show(&mut examples, Some("mug"), &[3.0]);
    let before = examples.classes();
    assert_eq!(examples.forget(Some("mug")).unwrap(), 3);
    assert!(examples.classes().is_empty());
    let label = Some("mug".to_owned());
    let undone = examples.undo();
    assert_eq!(
        undone,
        Some(Undone::Forgotten {
            label: label.clone(),
            examples: 3
        })
    );
    assert_eq!(examples.classes(), before);
    assert_eq!(
        examples.undo(),
        Some(Undone::Taught {
            label: label.clone(),
            examples: 1
        })
    );
    assert_eq!(
        examples.undo(),
        Some(Undone::Taught {
            label: None,
            examples: 1
        })
    );
    assert!(examples.negatives().is_none());
    assert_eq!(examples.undo(), Some(Undone::Taught { label, examples: 2 }));
    assert_eq!(examples.undo(), None);
    assert_eq!(examples.list.len(), 0);
}

#[test]
fn what_cannot_be_a_class_is_refused_by_name() {
    let mut examples = empty();
    for label in ["", " ", "mug ", "a\nb", NONE, &"x".repeat(101)] {
        let error = examples.begin(Some(label)).unwrap_err().to_string();
        assert!(error.starts_with(&format!("label {label:?}: ")), "{error}");
    }
    let error = examples.forget(Some("cup")).unwrap_err().to_string();
    assert!(
        error.contains("\"cup\"") && error.contains("nothing was taught"),
        "{error}"
    );
    show(&mut examples, Some("mug"), &[1.0]);
    let error = examples.forget(Some("cup")).unwrap_err().to_string();
    assert!(error.contains("\"mug\""), "{error}");
    let showing = examples.begin(Some("mug")).unwrap();
    let wrong: [&[f32]; 2] = [&[1.0], &[1.0]];
    assert!(examples.add(showing, Some("mug"), &wrong).is_err());
    let nan: [&[f32]; 2] = [&[1.0, f32::NAN], &[1.0]];
    assert_eq!(
        examples.add(showing, None, &nan),
        Err(ExampleError::NotFinite)
    );
}

#[test]
fn there_is_an_end_to_examples() {
    let mut examples = empty();
    let showing = examples.begin(Some("mug")).unwrap();
    let add = |examples: &mut Examples, i: usize| {
        let value = 1.08f32.powi(i as i32);
        let features: [&[f32]; 2] = [&[value, -value], &[i as f32]];
        examples.add(showing, Some("mug"), &features)
    };
    for i in 1..=MOST_EXAMPLES {
        assert_eq!(add(&mut examples, i), Ok(Added::New), "{i}");
    }
    assert_eq!(
        add(&mut examples, MOST_EXAMPLES + 1),
        Err(ExampleError::Examples(MOST_EXAMPLES))
    );
}

proptest! {
    /// Whatever was done: each undo takes back the last thing that can be, and after as many there is nothing.
    #[test]
    fn undo_ends(actions in prop::collection::vec((0u8..4, 0u8..3), 0..12)) {
        let mut examples = empty();
        let labels = [Some("a"), Some("b"), None];
        for (action, label) in &actions {
            let label = labels[usize::from(*label)];
            match action {
                0 => { examples.undo(); }
                1 => { let _ = examples.forget(label); }
                _ => { show(&mut examples, label, &[1.0, 9.0]); }
            }
        }
        let mut undone = 0;
        while examples.undo().is_some() {
            undone += 1;
            prop_assert!(undone <= actions.len());
        }
        prop_assert!(examples.list.is_empty());
    }
}

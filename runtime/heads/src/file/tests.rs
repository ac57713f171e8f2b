use proptest::prelude::*;

use super::*;
use crate::examples::Added;

fn binding() -> Binding {
    let layer = |number, width| Layer { number, width };
    Binding {
        model: "photos".into(),
        model_crc32: "00c0ffee".into(),
        layers: vec![layer(2, 2), layer(4, 1)],
        preprocessing: "imagegpt 14x14 pil".into(),
        orientation: 1,
    }
}

fn examples(values: &[(Option<&str>, f32)]) -> Examples {
    let mut examples = Examples::new(binding().layers);
    for (label, value) in values {
        let showing = examples.begin(*label).unwrap();
        let features: [&[f32]; 2] = [&[*value, 1.0], &[0.5]];
        assert_eq!(examples.add(showing, *label, &features), Ok(Added::New));
    }
    examples
}

#[test]
fn what_is_written_is_read_and_damage_is_named() {
    let mut examples = examples(&[(Some("mug"), 1.0), (None, -2.5), (Some("cup"), 3.0)]);
    examples.forget(Some("cup")).unwrap();
    let bytes = encode(&binding(), &examples);
    assert_eq!(decode(&bytes).unwrap(), (binding(), examples));
    let said = |bytes: &[u8]| decode(bytes).unwrap_err().to_string();
    for at in 16..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 4;
        assert!(said(&damaged).contains("checksum"), "{at}");
    }
    for length in 16..bytes.len() {
        let error = said(&bytes[..length]);
        assert!(
            error.contains("checksum") || error.contains("cut off"),
            "{error}"
        );
    }
    assert!(said(b"PK\x03\x04").contains("not a file of taught examples"));
    let mut newer = bytes.clone();
    newer[12] = 2;
    assert!(said(&newer).contains("version 2"));
}

#[test]
fn every_mismatch_is_named() {
    let running = binding();
    for (what, change) in [
        (
            "model: photos (deadbeef), what runs is photos (00c0ffee)",
            Box::new(|b: &mut Binding| b.model_crc32 = "deadbeef".into())
                as Box<dyn Fn(&mut Binding)>,
        ),
        (
            "layers: 2 of 2, what runs is 2 of 2, 4 of 1",
            Box::new(|b| b.layers.truncate(1)),
        ),
        (
            "preprocessing: x",
            Box::new(|b| b.preprocessing = "x".into()),
        ),
        (
            "orientation: 6, what runs is 1",
            Box::new(|b| b.orientation = 6),
        ),
    ] {
        let mut other = binding();
        change(&mut other);
        let error = other.check(&running).unwrap_err().to_string();
        assert!(error.contains(what), "{error}");
    }
    let renamed = Binding {
        model: "last-good".into(),
        ..binding()
    };
    assert!(
        renamed.check(&running).is_ok(),
        "the same file by another name"
    );
}

#[test]
fn a_power_cut_leaves_the_old_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("photos.taught");
    assert!(load(&path).unwrap().is_none());
    let old = examples(&[(Some("mug"), 1.0)]);
    save(&path, &encode(&binding(), &old)).unwrap();
    // The power went while the next one was being written.
    fs::write(beside(&path), b"igpt-taught\nhalf").unwrap();
    assert_eq!(load(&path).unwrap().unwrap().1, old);
    let new = examples(&[(Some("mug"), 1.0), (Some("cup"), 2.0)]);
    save(&path, &encode(&binding(), &new)).unwrap();
    assert_eq!(load(&path).unwrap().unwrap().1, new);
    assert!(!beside(&path).exists());
    // It cannot be written: the old one stays.
    fs::create_dir(beside(&path)).unwrap();
    assert!(save(&path, b"").is_err());
    assert_eq!(load(&path).unwrap().unwrap().1, new);
}

proptest! {
    #[test]
    fn no_bytes_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..200), seal in any::<bool>()) {
        if seal {
            let mut sealed = MAGIC.to_vec();
            sealed.extend(VERSION.to_le_bytes());
            sealed.extend(&bytes);
            sealed.extend(crc32fast::hash(&sealed).to_le_bytes());
            bytes = sealed;
        }
        let _ = decode(&bytes);
    }
}

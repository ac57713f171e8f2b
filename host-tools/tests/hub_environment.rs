//! The hub's environment against tests/golden/hub_environment.json, which says what Python's huggingface_hub makes of
//! each of some hundred environments (tests/golden/hub_environment.py made it).

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Component, Path, PathBuf};

use igpt_tools::hub::Environment;
use igpt_tools::hub::token::{self, Credentials};
use serde_json::{Value, json};
use uzers::os::unix::UserExt;

/// A path as pathlib writes it: no `//`, no `/./`.
fn written(path: &Path) -> String {
    let parts = path.components().filter(|part| *part != Component::CurDir);
    let path: PathBuf = parts.collect();
    match path.to_str().unwrap() {
        "" => ".".to_owned(),
        path => path.to_owned(),
    }
}

/// What this program makes of a row, as the table has it.
fn ours(variables: &BTreeMap<String, OsString>) -> Value {
    let get = |name: &str| variables.get(name).cloned();
    let Ok(environment) = Environment::from_variables(&get) else {
        return json!({"error": true});
    };
    let token = match token::find(&get) {
        Ok(Credentials::Token(token)) => json!(token.header().unwrap().to_str().unwrap()),
        Ok(Credentials::None | Credentials::KeptBack) => Value::Null,
        Err(_) => json!({"error": true}),
    };
    json!({
        "cache": written(&environment.cache),
        "offline": environment.offline.is_some(),
        "token": token,
        "endpoint": environment.endpoint,
        "etag_timeout": environment.etag_timeout.as_secs(),
        "download_timeout": environment.download_timeout.as_secs(),
        "no_progress_bars": environment.no_progress_bars,
    })
}

/// Which exception Python raises is its own affair.
fn without_names(mut said: Value) -> Value {
    match said.as_object_mut() {
        Some(fields) if fields.contains_key("error") => json!({"error": true}),
        Some(fields) => {
            let token = fields["token"].take();
            fields["token"] = match token.is_object() {
                true => json!({"error": true}),
                false => token,
            };
            said
        }
        None => said,
    }
}

#[test]
fn every_environment_means_what_it_means_to_python() {
    let table = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden/hub_environment.json");
    let table: Value = serde_json::from_str(&fs::read_to_string(table).unwrap()).unwrap();
    let user = uzers::get_user_by_uid(uzers::get_current_uid()).unwrap();
    let passwd = format!("{}/", user.home_dir().display());
    let rows = table["rows"].as_array().unwrap();
    assert!(rows.len() > 300);
    // A relative token file is below the working folder, which all tests of a process share: only this one is here.
    let place = tempfile::tempdir().unwrap();
    let place = place.path().canonicalize().unwrap();
    let mut wrong = Vec::new();
    for (number, row) in rows.iter().enumerate() {
        let here = place.join(number.to_string());
        fs::create_dir_all(here.join("here")).unwrap();
        std::env::set_current_dir(here.join("here")).unwrap();
        let at = here.to_str().unwrap();
        let files = row.get("files").and_then(Value::as_object);
        for (path, text) in files.into_iter().flatten() {
            let path = PathBuf::from(path.replacen('@', at, 1));
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text.as_str().unwrap()).unwrap();
        }
        let environment = row["environment"].as_object().unwrap();
        let variables = environment.iter().map(|(name, value)| {
            let value = value.as_str().unwrap().replacen('@', at, 1);
            (name.clone(), OsString::from(value))
        });
        let ours = ours(&variables.collect());
        let python = without_names(row["python"].clone());
        let python = python
            .to_string()
            .replace('@', at)
            .replace("PASSWD/", &passwd);
        let python: Value = serde_json::from_str(&python).unwrap();
        if ours != python {
            let environment = &row["environment"];
            wrong.push(format!(
                "{environment}\n  python: {python}\n  ours:   {ours}"
            ));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {}:\n{}",
        wrong.len(),
        rows.len(),
        wrong.join("\n")
    );
}

/// What Python would take and then fail with, and what it says badly.
#[test]
fn what_cannot_work_names_the_variable() {
    let with = |name: &'static str, value: &'static str| {
        move |asked: &str| (asked == name).then(|| OsString::from(value))
    };
    for (name, value) in [
        ("HF_HUB_ETAG_TIMEOUT", "-1"),
        ("HF_HUB_DOWNLOAD_TIMEOUT", "10s"),
        ("HF_HUB_DOWNLOAD_TIMEOUT", "99999999999999999999999"),
        ("HF_HUB_CACHE", "~no-such-user/models"),
        ("HF_HOME", "~no-such-user"),
    ] {
        let error = Environment::from_variables(&with(name, value)).unwrap_err();
        assert!(error.to_string().starts_with(name), "{error}");
    }
    let error = token::find(&with("HF_OIDC_RESOURCE", "some/model")).unwrap_err();
    assert!(error.to_string().starts_with("HF_OIDC_RESOURCE"), "{error}");
    let found = token::find(&with("HF_TOKEN", "hf_secr\u{e9}t\u{7}")).unwrap();
    let Credentials::Token(token) = found else {
        panic!("{found:?}");
    };
    let error = token.header().unwrap_err().to_string();
    assert!(
        error.starts_with("HF_TOKEN") && !error.contains("secr"),
        "{error}"
    );
    assert!(!format!("{token:?}").contains("secr"));
}

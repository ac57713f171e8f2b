//! Typed access to the fields of a JSON object, with errors that name the field.

use serde_json::{Map, Value};

/// A field that does not hold what it should.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field} is {found}, expected {expected}")]
#[non_exhaustive]
pub struct FieldError {
    /// The field's name in the file.
    pub field: String,
    /// What it holds, shortened.
    pub found: String,
    /// What it should hold.
    pub expected: String,
}

impl FieldError {
    pub(crate) fn new(
        field: impl Into<String>,
        found: impl ToString,
        expected: impl Into<String>,
    ) -> Self {
        Self {
            field: field.into(),
            found: found.to_string(),
            expected: expected.into(),
        }
    }

    /// For a JSON value, which may be as long as its author liked.
    pub(crate) fn of_value(
        field: impl Into<String>,
        found: &Value,
        expected: impl Into<String>,
    ) -> Self {
        const SHOWN: usize = 60;
        let text = found.to_string();
        let found = match text.char_indices().nth(SHOWN) {
            Some((end, _)) => format!("{}...", text.get(..end).unwrap_or_default()),
            None => text,
        };
        Self {
            field: field.into(),
            found,
            expected: expected.into(),
        }
    }
}

/// A JSON object whose fields are optional: absent and `null` both mean the default, as in
/// Hugging Face's configs.
pub(crate) struct Fields<'a>(&'a Map<String, Value>);

impl<'a> Fields<'a> {
    /// The fields of `value`, which `what` describes in the error when it is no object.
    pub(crate) fn of(what: &str, value: &'a Value) -> Result<Self, FieldError> {
        match value {
            Value::Object(map) => Ok(Self(map)),
            other => Err(FieldError::of_value(what, other, "a JSON object")),
        }
    }

    /// The value of a field that is present and not null.
    pub(crate) fn get(&self, name: &str) -> Option<&'a Value> {
        self.0.get(name).filter(|v| !v.is_null())
    }

    fn typed<T>(
        &self,
        name: &str,
        expected: &str,
        read: impl FnOnce(&'a Value) -> Option<T>,
    ) -> Result<Option<T>, FieldError> {
        let Some(value) = self.get(name) else {
            return Ok(None);
        };
        match read(value) {
            Some(v) => Ok(Some(v)),
            None => Err(FieldError::of_value(name, value, expected)),
        }
    }

    pub(crate) fn bool(&self, name: &str) -> Result<Option<bool>, FieldError> {
        self.typed(name, "true or false", Value::as_bool)
    }

    pub(crate) fn usize(&self, name: &str) -> Result<Option<usize>, FieldError> {
        self.typed(name, "a non-negative integer", as_usize)
    }

    /// A finite number.
    pub(crate) fn f64(&self, name: &str) -> Result<Option<f64>, FieldError> {
        self.typed(name, "a number", Value::as_f64)
    }

    pub(crate) fn str(&self, name: &str) -> Result<Option<&'a str>, FieldError> {
        self.typed(name, "a string", Value::as_str)
    }

    pub(crate) fn array(&self, name: &str) -> Result<Option<&'a [Value]>, FieldError> {
        self.typed(name, "an array", |v| v.as_array().map(Vec::as_slice))
    }

    pub(crate) fn object(&self, name: &str) -> Result<Option<&'a Map<String, Value>>, FieldError> {
        self.typed(name, "an object", Value::as_object)
    }
}

/// An integer that fits the machine.
pub(crate) fn as_usize(value: &Value) -> Option<usize> {
    value.as_u64().and_then(|n| usize::try_from(n).ok())
}

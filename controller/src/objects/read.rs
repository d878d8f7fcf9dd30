//! JSON values to objects. Whatever the source, this is where the fields of a kind
//! are read: the code for that is large, and so is in the program once.

use std::fmt;

use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_path_to_error::Segment;

/// Why a value is no object of its kind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{path}`: {reason}")]
pub struct Unread {
    /// The field.
    pub path: FieldPath,
    /// What is wrong with it, and how to mend it where that is known.
    pub reason: String,
}

/// Where a field is in its object, for example `spec.ports[0].port`; `.` is the object
/// itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldPath(pub(crate) Vec<Step>);

/// One step into an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Of a map.
    Key(Box<str>),
    /// In a list.
    Index(usize),
}

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str(".");
        }
        for (index, step) in self.0.iter().enumerate() {
            match step {
                Step::Key(key) if index == 0 => f.write_str(key)?,
                Step::Key(key) => write!(f, ".{key}")?,
                Step::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

/// Reads all fields of a `T`.
///
/// # Errors
/// Names the first field that makes no sense.
pub(crate) fn fields<T: DeserializeOwned>(mut value: Value) -> Result<T, Unread> {
    // Who wrote which field is half of an object's size, and nobody reads it.
    if let Some(Value::Object(metadata)) = value.get_mut("metadata") {
        metadata.remove("managedFields");
    }
    serde_path_to_error::deserialize(value).map_err(|error| unread(Vec::new(), error))
}

/// Reads the `spec` of an object.
///
/// # Errors
/// Names the first field of the object that makes no sense.
pub(crate) fn spec<T: DeserializeOwned>(spec: &Value) -> Result<T, Unread> {
    let steps = vec![Step::Key("spec".into())];
    serde_path_to_error::deserialize(spec).map_err(|error| unread(steps, error))
}

fn unread(mut steps: Vec<Step>, error: serde_path_to_error::Error<serde_json::Error>) -> Unread {
    steps.extend(error.path().iter().map_while(|segment| match segment {
        Segment::Map { key } => Some(Step::Key(key.as_str().into())),
        Segment::Seq { index } => Some(Step::Index(*index)),
        // Nothing that is read has them.
        Segment::Enum { .. } | Segment::Unknown => None,
    }));
    let mut reason = error.into_inner().to_string();
    if reason.starts_with("invalid type") && reason.ends_with("expected a string") {
        reason.push_str("; put it in quotes");
    }
    if reason.starts_with("invalid type: string") && reason.ends_with("expected a boolean") {
        reason.push_str("; write true or false");
    }
    Unread {
        path: FieldPath(steps),
        reason,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::objects::{Kind, Object};

    fn reason(kind: Kind, value: serde_json::Value) -> String {
        Object::read(kind, value).unwrap_err().to_string()
    }

    #[test]
    fn a_field_that_makes_no_sense_is_named() {
        let ports = json!({"metadata": {"name": "a"}, "spec": {"ports": [{"port": "eighty"}]}});
        assert_eq!(
            reason(Kind::Service, ports),
            "`spec.ports[0].port`: invalid type: string \"eighty\", expected i32"
        );
    }

    #[test]
    fn what_wants_quotes_is_told_so() {
        let annotations = json!({"metadata": {"name": "a", "annotations": {"example/on": true}}});
        assert_eq!(
            reason(Kind::Ingress, annotations),
            "`metadata.annotations.example/on`: invalid type: boolean `true`, expected a string; put it in quotes"
        );
    }

    #[test]
    fn something_else_is_no_object() {
        let error = Object::read(Kind::Ingress, json!("text")).unwrap_err();
        assert_eq!(error.path.to_string(), ".");
    }

    #[test]
    fn who_wrote_which_field_is_not_looked_at() {
        let value = json!({"metadata": {"name": "a", "managedFields": "nonsense"}});
        let object = Object::read(Kind::Secret, value).unwrap();
        assert_eq!(object.namespaced_name().to_string(), "/a");
    }
}

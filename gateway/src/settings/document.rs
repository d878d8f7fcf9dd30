//! The settings as documentation: every key with its default and its comment,
//! from the one place where they are written, the types.

use serde_json::Value;

use super::Settings;

/// One key of the settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// The key with those above it: `admin.port`.
    pub path: String,
    /// Its default as YAML; empty for a group of keys.
    pub default: String,
    /// Its comment, on one line.
    pub comment: String,
}

/// Every key in the order of declaration, groups before their keys.
pub fn keys() -> Vec<Key> {
    let schema = schemars::schema_for!(Settings).to_value();
    // Texts keep the declared order, which JSON objects here do not.
    let yaml = serde_saphyr::to_string(&Settings::default()).unwrap_or_default();
    let mut path: Vec<&str> = Vec::new();
    let mut keys: Vec<Key> = Vec::new();
    for line in yaml.lines() {
        let depth = (line.len() - line.trim_start().len()) / 2;
        let Some((name, default)) = line.trim_start().split_once(':') else {
            // An item of the list above.
            if let (Some(key), Some(item)) = (keys.last_mut(), line.trim_start().strip_prefix("- ")) {
                let items = key.default.trim_matches(['[', ']']);
                let separator = if items.is_empty() { "" } else { ", " };
                key.default = format!("[{items}{separator}{item}]");
            }
            continue;
        };
        path.truncate(depth);
        path.push(name);
        keys.push(Key {
            path: path.join("."),
            default: default.trim().to_owned(),
            comment: comment(&schema, &path).unwrap_or_default(),
        });
    }
    keys
}

/// The description of a key in the schema.
fn comment(schema: &Value, path: &[&str]) -> Option<String> {
    let mut object = schema;
    let mut property = schema;
    for name in path {
        property = object.get("properties")?.get(name)?;
        object = resolve(schema, property);
    }
    let text = property
        .get("description")
        .or_else(|| object.get("description"))?;
    Some(text.as_str()?.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// Follows a reference, also that of an optional value.
fn resolve<'a>(schema: &'a Value, property: &'a Value) -> &'a Value {
    let reference = property.get("$ref").or_else(|| {
        let choices = property.get("anyOf")?.as_array()?;
        choices.iter().find_map(|choice| choice.get("$ref"))
    });
    let name = reference
        .and_then(Value::as_str)
        .and_then(|text| text.strip_prefix("#/$defs/"));
    name.and_then(|name| schema.get("$defs")?.get(name))
        .unwrap_or(property)
}

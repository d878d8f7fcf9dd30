//! YAML text to values, and where in the text a value stands.

use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::Spanned;

use crate::objects::Step;

/// Nodes of one document: enough for a `List` of 100,000 objects. The parser's
/// own default stops at a tenth of what a large cluster dumps.
const MAX_NODES: usize = 10_000_000;

/// Bytes of all values of one document.
const MAX_SCALAR_BYTES: usize = 1 << 30;

/// Reads one document.
pub(super) fn read<T: DeserializeOwned>(text: &str) -> Result<T, serde_saphyr::Error> {
    let options = serde_saphyr::options! {
        // YAML 1.2: `name: n` is a name.
        strict_booleans: true,
        budget: serde_saphyr::budget! {
            max_nodes: MAX_NODES,
            max_events: 4 * MAX_NODES,
            max_total_scalar_bytes: MAX_SCALAR_BYTES,
        },
    };
    serde_saphyr::from_str_with_options(text, options)
}

/// Where the values of a document stand.
pub(super) struct Lines(Option<Spanned<Node>>);

impl Lines {
    /// Reads the text once more: values without lines take half the memory, and errors
    /// are rare.
    pub(super) fn new(text: &str) -> Self {
        Self(read(text).ok())
    }

    /// The line, from 1, of the value that `steps` lead to, or of the last one on the way
    /// that there is.
    pub(super) fn of<'a>(&self, steps: impl Iterator<Item = &'a Step>) -> usize {
        let Some(mut found) = self.0.as_ref() else {
            return 1;
        };
        for step in steps {
            let next = match (&found.value, step) {
                (Node::Map(entries), Step::Key(key)) => {
                    let mut entries = entries.iter();
                    entries.find(|entry| *entry.0 == **key).map(|entry| &entry.1)
                }
                (Node::List(items), Step::Index(index)) => items.get(*index),
                _ => None,
            };
            let Some(next) = next else { break };
            found = next;
        }
        usize::try_from(found.referenced.line()).unwrap_or(1).max(1)
    }
}

/// What stands where, without what it says.
enum Node {
    Map(Vec<(String, Spanned<Self>)>),
    List(Vec<Spanned<Self>>),
    Scalar,
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("any value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(Node::Map(entries))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Node, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Node::List(items))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Node, E> {
        Ok(Node::Scalar)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Node, E> {
        Ok(Node::Scalar)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Node, E> {
        Ok(Node::Scalar)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Node, E> {
        Ok(Node::Scalar)
    }

    fn visit_str<E>(self, _: &str) -> Result<Node, E> {
        Ok(Node::Scalar)
    }

    fn visit_bytes<E>(self, _: &[u8]) -> Result<Node, E> {
        Ok(Node::Scalar)
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Scalar)
    }

    fn visit_none<E>(self) -> Result<Node, E> {
        Ok(Node::Scalar)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        Node::deserialize(deserializer)
    }
}

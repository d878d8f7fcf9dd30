//! Writes databases in MaxMind's format (https://maxmind.github.io/MaxMind-DB/):
//! of IPv4 networks, small.

use ipnet::Ipv4Net;
use serde_json::{Map, Value, json};

/// A database with these records.
pub fn database(records: &[(&str, Value)]) -> Vec<u8> {
    let mut tree = vec![[Child::Empty; 2]];
    let mut data = Vec::new();
    for (network, record) in records {
        insert(&mut tree, network.parse().unwrap(), data.len());
        write(record, &mut data);
    }
    let mut out = Vec::new();
    for node in &tree {
        for child in node {
            let number = match child {
                Child::Empty => tree.len(),
                Child::Node(node) => *node,
                // 16 bytes of zeros stand between tree and data.
                Child::Data(offset) => tree.len() + 16 + offset,
            };
            out.extend_from_slice(&u32::try_from(number).unwrap().to_be_bytes());
        }
    }
    out.extend_from_slice(&[0; 16]);
    out.extend_from_slice(&data);
    out.extend_from_slice(b"\xab\xcd\xefMaxMind.com");
    let metadata = json!({
        "node_count": tree.len(), "record_size": 32, "ip_version": 4, "database_type": "Test",
        "languages": ["en"], "binary_format_major_version": 2, "binary_format_minor_version": 0,
        "build_epoch": 1, "description": {"en": "test"},
    });
    write(&metadata, &mut out);
    out
}

#[derive(Clone, Copy)]
enum Child {
    Empty,
    Node(usize),
    Data(usize),
}

/// Networks must not overlap.
fn insert(tree: &mut Vec<[Child; 2]>, network: Ipv4Net, offset: usize) {
    let bits = network.network().to_bits();
    let mut node = 0;
    for depth in 0..network.prefix_len() {
        let side = ((bits >> (31 - depth)) & 1) as usize;
        if depth + 1 == network.prefix_len() {
            tree[node][side] = Child::Data(offset);
            return;
        }
        node = match tree[node][side] {
            Child::Node(next) => next,
            _ => {
                tree.push([Child::Empty; 2]);
                let next = tree.len() - 1;
                tree[node][side] = Child::Node(next);
                next
            }
        };
    }
}

/// Types of the format.
const STRING: u8 = 2;
const DOUBLE: u8 = 3;
const MAP: u8 = 7;
const UINT16: u8 = 5;
const UINT32: u8 = 6;
const UINT64: u8 = 9;
const ARRAY: u8 = 11;
const BOOLEAN: u8 = 14;

fn write(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::String(text) => {
            control(STRING, text.len(), out);
            out.extend_from_slice(text.as_bytes());
        }
        Value::Bool(value) => control(BOOLEAN, usize::from(*value), out),
        Value::Number(number) => match number.as_u64() {
            Some(number) => integer(UINT32, 4, number, out),
            None => {
                control(DOUBLE, 8, out);
                out.extend_from_slice(&number.as_f64().unwrap().to_be_bytes());
            }
        },
        Value::Array(items) => {
            control(ARRAY, items.len(), out);
            items.iter().for_each(|item| write(item, out));
        }
        Value::Object(map) => pairs(map, out),
        Value::Null => panic!("nothing stands for null"),
    }
}

fn pairs(map: &Map<String, Value>, out: &mut Vec<u8>) {
    control(MAP, map.len(), out);
    for (key, value) in map {
        write(&Value::String(key.clone()), out);
        // Readers insist on the types of metadata.
        match (key.as_str(), value.as_u64()) {
            ("build_epoch", Some(number)) => integer(UINT64, 8, number, out),
            ("record_size" | "ip_version", Some(number)) => integer(UINT16, 2, number, out),
            (key, Some(number)) if key.starts_with("binary_format_") => integer(UINT16, 2, number, out),
            _ => write(value, out),
        }
    }
}

/// The last `length` bytes of a number.
fn integer(kind: u8, length: usize, number: u64, out: &mut Vec<u8>) {
    control(kind, length, out);
    out.extend_from_slice(&number.to_be_bytes()[8 - length..]);
}

/// Sizes here are all below 285.
fn control(kind: u8, size: usize, out: &mut Vec<u8>) {
    let (length, more) = match size {
        ..29 => (size as u8, None),
        _ => (29, Some(u8::try_from(size - 29).unwrap())),
    };
    match kind {
        ..8 => out.push((kind << 5) | length),
        _ => out.extend_from_slice(&[length, kind - 7]),
    }
    out.extend(more);
}

//! The fields of an answer on its way through policies.

use std::cell::OnceCell;
use std::ops::Range;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use smallvec::SmallVec;
use tidegate_snapshot::FieldName;

use crate::request::Fields;

/// Most answers have fewer.
const USUAL_FIELDS: usize = 24;

/// The fields of the upstream's. Small, for it moves along with each request.
#[derive(Default)]
pub(super) struct Kept {
    fields: SmallVec<[Field; USUAL_FIELDS]>,
    /// By number; what policies have asked for.
    parsed: OnceCell<Box<[OnceCell<HeaderValue>]>>,
}

/// Where a field lies in what was read.
#[derive(Clone, Copy)]
struct Field {
    name: Span,
    value: Span,
    number: u8,
}

/// A part of what was read.
#[derive(Clone, Copy, Default)]
pub(super) struct Span {
    start: u32,
    end: u32,
}

impl Span {
    /// Where `part` lies in `whole`, a head, which is never long.
    pub(super) fn of(whole: &[u8], part: &[u8]) -> Self {
        let start = part.as_ptr() as usize - whole.as_ptr() as usize;
        Self {
            start: start as u32,
            end: (start + part.len()) as u32,
        }
    }

    pub(super) fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }
}

impl Kept {
    /// An answer with more is refused.
    pub(super) const MOST: usize = 128;

    pub(super) fn push(&mut self, name: Span, value: Span) {
        // Below `MOST`.
        let number = self.fields.len() as u8;
        self.fields.push(Field { name, value, number });
    }

    fn retain(&mut self, keeps: impl Fn(&Field) -> bool) {
        self.fields.retain(|field| keeps(field));
    }

    /// The value of one of them, as policies want it.
    fn parsed(&self, field: &Field, read: &[u8]) -> &HeaderValue {
        let parsed = self.parsed.get_or_init(|| {
            let last = self.fields.last().map_or(0, |field| field.number);
            (0..=last).map(|_| OnceCell::new()).collect()
        });
        parsed[usize::from(field.number)].get_or_init(|| {
            // Only control characters are excluded, which parsing has refused.
            HeaderValue::from_bytes(&read[field.value.range()])
                .unwrap_or_else(|_| HeaderValue::from_static(""))
        })
    }
}

/// The fields of an answer: those of the upstream, and what policies changed.
pub(in crate::proxy) struct AnswerFields<'a> {
    pub(super) read: &'a [u8],
    kept: Kept,
    added: Vec<(FieldName, HeaderValue)>,
}

/// [`AnswerFields`] without the bytes that they were read from.
pub(super) struct Edited {
    kept: Kept,
    added: Vec<(FieldName, HeaderValue)>,
}

impl Edited {
    /// With the bytes that they were read from.
    pub(super) fn of(self, read: &[u8]) -> AnswerFields<'_> {
        AnswerFields {
            read,
            kept: self.kept,
            added: self.added,
        }
    }

    /// As HTTP/2 sends them. `read` is what they were read from: values of the
    /// upstream's are parts of it.
    pub(super) fn into_map(self, read: &Bytes) -> HeaderMap {
        // Room for what is added later, such as `Date`.
        let Kept { fields, parsed } = self.kept;
        let mut map = HeaderMap::with_capacity(fields.len() + self.added.len() + 2);
        for field in fields {
            let parsed = parsed
                .get()
                .and_then(|parsed| parsed[usize::from(field.number)].get());
            let value = match parsed {
                Some(value) => Ok(value.clone()),
                None => HeaderValue::from_maybe_shared(read.slice(field.value.range())),
            };
            // What cannot be a field in HTTP/2 has been refused when it was parsed.
            if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(&read[field.name.range()]), value) {
                map.append(name, value);
            }
        }
        for (name, value) in self.added {
            map.append(name.name().clone(), value);
        }
        map
    }
}

impl AnswerFields<'static> {
    /// None yet: for an answer of our own.
    pub(in crate::proxy) fn none() -> Self {
        Self {
            read: &[],
            kept: Kept::default(),
            added: Vec::new(),
        }
    }
}

impl<'a> AnswerFields<'a> {
    /// Those of an upstream's answer, read from `read`.
    pub(super) fn new(kept: Kept, read: &'a [u8]) -> Self {
        Self {
            read,
            kept,
            added: Vec::new(),
        }
    }

    /// The outcome of all edits.
    pub(super) fn edited(self) -> Edited {
        Edited {
            kept: self.kept,
            added: self.added,
        }
    }

    /// The added ones alone: all there are of an answer of our own.
    pub(super) fn added(&self) -> impl Iterator<Item = (&HeaderName, &HeaderValue)> {
        self.added.iter().map(|(name, value)| (name.name(), value))
    }

    fn name(&self, field: &Field) -> &[u8] {
        &self.read[field.name.range()]
    }

    fn parsed(&self, field: &Field) -> &HeaderValue {
        self.kept.parsed(field, self.read)
    }

    /// Appends every field to `out`.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let mut put = |name: &[u8], value: &[u8]| {
            out.extend_from_slice(name);
            out.extend_from_slice(b": ");
            out.extend_from_slice(value);
            out.extend_from_slice(b"\r\n");
        };
        for field in &self.kept.fields {
            put(self.name(field), &self.read[field.value.range()]);
        }
        for (name, value) in &self.added {
            put(name.spelling(), value.as_bytes());
        }
    }
}

impl Fields for AnswerFields<'_> {
    fn value(&self, name: &HeaderName) -> Option<&HeaderValue> {
        let kept = self
            .kept
            .fields
            .iter()
            .find(|field| self.name(field).eq_ignore_ascii_case(name.as_str().as_bytes()));
        match kept {
            Some(field) => Some(self.parsed(field)),
            None => self
                .added
                .iter()
                .find(|(added, _)| added.name() == name)
                .map(|(_, value)| value),
        }
    }

    fn values(&self, name: &HeaderName) -> Vec<HeaderValue> {
        let kept = self
            .kept
            .fields
            .iter()
            .filter(|field| self.name(field).eq_ignore_ascii_case(name.as_str().as_bytes()))
            .map(|field| self.parsed(field));
        let added = self
            .added
            .iter()
            .filter(|(added, _)| added.name() == name)
            .map(|(_, value)| value);
        kept.chain(added).cloned().collect()
    }

    fn names(&self) -> Vec<HeaderName> {
        let kept = self.kept.fields.iter();
        let kept = kept.filter_map(|field| HeaderName::from_bytes(self.name(field)).ok());
        kept.chain(self.added.iter().map(|(name, _)| name.name().clone()))
            .collect()
    }

    fn set(&mut self, name: &FieldName, value: HeaderValue) {
        self.remove(name.name());
        self.append(name, value);
    }

    fn append(&mut self, name: &FieldName, value: HeaderValue) {
        self.added.push((name.clone(), value));
    }

    fn remove(&mut self, name: &HeaderName) {
        let read = self.read;
        self.kept
            .retain(|field| !read[field.name.range()].eq_ignore_ascii_case(name.as_str().as_bytes()));
        self.added.retain(|(added, _)| added.name() != name);
    }
}

//! The table of annotations for others than the parser: the ConfigMap, the docs.

use super::{Annotation, Handling, Refusal, Settings, table};
use crate::objects::Objects;
use crate::options::Options;
use crate::translate::lookup::Lookup;
use crate::verdict::{Row, Verdict};

/// Whether a value would be taken as the default of an annotation.
pub(crate) fn check(name: &str, value: &str, options: &Options) -> Result<(), Refusal> {
    super::take(&mut Settings::new(options), name, value, options)
}

/// What an Ingress without annotations has.
pub(crate) fn defaults(options: &Options) -> Settings {
    let nothing = Objects::new();
    let lookup = Lookup::new(&nothing);
    let scope = super::Scope {
        object: &tidegate_snapshot::ObjectRef::new("Ingress", "", ""),
        options,
        lookup: &lookup,
    };
    super::parse(None, &scope, &mut Vec::new())
}

/// Every annotation with its verdict, sorted by name.
pub(crate) fn rows() -> impl Iterator<Item = Row> {
    table::TABLE.iter().map(|annotation| Row {
        name: annotation.name,
        default: "",
        doc: annotation.doc,
        verdict: annotation.verdict(),
    })
}

/// The verdict of one.
pub(crate) fn verdict(name: &str) -> Verdict {
    Annotation::by_name(name).map_or(Verdict::NoMeaning(""), Annotation::verdict)
}

impl Annotation {
    fn verdict(&self) -> Verdict {
        match self.handling {
            Handling::Parse(_) => Verdict::Works.but(self.difference),
            Handling::Refused { why, instead } => Verdict::Refused { why, instead },
            Handling::Closes(why) => Verdict::Refused {
                why,
                instead: "put a firewall in front of the cluster; its routes answer 503 until the annotation is removed",
            },
            Handling::NoMeaning { instead, .. } => Verdict::NoMeaning(instead),
            Handling::Fixed { difference, .. } => Verdict::Differs(difference),
            Handling::Removed(fix) => Verdict::Removed(fix),
        }
    }
}

//! `canary` and `canary-*` (annotations reference §17).

use http::HeaderName;
use tidegate_snapshot::Pattern;
use tidegate_snapshot::route::{CanaryHeader, CanaryValue};

use super::{Refusal, Settings, value};

/// What the annotations of a canary Ingress say; of no effect unless `enabled`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Canary {
    enabled: bool,
    header: Option<HeaderName>,
    value: Option<Box<str>>,
    pattern: Option<Result<Pattern, ()>>,
    pub(crate) cookie: Option<Box<str>>,
    pub(crate) weight: u32,
    total: u32,
    pub(crate) sticky: bool,
}

/// ingress-nginx: smaller totals count as this.
const LEAST_TOTAL: u32 = 100;

impl Default for Canary {
    fn default() -> Self {
        Self {
            enabled: false,
            header: None,
            value: None,
            pattern: None,
            cookie: None,
            weight: 0,
            total: LEAST_TOTAL,
            sticky: true,
        }
    }
}

impl Canary {
    /// These settings, if the Ingress is a canary.
    pub(crate) fn if_enabled(&self) -> Option<Self> {
        self.enabled.then(|| self.clone())
    }

    /// What the weight is out of.
    pub(crate) fn total(&self) -> u32 {
        self.total.max(LEAST_TOTAL)
    }

    /// The rule on a header field: a value wins over a pattern.
    pub(crate) fn header(&self) -> Option<CanaryHeader> {
        let value = match (&self.value, &self.pattern) {
            (Some(value), _) => CanaryValue::Equals(value.clone()),
            (None, Some(Ok(pattern))) => CanaryValue::Matches(pattern.clone()),
            (None, Some(Err(()))) => CanaryValue::Main,
            (None, None) => CanaryValue::Words,
        };
        Some(CanaryHeader {
            name: self.header.clone()?,
            value,
        })
    }
}

pub(super) fn canary(settings: &mut Settings, text: &str) -> Result<(), Refusal> {
    settings.canary.enabled = value::bool(text)?;
    Ok(())
}

pub(super) fn by_header(settings: &mut Settings, text: &str) -> Result<(), Refusal> {
    let name = value::basic(text)?.replace('_', "-");
    let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| {
        Refusal::ignored(
            format!("{} is not the name of a header", value::shown(text)),
            "use letters, digits and `-`",
        )
    })?;
    settings.canary.header = Some(name);
    Ok(())
}

pub(super) fn by_header_value(settings: &mut Settings, text: &str) -> Result<(), Refusal> {
    settings.canary.value = Some(value::basic(text)?.into());
    Ok(())
}

pub(super) fn by_header_pattern(settings: &mut Settings, text: &str) -> Result<(), Refusal> {
    let pattern = Pattern::new(text, false);
    settings.canary.pattern = Some(pattern.clone().map_err(|_| ()));
    pattern.map(|_| ()).map_err(|error| {
        Refusal::ignored(
            format!("{error}: requests with the header go to main"),
            "write a regular expression without look-around and back-references",
        )
    })
}

pub(super) fn by_cookie(settings: &mut Settings, text: &str) -> Result<(), Refusal> {
    settings.canary.cookie = Some(value::basic(text)?.into());
    Ok(())
}

pub(super) fn weight(settings: &mut Settings, text: &str) -> Result<(), Refusal> {
    settings.canary.weight = value::count(text)?;
    Ok(())
}

pub(super) fn weight_total(settings: &mut Settings, text: &str) -> Result<(), Refusal> {
    settings.canary.total = value::count(text)?;
    Ok(())
}

pub(super) fn affinity_behavior(settings: &mut Settings, text: &str) -> Result<(), Refusal> {
    settings.canary.sticky = match text {
        "sticky" => true,
        "legacy" => false,
        _ => {
            return Err(Refusal::ignored(
                format!("{} is not a behaviour", value::shown(text)),
                "write sticky or legacy",
            ));
        }
    };
    Ok(())
}

//! A span for every request (OpenTelemetry). Making and exporting them is
//! [`crate::observe::spans`]'.

use tidegate_snapshot::policy;
use tidegate_snapshot::text::Text;

use crate::template::{Values, filled};

/// What the spans of a route are like.
pub struct Tracing {
    /// Continue the trace that the client names.
    pub trusts_client: bool,
    name: Option<Text>,
}

impl Tracing {
    pub(super) fn new(spec: &policy::Tracing) -> Self {
        Self {
            trusts_client: spec.trusts_client,
            name: spec.operation_name.clone(),
        }
    }

    /// The span's name: as configured, else method and route, as OpenTelemetry's
    /// conventions for HTTP have it. Only few names may come of all requests:
    /// `method` is one of the known ones.
    pub fn span_name(&self, method: &str, values: &Values<'_>) -> String {
        match &self.name {
            Some(name) => String::from_utf8_lossy(&filled(name, values)).into_owned(),
            None => {
                let route = values.route.map_or("", |(_, path)| path);
                format!("{method} {route}").trim_end().to_owned()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tidegate_snapshot::ObjectRef;

    use super::*;
    use crate::request::fixtures::Request;

    #[test]
    fn spans_have_the_routes_name_or_their_own() {
        let request = Request::get("/shop/cart?id=1");
        let origin = ObjectRef::new("Ingress", "team", "shop");
        let values = Values {
            route: Some((&origin, "/shop")),
            ..Values::of(&request)
        };
        let name = |text: Option<&str>| {
            let spec = policy::Tracing {
                trusts_client: true,
                operation_name: text.map(|text| Text::parse(text).unwrap()),
            };
            Tracing::new(&spec).span_name("GET", &values)
        };
        assert_eq!(name(None), "GET /shop");
        assert_eq!(name(Some("checkout")), "checkout");
        assert_eq!(name(Some("HTTP $request_method $ingress_name")), "HTTP GET shop");
    }
}

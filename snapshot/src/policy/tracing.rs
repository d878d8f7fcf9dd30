use serde::Serialize;

use crate::Text;

/// A span for every request (`enable-opentelemetry`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Tracing {
    /// Continue the trace that the client names
    /// (`opentelemetry-trust-incoming-span`).
    pub trusts_client: bool,
    /// The span's name (`opentelemetry-operation-name`). `None`: the method and
    /// the path of the route.
    pub operation_name: Option<Text>,
}

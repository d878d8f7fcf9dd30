//! OCSP responses that certificates are shown with.

use serde::Serialize;

use crate::Networks;

/// Stapling (RFC 6066 §8; `enable-ocsp`): the gateway asks the responders that
/// certificates name, and shows what they say in handshakes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Ocsp {
    /// Where responders may be besides public addresses
    /// (`ocsp-responder-cidr`). Who makes a certificate names its responder:
    /// without bounds, whoever writes a Secret could have the gateway connect
    /// to any address of the cluster.
    pub responders: Networks,
}

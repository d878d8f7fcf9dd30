//! Texts with variables, as users write them in annotations that ingress-nginx
//! pastes into nginx's configuration: literal text and a closed set of nginx's
//! variables, nothing that is ever executed.

use std::fmt;

use http::HeaderName;
use serde::{Serialize, Serializer};

use crate::GeoField;

/// Longer texts are refused.
const LONGEST: usize = 4096;

/// A text with variables, parsed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Text(Box<[Piece]>);

/// A part of a [`Text`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Piece {
    /// Itself.
    Literal(Box<str>),
    /// What a request has in its place.
    Variable(Variable),
}

/// A variable of nginx or of ingress-nginx; the comment is its name there.
/// What a request does not have is the empty text.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Variable {
    /// `$host`: lower case, without a port.
    Host,
    /// `$http_host`, `$best_http_host`: as the client wrote it.
    Authority,
    /// `$request_uri`: path and query as the client wrote them.
    RequestUri,
    /// `$escaped_request_uri` (ingress-nginx): the same, percent-encoded.
    EscapedRequestUri,
    /// `$uri`, `$document_uri`: the normalised path.
    Path,
    /// `$args`, `$query_string`.
    Query,
    /// `$is_args`: `?` if there is a query.
    IsArgs,
    /// `$request_method`.
    Method,
    /// `$scheme`: the connection's.
    Scheme,
    /// `$pass_access_scheme` (ingress-nginx): after the trust rules.
    PassAccessScheme,
    /// `$server_port`, `$pass_server_port`, `$pass_port`.
    Port,
    /// `$remote_addr`, `$the_real_ip`.
    ClientAddress,
    /// `$binary_remote_addr`: 4 or 16 bytes.
    BinaryClientAddress,
    /// `$remote_user`: the user of basic authentication, as the client claims;
    /// nobody else may have verified it.
    RemoteUser,
    /// `$proxy_add_x_forwarded_for`: the client's `X-Forwarded-For`, and its
    /// address after a comma.
    ForwardedFor,
    /// `$https`: `on`, or nothing on a plain connection.
    Https,
    /// `$ssl_early_data`: `1` while the handshake has not ended, else nothing.
    EarlyData,
    /// `$request_id`, `$req_id`.
    RequestId,
    /// `$namespace` (ingress-nginx): the Ingress's.
    Namespace,
    /// `$ingress_name` (ingress-nginx).
    Ingress,
    /// `$service_name` (ingress-nginx) of the backend.
    Service,
    /// `$service_port` (ingress-nginx): number or name.
    ServicePort,
    /// `$msec`: seconds since 1970, with milliseconds.
    Milliseconds,
    /// `$location_path` (ingress-nginx): the path as the Ingress wrote it.
    LocationPath,
    /// `$geoip2_…`: where the client's address is.
    Geo(GeoField),
    /// `$http_NAME`.
    Header(HeaderName),
    /// `$cookie_NAME`.
    Cookie(Box<str>),
    /// `$arg_NAME`.
    Argument(Box<str>),
}

/// Why a text is not a [`Text`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// No such variable, or one that has no meaning outside of nginx.
    #[error("there is no variable ${0}")]
    Unknown(String),
    /// A `$` without a name, or a `{` without its `}`.
    #[error("a `$` must be followed by a name, or by a name in braces")]
    Malformed,
    /// A line end or another control character.
    #[error("control characters are not allowed")]
    Control,
    /// More than 4096 bytes.
    #[error("longer than 4096 bytes")]
    TooLong,
}

impl Text {
    /// Parses a text by nginx's rules: `$name` takes as many letters, digits
    /// and `_` as follow, `${name}` ends at the brace.
    ///
    /// # Errors
    /// A [`TextError`]; nginx would refuse its whole configuration.
    pub fn parse(text: &str) -> Result<Self, TextError> {
        if text.len() > LONGEST {
            return Err(TextError::TooLong);
        }
        if text.chars().any(char::is_control) {
            return Err(TextError::Control);
        }
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some(at) = rest.find('$') {
            literal(&mut pieces, &rest[..at]);
            let (name, after) = name(&rest[at + 1..])?;
            rest = after;
            if let Some(text) = constant(name) {
                literal(&mut pieces, text);
                continue;
            }
            let variable = Variable::parse(name).ok_or_else(|| TextError::Unknown(name.to_owned()))?;
            pieces.push(Piece::Variable(variable));
        }
        literal(&mut pieces, rest);
        Ok(Self(pieces.into()))
    }

    /// Its parts in order; empty for the empty text.
    pub fn pieces(&self) -> &[Piece] {
        &self.0
    }

    /// Whether the variable is in it.
    pub fn has(&self, variable: &Variable) -> bool {
        let is = |piece: &Piece| matches!(piece, Piece::Variable(own) if own == variable);
        self.0.iter().any(is)
    }

    /// The text, if it has no variables.
    pub fn as_literal(&self) -> Option<&str> {
        match &*self.0 {
            [] => Some(""),
            [Piece::Literal(text)] => Some(text),
            _ => None,
        }
    }
}

fn literal(pieces: &mut Vec<Piece>, text: &str) {
    if !text.is_empty() {
        pieces.push(Piece::Literal(text.into()));
    }
}

/// The value of a variable that is the same for every request.
pub(crate) fn constant(name: &str) -> Option<&'static str> {
    // ingress-nginx has one upstream in nginx's configuration, of this name.
    (name == "proxy_host").then_some("upstream_balancer")
}

/// The name at the start of what follows a `$`, and the rest.
pub(crate) fn name(text: &str) -> Result<(&str, &str), TextError> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let (name, rest) = match text.strip_prefix('{') {
        Some(braced) => braced.split_once('}').ok_or(TextError::Malformed)?,
        None => text.split_at(text.find(|c| !is_word(c)).unwrap_or(text.len())),
    };
    if name.is_empty() || !name.chars().all(is_word) {
        return Err(TextError::Malformed);
    }
    Ok((name, rest))
}

impl Variable {
    /// The variable of this name (without `$`).
    pub fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "host" => Self::Host,
            "http_host" | "best_http_host" => Self::Authority,
            "request_uri" => Self::RequestUri,
            "escaped_request_uri" => Self::EscapedRequestUri,
            "uri" | "document_uri" => Self::Path,
            "args" | "query_string" => Self::Query,
            "is_args" => Self::IsArgs,
            "request_method" => Self::Method,
            "scheme" => Self::Scheme,
            "pass_access_scheme" => Self::PassAccessScheme,
            "server_port" | "pass_server_port" | "pass_port" => Self::Port,
            "remote_addr" | "the_real_ip" => Self::ClientAddress,
            "binary_remote_addr" => Self::BinaryClientAddress,
            "remote_user" => Self::RemoteUser,
            "proxy_add_x_forwarded_for" => Self::ForwardedFor,
            "https" => Self::Https,
            "ssl_early_data" => Self::EarlyData,
            "request_id" | "req_id" => Self::RequestId,
            "namespace" => Self::Namespace,
            "ingress_name" => Self::Ingress,
            "location_path" => Self::LocationPath,
            "service_name" => Self::Service,
            "service_port" => Self::ServicePort,
            "msec" => Self::Milliseconds,
            "content_type" => Self::Header(http::header::CONTENT_TYPE),
            "content_length" => Self::Header(http::header::CONTENT_LENGTH),
            _ => {
                return GeoField::parse(name)
                    .map(Self::Geo)
                    .or_else(|| Self::family(name));
            }
        })
    }

    fn family(name: &str) -> Option<Self> {
        let (family, member) = name.split_once('_')?;
        if member.is_empty() {
            return None;
        }
        match family {
            "http" => {
                let field = member.to_ascii_lowercase().replace('_', "-");
                HeaderName::try_from(field).ok().map(Self::Header)
            }
            "cookie" => Some(Self::Cookie(member.into())),
            "arg" => Some(Self::Argument(member.into())),
            _ => None,
        }
    }

    /// nginx's name, without `$`.
    pub(crate) fn name(&self) -> String {
        let name = match self {
            Self::Host => "host",
            Self::Authority => "http_host",
            Self::RequestUri => "request_uri",
            Self::EscapedRequestUri => "escaped_request_uri",
            Self::Path => "uri",
            Self::Query => "args",
            Self::IsArgs => "is_args",
            Self::Method => "request_method",
            Self::Scheme => "scheme",
            Self::PassAccessScheme => "pass_access_scheme",
            Self::Port => "server_port",
            Self::ClientAddress => "remote_addr",
            Self::BinaryClientAddress => "binary_remote_addr",
            Self::RemoteUser => "remote_user",
            Self::ForwardedFor => "proxy_add_x_forwarded_for",
            Self::Https => "https",
            Self::EarlyData => "ssl_early_data",
            Self::RequestId => "request_id",
            Self::Namespace => "namespace",
            Self::Ingress => "ingress_name",
            Self::LocationPath => "location_path",
            Self::Service => "service_name",
            Self::ServicePort => "service_port",
            Self::Milliseconds => "msec",
            Self::Geo(field) => field.name(),
            Self::Header(name) => return format!("http_{}", name.as_str().replace('-', "_")),
            Self::Cookie(name) => return format!("cookie_{name}"),
            Self::Argument(name) => return format!("arg_{name}"),
        };
        name.to_owned()
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|piece| match piece {
            Piece::Literal(text) => f.write_str(text),
            Piece::Variable(variable) => write!(f, "${{{}}}", variable.name()),
        })
    }
}

impl Serialize for Text {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        Text::parse(text).unwrap().to_string()
    }

    #[test]
    fn names_end_as_in_nginx() {
        assert_eq!(shown("a$host/b"), "a${host}/b");
        assert_eq!(shown("${host}name"), "${host}name");
        assert_eq!(
            shown("$scheme://$http_host$request_uri"),
            "${scheme}://${http_host}${request_uri}"
        );
        assert_eq!(shown("$http_x_user_id"), "${http_x_user_id}");
        assert_eq!(shown("$cookie_a_b$arg_c"), "${cookie_a_b}${arg_c}");
        assert_eq!(shown("$proxy_host"), "upstream_balancer");
        assert_eq!(shown(""), "");
    }

    #[test]
    fn only_known_variables_are_taken() {
        let unknown = |name: &str| Err(TextError::Unknown(name.to_owned()));
        assert_eq!(Text::parse("$hostname"), unknown("hostname"));
        assert_eq!(Text::parse("$1"), unknown("1"));
        assert_eq!(Text::parse("$http_"), unknown("http_"));
        for text in ["$", "a$ b", "${host", "${}", "${a b}"] {
            assert_eq!(Text::parse(text), Err(TextError::Malformed), "{text}");
        }
        assert_eq!(Text::parse("a\r\nb"), Err(TextError::Control));
        assert_eq!(Text::parse(&"a".repeat(4097)), Err(TextError::TooLong));
    }

    #[test]
    fn literals_are_known() {
        assert_eq!(Text::parse("abc").unwrap().as_literal(), Some("abc"));
        assert_eq!(Text::parse("").unwrap().as_literal(), Some(""));
        assert_eq!(Text::parse("$host").unwrap().as_literal(), None);
    }
}

//! Rules of routes, parsed: conditions, policies, and where
//! to. What they refer to is looked up later.

use std::sync::Arc;

use http::{HeaderName, Method};
use tidegate_snapshot::policy::AuthorizationProtocol;
use tidegate_snapshot::route::{HeaderMatch, QueryMatch, RequestMatch, TextMatch};
use tidegate_snapshot::{Hostname, PathMatch, Pattern, Policies, RouteMatch};

use super::status::Failure;
use super::{filter, hostname, session};
use crate::gateway_api::{
    BackendRef, GRPCMethodMatch, GRPCRouteRule, GRPCRouteSpec, HTTPPathMatch, HTTPRouteRule, HTTPRouteSpec,
    NamedMatch, ParentRef, Unreadable,
};

/// A route, parsed.
#[derive(Clone, Debug)]
pub(super) struct Parsed {
    pub(super) parents: Vec<Arc<ParentRef>>,
    /// It asks for Gateways that it does not name.
    pub(super) any_gateway: bool,
    /// Or why they are none; empty: any.
    pub(super) hostnames: Result<Vec<Hostname>, Failure>,
    /// Or why the route cannot be served, with the field.
    pub(super) rules: Result<Vec<Rule>, (String, Failure)>,
}

/// A rule.
#[derive(Clone, Debug)]
pub(super) struct Rule {
    pub(super) matches: Vec<Match>,
    /// The object's own.
    pub(super) backends: Arc<[BackendRef]>,
    pub(super) mirrors: Vec<Mirror>,
    pub(super) authorizers: Vec<Authorizer>,
}

/// A condition and the policies that apply where it holds.
#[derive(Clone, Debug)]
pub(super) struct Match {
    pub(super) condition: Condition,
    pub(super) policies: Arc<Policies>,
    /// Those of each backend that has filters of its own.
    pub(super) own: Vec<Option<Arc<Policies>>>,
}

/// A RequestMirror filter of a rule, or of one of its backends.
#[derive(Clone, Debug)]
pub(super) struct Mirror {
    pub(super) filter: filter::Mirror,
    pub(super) backend: Option<usize>,
    /// Where the filter stands in the rule.
    pub(super) field: String,
}

/// Who an ExternalAuth filter of a rule, or of one of its backends, asks.
#[derive(Clone, Debug)]
pub(super) struct Authorizer {
    pub(super) service: BackendRef,
    pub(super) backend: Option<usize>,
    pub(super) is_grpc: bool,
    /// Where the filter stands in the rule.
    pub(super) field: String,
}

/// A condition, and how specific it is.
#[derive(Clone, Debug)]
pub(super) struct Condition {
    pub(super) matches: RouteMatch,
    /// The path as the object wrote it.
    pub(super) path: Box<str>,
    pub(super) specificity: Specificity,
}

/// The order of precedence, the most specific first: exact paths, the longest
/// prefix, a method, the largest number of header matches, then of query
/// parameter matches. Regular expressions, whose place is an implementation's
/// choice, come after exact paths, longer ones first.
///
/// Of a GRPCRoute: "Characters in a matching service", "Characters in a matching
/// method", "Header matches", whatever the type of the match.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Specificity {
    class: u8,
    /// All of these are negative: the larger number comes first.
    path: i64,
    method: i64,
    headers: i64,
    query: i64,
}

/// For [`Specificity`]: a length or a number, the largest first.
fn descending(number: usize) -> i64 {
    i64::try_from(number).map_or(i64::MIN, |number| -number)
}

impl Parsed {
    pub(super) fn http(spec: &HTTPRouteSpec) -> Self {
        let rules = parse_all(&spec.rules, http_rule);
        Self::new(
            &spec.parent_refs,
            &spec.use_default_gateways,
            &spec.hostnames,
            rules,
        )
    }

    pub(super) fn grpc(spec: &GRPCRouteSpec) -> Self {
        let rules = parse_all(&spec.rules, grpc_rule);
        Self::new(
            &spec.parent_refs,
            &spec.use_default_gateways,
            &spec.hostnames,
            rules,
        )
    }

    pub(super) fn new(
        parents: &[Arc<ParentRef>],
        default_gateways: &Option<String>,
        hostnames: &[String],
        rules: Result<Vec<Rule>, (String, Failure)>,
    ) -> Self {
        Self {
            parents: parents.to_vec(),
            any_gateway: default_gateways.as_ref().is_some_and(|scope| scope != "None"),
            hostnames: hostname::parse_all(hostnames),
            rules,
        }
    }

    /// A route of which nothing is known but its parents.
    pub(super) fn unreadable(spec: &Unreadable) -> Self {
        let failure = unsupported(format!("the spec cannot be read: {}", spec.error));
        Self::new(&spec.parents, &None, &[], Err(("spec".to_owned(), failure)))
    }
}

/// A route without rules has the default one, which fits everything.
fn parse_all<T: Default>(
    rules: &[T],
    parse: fn(&T) -> Result<Rule, Failure>,
) -> Result<Vec<Rule>, (String, Failure)> {
    let everything = [T::default()];
    let rules = if rules.is_empty() { &everything[..] } else { rules };
    let numbered = rules.iter().enumerate();
    numbered
        .map(|(index, rule)| parse(rule).map_err(|failure| (format!("spec.rules[{index}]"), failure)))
        .collect()
}

pub(super) fn unsupported(message: impl Into<String>) -> Failure {
    Failure::new("UnsupportedValue", message)
}

fn http_rule(rule: &HTTPRouteRule) -> Result<Rule, Failure> {
    let mut filters = filter::filters(&rule.filters)?;
    if let Some(timeouts) = &rule.timeouts {
        filter::timeouts(&mut filters.policies, timeouts)?;
    }
    if let Some(retry) = &rule.retry {
        filter::retry(&mut filters.policies, retry)?;
    }
    if let Some(session) = &rule.session_persistence {
        filters.policies.affinity = Some(session::affinity(session)?.into());
    }
    let forward = Forward::new(filters, &rule.backend_refs)?;
    let everything = [Default::default()];
    let matches = if rule.matches.is_empty() {
        &everything[..]
    } else {
        &rule.matches
    };
    let matches = matches.iter().map(|condition| {
        let (path, class, text) = http_path(condition.path.as_ref())?;
        let headers = headers(&condition.headers)?;
        let query = query(&condition.query_params)?;
        let method = condition.method.as_deref().map(method).transpose()?;
        let specificity = Specificity {
            class,
            path: descending(text.len()),
            method: -i64::from(method.is_some()),
            headers: descending(headers.len()),
            query: descending(query.len()),
        };
        let request = RequestMatch {
            method,
            headers,
            query,
        };
        let matches = RouteMatch::new(path, request);
        forward.finish(matches, text, specificity)
    });
    let matches = matches.collect::<Result<_, _>>()?;
    Ok(Rule {
        matches,
        backends: rule.backend_refs.clone(),
        mirrors: forward.mirrors,
        authorizers: forward.authorizers,
    })
}

fn grpc_rule(rule: &GRPCRouteRule) -> Result<Rule, Failure> {
    let mut filters = filter::filters(&rule.filters)?;
    filter::stream(&mut filters.policies);
    if let Some(session) = &rule.session_persistence {
        filters.policies.affinity = Some(session::affinity(session)?.into());
    }
    let forward = Forward::new(filters, &rule.backend_refs)?;
    let everything = [Default::default()];
    let matches = if rule.matches.is_empty() {
        &everything[..]
    } else {
        &rule.matches
    };
    let matches = matches.iter().map(|condition| {
        let (path, text, service, method) = grpc_method(condition.method.as_ref())?;
        let headers = headers(&condition.headers)?;
        let specificity = Specificity {
            class: 0,
            path: descending(service),
            method: descending(method),
            headers: descending(headers.len()),
            query: 0,
        };
        let request = RequestMatch {
            headers,
            ..RequestMatch::default()
        };
        let matches = RouteMatch::new(path, request);
        forward.finish(matches, text, specificity)
    });
    let matches = matches.collect::<Result<_, _>>()?;
    Ok(Rule {
        matches,
        backends: rule.backend_refs.clone(),
        mirrors: forward.mirrors,
        authorizers: forward.authorizers,
    })
}

/// What a rule does with requests, whichever of its conditions holds.
struct Forward {
    policies: Policies,
    own: Vec<Option<Policies>>,
    mirrors: Vec<Mirror>,
    authorizers: Vec<Authorizer>,
}

impl Forward {
    fn new(filters: filter::Filters, backends: &[BackendRef]) -> Result<Self, Failure> {
        check_weights(backends)?;
        let mut forward = Self {
            policies: filters.policies.clone(),
            own: Vec::new(),
            mirrors: Vec::new(),
            authorizers: Vec::new(),
        };
        forward.refer(None, filters);
        for (index, backend) in backends.iter().enumerate() {
            let own = filter::filters(&backend.filters)?;
            let merged =
                (!backend.filters.is_empty()).then(|| filter::merged(&forward.policies, &own.policies));
            forward.own.push(merged);
            forward.refer(Some(index), own);
        }
        Ok(forward)
    }

    /// Takes in what the filters of the rule, or of this backend, refer to.
    fn refer(&mut self, backend: Option<usize>, filters: filter::Filters) {
        let field = |index: usize| match backend {
            Some(backend) => format!("backendRefs[{backend}].filters[{index}]"),
            None => format!("filters[{index}]"),
        };
        self.mirrors
            .extend(filters.mirrors.into_iter().map(|(index, filter)| Mirror {
                filter,
                backend,
                field: field(index),
            }));
        let asked = filters.policies.authorization;
        let is_grpc = asked.is_some_and(|asked| asked.protocol == AuthorizationProtocol::Grpc);
        self.authorizers
            .extend(filters.authorizer.map(|(index, service)| Authorizer {
                service,
                backend,
                is_grpc,
                field: field(index),
            }));
    }

    fn finish(
        &self,
        matches: RouteMatch,
        path: Box<str>,
        specificity: Specificity,
    ) -> Result<Match, Failure> {
        let prefix = match &matches.path {
            PathMatch::Prefix(prefix) => Some(&**prefix),
            _ => None,
        };
        let own = self.own.iter().map(|own| {
            let own = own.as_ref();
            own.map(|own| filter::for_match(own, prefix).map(Arc::new))
                .transpose()
        });
        Ok(Match {
            policies: shared(filter::for_match(&self.policies, prefix)?),
            own: own.collect::<Result<_, _>>()?,
            condition: Condition {
                path,
                matches,
                specificity,
            },
        })
    }
}

/// Most rules have no filters: their policies are one.
fn shared(policies: Policies) -> Arc<Policies> {
    let plain = Policies::without_filters();
    if policies == **plain {
        plain.clone()
    } else {
        Arc::new(policies)
    }
}

pub(super) fn check_weights(backends: &[BackendRef]) -> Result<(), Failure> {
    let weight = |backend: &BackendRef| {
        backend
            .weight
            .is_none_or(|weight| (0..=1_000_000).contains(&weight))
    };
    if !backends.iter().all(weight) {
        return Err(unsupported("a weight must be from 0 to 1000000"));
    }
    Ok(())
}

/// The condition, its class of precedence, and the path as written.
fn http_path(path: Option<&HTTPPathMatch>) -> Result<(PathMatch, u8, Box<str>), Failure> {
    let kind = path.and_then(|path| path.kind.as_deref()).unwrap_or("PathPrefix");
    let text = path.and_then(|path| path.value.as_deref()).unwrap_or("/");
    if kind != "RegularExpression" && !text.starts_with('/') {
        return Err(unsupported(format!("path {text:?} does not start with a slash")));
    }
    let (path, class) = match kind {
        "Exact" => (PathMatch::Exact(text.into()), 0),
        "RegularExpression" => (PathMatch::Regex(whole(text)?), 1),
        // "When specified, a trailing `/` is ignored."
        "PathPrefix" => (PathMatch::Prefix(text.trim_end_matches('/').into()), 2),
        other => return Err(unsupported(format!("path type {other:?} is not supported"))),
    };
    let text = if class == 2 && text.len() > 1 {
        text.trim_end_matches('/')
    } else {
        text
    };
    Ok((path, class, text.into()))
}

/// A regular expression that must match all of the text.
fn whole(source: &str) -> Result<Pattern, Failure> {
    Pattern::new(&format!("^(?:{source})$"), false)
        .map_err(|error| unsupported(format!("{source:?}: {error}")))
}

/// The condition on the path, the path as written, and the lengths of service
/// and method.
fn grpc_method(method: Option<&GRPCMethodMatch>) -> Result<(PathMatch, Box<str>, usize, usize), Failure> {
    let part = |part: fn(&GRPCMethodMatch) -> &Option<String>| {
        let text = method.and_then(|method| part(method).as_deref());
        text.unwrap_or_default()
    };
    let (service, name) = (part(|method| &method.service), part(|method| &method.method));
    let kind = method
        .and_then(|method| method.kind.as_deref())
        .unwrap_or("Exact");
    let any = |text: &str| if text.is_empty() { "[^/]+" } else { text }.to_owned();
    let path = match (kind, service, name) {
        (_, "", "") => PathMatch::Prefix("".into()),
        ("Exact", service, "") => PathMatch::Below(format!("/{service}/").into()),
        ("Exact", "", name) => PathMatch::Regex(whole(&format!("/[^/]+/{}", escaped(name)))?),
        ("Exact", service, name) => PathMatch::Exact(format!("/{service}/{name}").into()),
        ("RegularExpression", service, name) => {
            PathMatch::Regex(whole(&format!("/(?:{})/(?:{})", any(service), any(name)))?)
        }
        (other, ..) => return Err(unsupported(format!("method type {other:?} is not supported"))),
    };
    let text = format!("/{service}/{name}").into();
    Ok((path, text, service.len(), name.len()))
}

/// A text as a regular expression for itself.
fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for c in text.chars() {
        if !c.is_alphanumeric() && c != '_' {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

fn method(text: &str) -> Result<Method, Failure> {
    Method::from_bytes(text.as_bytes()).map_err(|_| unsupported(format!("{text:?} is not a method")))
}

/// "If multiple entries specify equivalent header names, only the first entry
/// with an equivalent name MUST be considered for a match."
fn headers(matches: &[NamedMatch]) -> Result<Vec<HeaderMatch>, Failure> {
    let mut headers: Vec<HeaderMatch> = Vec::with_capacity(matches.len());
    for condition in matches {
        let name = HeaderName::from_bytes(condition.name.as_bytes())
            .map_err(|_| unsupported(format!("{:?} is not a field name", condition.name)))?;
        if headers.iter().all(|header| header.name != name) {
            let value = value(condition)?;
            headers.push(HeaderMatch { name, value });
        }
    }
    Ok(headers)
}

/// The same of query parameters.
fn query(matches: &[NamedMatch]) -> Result<Vec<QueryMatch>, Failure> {
    let mut query: Vec<QueryMatch> = Vec::with_capacity(matches.len());
    for condition in matches {
        if query.iter().all(|parameter| *parameter.name != *condition.name) {
            query.push(QueryMatch {
                name: condition.name.as_str().into(),
                value: value(condition)?,
            });
        }
    }
    Ok(query)
}

fn value(condition: &NamedMatch) -> Result<TextMatch, Failure> {
    match condition.kind.as_deref().unwrap_or("Exact") {
        "Exact" => Ok(TextMatch::Exact(condition.value.as_str().into())),
        "RegularExpression" => whole(&condition.value).map(TextMatch::Regex),
        other => Err(unsupported(format!("match type {other:?} is not supported"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway_api::HTTPRouteMatch;

    fn specificity(path: Option<(&str, &str)>, method: bool, headers: usize, query: usize) -> Specificity {
        let named = |number: usize| {
            (0..number)
                .map(|index| NamedMatch {
                    name: format!("x-{index}"),
                    ..NamedMatch::default()
                })
                .collect()
        };
        let condition = HTTPRouteMatch {
            path: path.map(|(kind, value)| HTTPPathMatch {
                kind: Some(kind.to_owned()),
                value: Some(value.to_owned()),
            }),
            headers: named(headers),
            query_params: named(query),
            method: method.then(|| "GET".to_owned()),
        };
        let rule = HTTPRouteRule {
            matches: [condition].into(),
            ..HTTPRouteRule::default()
        };
        http_rule(&rule).unwrap().matches[0].condition.specificity
    }

    #[test]
    fn precedence_is_path_then_method_then_headers_then_query() {
        let ordered = [
            specificity(Some(("Exact", "/a")), false, 0, 0),
            specificity(Some(("PathPrefix", "/a/b")), false, 0, 0),
            specificity(Some(("PathPrefix", "/a")), true, 0, 0),
            specificity(Some(("PathPrefix", "/a")), false, 2, 0),
            specificity(Some(("PathPrefix", "/a")), false, 1, 3),
            specificity(Some(("PathPrefix", "/a")), false, 1, 0),
            specificity(Some(("PathPrefix", "/a")), false, 0, 1),
            specificity(Some(("PathPrefix", "/a/")), false, 0, 0),
            specificity(None, true, 3, 3),
        ];
        assert!(ordered.is_sorted());
        assert_ne!(ordered[6], ordered[7]);
    }

    #[test]
    fn a_regular_expression_matches_all_of_a_value() {
        let condition = NamedMatch {
            kind: Some("RegularExpression".to_owned()),
            value: "a|b".to_owned(),
            ..NamedMatch::default()
        };
        let TextMatch::Regex(pattern) = value(&condition).unwrap() else {
            panic!("not a pattern");
        };
        assert!(pattern.is_match("b"));
        assert!(!pattern.is_match("ab"));
    }
}

//! Why a request gets the answer that it gets: every candidate, and why each
//! but one lost. Uses the lookup's own predicates.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde_json::{Map, Value};
use tidegate_snapshot::{Action, PathMatch, Policies};

use super::host::Host;
use super::{Hosts, Route, Stream, matcher};
use crate::request::RequestView;

/// The lookup of one request, told in full.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Explanation {
    /// The method.
    pub method: String,
    /// The host that was looked up.
    pub host: String,
    /// The normalised path that rules were compared with.
    pub path: String,
    /// The host names that could answer, most specific first.
    pub hosts: Vec<HostCandidate>,
    /// Every route of the host that answers, in precedence order.
    pub routes: Vec<RouteCandidate>,
    /// What happens; `None`: 404.
    pub answer: Option<Answer>,
    /// What becomes of the connection, where that carries no HTTP to us: then
    /// there is nothing of the above.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream: Option<StreamAnswer>,
}

/// Where a connection or a datagram goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StreamAnswer {
    /// The object that says so.
    pub origin: String,
    /// What is done with it, in words.
    pub action: &'static str,
    /// What it is forwarded to.
    pub targets: Vec<TargetChoice>,
}

/// A name that could answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HostCandidate {
    /// As rules write it.
    pub hostname: String,
    /// Whether it answers.
    pub answers: bool,
    /// In words.
    pub reason: &'static str,
}

/// A route of the host that answers.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RouteCandidate {
    /// Its place in precedence order, from 1.
    pub number: usize,
    /// The object that it comes from.
    pub origin: String,
    /// Its condition, as the snapshot has it.
    #[serde(rename = "match")]
    pub condition: Value,
    /// Whether it answers.
    pub answers: bool,
    /// In words.
    pub reason: String,
}

/// What happens to the request.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Answer {
    /// The object that the route comes from.
    pub origin: String,
    /// The path as that object wrote it.
    pub path: String,
    /// What the route does, in words.
    pub action: String,
    /// What it forwards to.
    pub targets: Vec<TargetChoice>,
    /// What else applies.
    pub policies: Vec<PolicyInForce>,
}

/// One share of the traffic split.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TargetChoice {
    /// The cluster's key.
    pub cluster: String,
    /// Its share of the sum of weights.
    pub weight: u32,
    /// Whether the cluster exists; without it the answer is 503, and a connection
    /// is closed.
    pub exists: bool,
    /// Its endpoints and their state; whoever asks adds them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub endpoints: Vec<String>,
}

/// A policy of the route.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PolicyInForce {
    /// Its name in the snapshot.
    pub name: String,
    /// Its settings.
    pub value: Value,
    /// Whether that is what every route has without annotations.
    pub default: bool,
}

/// Explains the lookup of a request.
pub fn explain(hosts: &Hosts, request: &impl RequestView) -> Explanation {
    let name = request.host();
    let host = hosts.host(name);
    let winner = host.and_then(|host| host.find(request));
    Explanation {
        method: request.method().to_string(),
        host: name.to_owned(),
        path: request.path().to_owned(),
        hosts: host_candidates(hosts, name),
        routes: host
            .map(|host| route_candidates(host, winner, request))
            .unwrap_or_default(),
        answer: winner.map(|route| answer(route)),
        stream: None,
    }
}

/// Explains a connection, as which `request` would come.
pub fn explain_stream(stream: &Stream, request: &impl RequestView) -> Explanation {
    let targets = stream.backends().iter().map(|backend| TargetChoice {
        cluster: backend.key.to_string(),
        weight: backend.weight,
        exists: backend.cluster.is_some(),
        endpoints: Vec::new(),
    });
    let targets: Vec<_> = targets.collect();
    let action = match stream.spec.terminate {
        _ if targets.is_empty() => "close",
        true => "end TLS and pass on what was inside",
        false => "pass on as it comes",
    };
    Explanation {
        method: request.method().to_string(),
        host: request.host().to_owned(),
        path: request.path().to_owned(),
        hosts: Vec::new(),
        routes: Vec::new(),
        answer: None,
        stream: Some(StreamAnswer {
            origin: stream.spec.origin.to_string(),
            action,
            targets,
        }),
    }
}

fn host_candidates(hosts: &Hosts, name: &str) -> Vec<HostCandidate> {
    let wildcard = name.split_once('.').map(|(_, suffix)| format!("*.{suffix}"));
    let subdomains = hosts.subdomains(name);
    let candidates = [
        (
            Some(name.to_owned()).filter(|name| !name.is_empty()),
            hosts.exact(name),
        ),
        (wildcard, hosts.wildcard(name)),
        (subdomains.map(|host| host.spec.hostname.to_string()), subdomains),
        (
            hosts.regex(name).map(|host| host.spec.hostname.to_string()),
            hosts.regex(name),
        ),
        (Some("*".to_owned()), hosts.any.as_ref()),
    ];
    let mut answered = false;
    let outcome = |(hostname, host): (Option<String>, Option<&Arc<Host>>)| {
        let answers = host.is_some() && !answered;
        let reason = match host {
            None => "no rule names it",
            Some(_) if answered => "a more specific name answers",
            Some(_) => "the most specific name with rules",
        };
        answered |= answers;
        hostname.map(|hostname| HostCandidate {
            hostname,
            answers,
            reason,
        })
    };
    candidates.into_iter().filter_map(outcome).collect()
}

fn route_candidates(
    host: &Host,
    winner: Option<&Arc<Route>>,
    request: &impl RequestView,
) -> Vec<RouteCandidate> {
    let candidate = |(at, route): (usize, &Arc<Route>)| {
        let answers = winner.is_some_and(|winner| Arc::ptr_eq(winner, route));
        let reason = match matcher::mismatch(&route.spec.matches, request) {
            Some(mismatch) => mismatch.to_string(),
            None if answers => "the first that matches".to_owned(),
            None => "matches too, but an earlier one answers".to_owned(),
        };
        RouteCandidate {
            number: at + 1,
            origin: route.spec.origin.to_string(),
            condition: condition(&route.spec),
            answers,
            reason,
        }
    };
    host.routes.iter().enumerate().map(candidate).collect()
}

/// A route's condition; a pattern as its object wrote it, not as we compile it.
fn condition(route: &tidegate_snapshot::Route) -> Value {
    let mut condition = json(&route.matches);
    if let PathMatch::Regex(_) = &route.matches.path
        && let Some(pattern) = condition.pointer_mut("/path/Regex")
    {
        *pattern = Value::from(&*route.path);
    }
    condition
}

fn answer(route: &Route) -> Answer {
    let targets = route.targets.iter().map(|target| TargetChoice {
        cluster: target.key.to_string(),
        weight: target.weight,
        exists: target.cluster.is_some(),
        endpoints: Vec::new(),
    });
    Answer {
        origin: route.spec.origin.to_string(),
        path: route.spec.path.to_string(),
        action: match &route.spec.action {
            Action::Forward(_) => "forward".to_owned(),
            Action::Canary(canary) => format!("forward to main or canary by {}", json(canary)),
            Action::AddTrailingSlash => "redirect 301 to the path with a slash added".to_owned(),
            Action::AppRoot(path) => format!("redirect 302 to {path}"),
            Action::OtherHost { host, status } => format!("redirect {status} to the same path of {host}"),
            Action::Respond(status) => format!("answer {status}"),
        },
        targets: targets.collect(),
        policies: policies(&route.spec.policies),
    }
}

/// Policies by name, from their serialised form: a new policy shows up here
/// without being named here.
fn policies(policies: &Policies) -> Vec<PolicyInForce> {
    let mut defaults = object(&Policies::default());
    let set = object(policies).into_iter().map(|(name, value)| {
        let default = defaults.remove(&name).as_ref() == Some(&value);
        PolicyInForce { name, value, default }
    });
    let mut policies: Vec<_> = set.collect();
    policies.extend(defaults.into_iter().map(|(name, _)| PolicyInForce {
        name,
        value: Value::Null,
        default: false,
    }));
    policies.sort_by(|a, b| a.name.cmp(&b.name));
    policies
}

fn object(value: &impl Serialize) -> Map<String, Value> {
    match json(value) {
        Value::Object(object) => object,
        _ => Map::new(),
    }
}

/// Null for what JSON cannot hold; snapshot values all can.
fn json(value: &impl Serialize) -> Value {
    readable(serde_json::to_value(value).unwrap_or_default())
}

/// Writes durations as people do (`1.5s`), where serde has `{secs, nanos}`.
fn readable(value: Value) -> Value {
    match value {
        Value::Object(map) => {
            let part = |name| map.get(name).and_then(Value::as_u64);
            if let (2, Some(seconds), Some(nanos)) = (map.len(), part("secs"), part("nanos")) {
                let nanos = u32::try_from(nanos).unwrap_or_default();
                return format!("{:?}", Duration::new(seconds, nanos)).into();
            }
            map.into_iter()
                .map(|(name, value)| (name, readable(value)))
                .collect()
        }
        Value::Array(list) => list.into_iter().map(readable).collect(),
        other => other,
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(stream) = &self.stream {
            writeln!(f, "host {:?}, no HTTP here", self.host)?;
            return stream.fmt(f);
        }
        writeln!(f, "{} host {:?} path {:?}", self.method, self.host, self.path)?;
        writeln!(f, "\nhosts")?;
        for host in &self.hosts {
            writeln!(f, "  {} {}: {}", mark(host.answers), host.hostname, host.reason)?;
        }
        writeln!(f, "\nroutes")?;
        for route in &self.routes {
            let RouteCandidate {
                number,
                origin,
                condition,
                reason,
                ..
            } = route;
            writeln!(
                f,
                "  {} {number}. {condition} of {origin}: {reason}",
                mark(route.answers)
            )?;
        }
        match &self.answer {
            Some(answer) => answer.fmt(f),
            None => writeln!(f, "\nanswer 404: no route"),
        }
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "\nanswer {} by path {} of {}",
            self.action, self.path, self.origin
        )?;
        targets(f, &self.targets, "503")?;
        writeln!(f, "\npolicies")?;
        for policy in &self.policies {
            let default = if policy.default { " (default)" } else { "" };
            writeln!(f, "  {} {}{default}", policy.name, policy.value)?;
        }
        Ok(())
    }
}

impl fmt::Display for StreamAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\n{}, says {}", self.action, self.origin)?;
        targets(f, &self.targets, "closed")
    }
}

fn targets(f: &mut fmt::Formatter<'_>, targets: &[TargetChoice], otherwise: &str) -> fmt::Result {
    for target in targets {
        write!(f, "  to {} weight {}", target.cluster, target.weight)?;
        match target.exists {
            true => writeln!(f)?,
            false => writeln!(f, " (no such cluster: {otherwise})")?,
        }
        for endpoint in &target.endpoints {
            writeln!(f, "    {endpoint}")?;
        }
    }
    Ok(())
}

fn mark(answers: bool) -> char {
    if answers { '>' } else { ' ' }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_shown_as_written() {
        use tidegate_snapshot::{ObjectRef, Pattern, RouteMatch};
        let pattern = Pattern::new("^/x(/|$)(.*)", true).unwrap();
        let route = tidegate_snapshot::Route {
            matches: RouteMatch::path(PathMatch::Regex(pattern)),
            action: Action::Respond(404),
            policies: Arc::default(),
            origin: ObjectRef::new("Ingress", "a", "b"),
            path: "/x(/|$)(.*)".into(),
        };
        assert_eq!(condition(&route)["path"]["Regex"], "/x(/|$)(.*)");
    }

    #[test]
    fn durations_are_readable() {
        let given = serde_json::json!({
            "read": Duration::from_secs(60),
            "list": [Duration::from_millis(1500)],
            "other": {"secs": 1, "nanos": 0, "more": 2},
        });
        let expected = serde_json::json!({
            "read": "60s",
            "list": ["1.5s"],
            "other": {"secs": 1, "nanos": 0, "more": 2},
        });
        assert_eq!(readable(given), expected);
    }
}

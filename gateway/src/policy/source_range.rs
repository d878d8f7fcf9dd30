//! Addresses that may come in (nginx `allow` and `deny`).

use std::net::IpAddr;

use http::StatusCode;
use tidegate_snapshot::policy::{self, AccessRule};

use super::Reply;
use super::access::Verdict;

/// Lists of addresses.
pub struct SourceRange(policy::SourceRange);

impl SourceRange {
    pub(super) fn new(spec: &policy::SourceRange) -> Self {
        Self(spec.clone())
    }

    /// `deny` comes first. Without an `allow` list an address that is not denied
    /// is no reason to let a request in, where one reason is enough
    /// (`ngx_http_access_module` declines).
    pub fn check(&self, client: IpAddr) -> Option<Verdict> {
        let refused = Some(Verdict::Refused(Reply::status(StatusCode::FORBIDDEN)));
        if self.0.deny.contains(client) {
            return refused;
        }
        match &self.0.allow {
            Some(allow) if allow.contains(client) => Some(Verdict::Granted),
            Some(_) => refused,
            None => self.by_rules(client),
        }
    }

    /// The first rule about the address decides.
    fn by_rules(&self, client: IpAddr) -> Option<Verdict> {
        let about = |rule: &&AccessRule| rule.from.is_none_or(|from| from.contains(&client));
        let rule = self.0.rules.iter().find(about)?;
        Some(match rule.allow {
            true => Verdict::Granted,
            false => Verdict::Refused(Reply::status(StatusCode::FORBIDDEN)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(rules: &[(bool, &str)], client: &str) -> Option<bool> {
        let rules = rules.iter().map(|(allow, from)| AccessRule {
            allow: *allow,
            from: from.parse().ok(),
        });
        let range = SourceRange::new(&policy::SourceRange {
            rules: rules.collect(),
            ..Default::default()
        });
        let verdict = range.check(client.parse().unwrap())?;
        Some(verdict == Verdict::Granted)
    }

    #[test]
    fn the_first_rule_about_an_address_decides() {
        let rules = [
            (false, "10.0.0.1/32"),
            (true, "10.0.0.0/8"),
            (true, "fd00::/8"),
            (false, "all"),
        ];
        assert_eq!(verdict(&rules, "10.0.0.1"), Some(false));
        assert_eq!(verdict(&rules, "10.0.0.2"), Some(true));
        assert_eq!(verdict(&rules, "fd00::1"), Some(true));
        assert_eq!(verdict(&rules, "192.0.2.1"), Some(false));
        assert_eq!(verdict(&rules[..2], "192.0.2.1"), None);
    }
}

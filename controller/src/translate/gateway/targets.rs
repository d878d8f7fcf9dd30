//! Which port of the replicas the Service of a Gateway leads to.
//!
//! What a Service says is the truth: all replicas read it, and it outlives them.
//! So a port that is there stays, and only the leader, who writes Services, needs to
//! come to new ones.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

/// A port that clients see: TCP's, or (`true`) UDP's.
pub(super) type Port = (u16, bool);

/// Ports of the replicas by those that clients see.
pub(super) type Targets = BTreeMap<Port, u16>;

/// What decides the targets of one Gateway.
pub(super) struct Claim<'a> {
    /// The ports of its listeners.
    pub(super) wanted: BTreeSet<Port>,
    /// What its Service says.
    pub(super) had: Targets,
    /// What was found before, which its Service may not say yet.
    pub(super) held: Option<&'a Targets>,
}

/// The targets of one Gateway.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Granted {
    /// Those that its Service says: the replicas bind these.
    pub(super) kept: Targets,
    /// Those that its Service should say.
    pub(super) all: Targets,
}

/// Grants each Gateway (older ones first) the targets that its Service has, and for
/// ports that have none the one that it was granted before, or else the lowest of the
/// range that no Service has. A port gets none when the range is used up. No two have
/// the same target, and none is `unusable`: what Gateways do not have, and never can.
///
/// Where two Services say the same, the one that it was granted to before keeps it:
/// else whoever may write to a Service could take the traffic of another namespace's.
pub(super) fn grant(
    claims: &[Claim<'_>],
    range: &RangeInclusive<u16>,
    unusable: &BTreeSet<u16>,
) -> Vec<Granted> {
    let mut granted: Vec<Granted> = claims.iter().map(|_| Granted::default()).collect();
    let mut taken = BTreeSet::new();
    for of_old in [true, false] {
        for (claim, granted) in claims.iter().zip(&mut granted) {
            let held = |port, target| claim.held.and_then(|held| held.get(port)) == Some(target);
            for (port, target) in &claim.had {
                let usable = range.contains(target) && !unusable.contains(target);
                let due = claim.wanted.contains(port) && held(port, target) == of_old;
                if usable && due && taken.insert(*target) {
                    granted.kept.insert(*port, *target);
                }
            }
        }
    }
    for (claim, granted) in claims.iter().zip(&mut granted) {
        // Until it is written anew, a Service leads to ports that are no longer
        // wanted, too.
        taken.extend(claim.had.values());
        granted.all = granted.kept.clone();
    }
    taken.extend(unusable);
    for (claim, granted) in claims.iter().zip(&mut granted) {
        for (port, target) in claim.held.into_iter().flatten() {
            let due = claim.wanted.contains(port) && !granted.all.contains_key(port);
            if due && range.contains(target) && taken.insert(*target) {
                granted.all.insert(*port, *target);
            }
        }
    }
    let mut free = range.clone().filter(|target| !taken.contains(target));
    for (claim, granted) in claims.iter().zip(&mut granted) {
        for port in &claim.wanted {
            if !granted.all.contains_key(port)
                && let Some(target) = free.next()
            {
                granted.all.insert(*port, target);
            }
        }
    }
    granted
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn targets(text: &str) -> Targets {
        let pair = |pair: &str| {
            let (port, target) = pair.split_once('=').unwrap();
            ((port.parse().unwrap(), false), target.parse().unwrap())
        };
        text.split_whitespace().map(pair).collect()
    }

    /// The ports of listeners, what the Service has, what was held.
    fn granted(claims: &[(&str, &str, &str)]) -> Vec<String> {
        let held: Vec<Targets> = claims.iter().map(|(.., held)| targets(held)).collect();
        let claims: Vec<Claim<'_>> = claims
            .iter()
            .zip(&held)
            .map(|((wanted, had, _), held)| Claim {
                wanted: wanted
                    .split_whitespace()
                    .map(|port| (port.parse().unwrap(), false))
                    .collect(),
                had: targets(had),
                held: Some(held),
            })
            .collect();
        let shown = |granted: Granted| {
            let text = |((port, _), target): (&Port, &u16)| {
                let mark = if granted.kept.contains_key(&(*port, false)) {
                    ""
                } else {
                    "?"
                };
                format!("{port}={target}{mark}")
            };
            granted.all.iter().map(text).collect::<Vec<_>>().join(" ")
        };
        let granted = grant(&claims, &(100..=104), &BTreeSet::from([101]));
        granted.into_iter().map(shown).collect()
    }

    #[test]
    fn what_a_service_has_stays_and_new_ports_get_the_lowest_free() {
        assert_eq!(granted(&[("80 443", "", "")]), ["80=100? 443=102?"]);
        assert_eq!(
            granted(&[("80 443", "", ""), ("80", "80=100", "")]),
            ["80=102? 443=103?", "80=100"]
        );
    }

    #[test]
    fn what_is_no_longer_wanted_is_taken_until_the_service_says_so() {
        assert_eq!(
            granted(&[("443", "80=100", ""), ("80", "", "")]),
            ["443=102?", "80=103?"]
        );
    }

    #[test]
    fn what_was_granted_is_held_until_the_service_says_it() {
        assert_eq!(
            granted(&[("80", "", ""), ("80", "", "80=100")]),
            ["80=102?", "80=100?"]
        );
    }

    #[test]
    fn what_cannot_be_is_replaced() {
        assert_eq!(
            granted(&[("80 81 82", "80=99 81=101 82=105", "")]),
            ["80=100? 81=102? 82=103?"]
        );
    }

    #[test]
    fn of_two_services_that_say_the_same_one_keeps_it() {
        assert_eq!(
            granted(&[("80", "80=100", ""), ("80", "80=100", "")]),
            ["80=100", "80=102?"]
        );
        assert_eq!(
            granted(&[("80", "80=100", ""), ("80", "80=100", "80=100")]),
            ["80=102?", "80=100"]
        );
    }

    #[test]
    fn a_range_ends() {
        assert_eq!(
            granted(&[("80 81 82", "", ""), ("80 81", "", "")]),
            ["80=100? 81=102? 82=103?", "80=104?"]
        );
    }

    #[derive(Clone, Debug)]
    struct Gateway {
        wanted: BTreeSet<Port>,
        had: Targets,
        held: Targets,
    }

    fn gateway() -> impl Strategy<Value = Gateway> {
        let port = || (0..6u16, any::<bool>());
        let targets = || proptest::collection::btree_map(port(), 95..120u16, 0..6);
        let wanted = proptest::collection::btree_set(port(), 0..6);
        (wanted, targets(), targets()).prop_map(|(wanted, had, held)| Gateway { wanted, had, held })
    }

    proptest! {
        #[test]
        fn no_two_have_the_same_and_what_is_there_stays(
            gateways in proptest::collection::vec(gateway(), 0..6),
            unusable in proptest::collection::btree_set(98..112u16, 0..4),
        ) {
            let range = 100..=115u16;
            let claims: Vec<Claim<'_>> = gateways
                .iter()
                .map(|gateway| Claim {
                    wanted: gateway.wanted.clone(),
                    had: gateway.had.clone(),
                    held: Some(&gateway.held),
                })
                .collect();
            let granted = grant(&claims, &range, &unusable);
            let all: Vec<u16> = granted.iter().flat_map(|granted| granted.all.values().copied()).collect();
            let distinct: BTreeSet<u16> = all.iter().copied().collect();
            prop_assert_eq!(all.len(), distinct.len(), "each target once: {:?}", granted);
            prop_assert!(distinct.iter().all(|target| range.contains(target) && !unusable.contains(target)));
            let had = |target: u16| gateways.iter().flat_map(|gateway| gateway.had.values()).filter(|had| **had == target).count();
            for (gateway, granted) in gateways.iter().zip(&granted) {
                prop_assert!(granted.all.keys().all(|port| gateway.wanted.contains(port)));
                for (port, target) in &granted.kept {
                    prop_assert_eq!(gateway.had.get(port), Some(target));
                    prop_assert_eq!(granted.all.get(port), Some(target));
                }
                for (port, target) in &gateway.had {
                    let undisputed = had(*target) == 1 && range.contains(target) && !unusable.contains(target);
                    if undisputed && gateway.wanted.contains(port) {
                        prop_assert_eq!(granted.kept.get(port), Some(target));
                    }
                }
            }
            // Once the Services say what was granted, nothing moves, whatever was held.
            let settled: Vec<Claim<'_>> = gateways
                .iter()
                .zip(&granted)
                .map(|(gateway, granted)| Claim {
                    wanted: gateway.wanted.clone(),
                    had: granted.all.clone(),
                    held: None,
                })
                .collect();
            for (again, granted) in grant(&settled, &range, &unusable).iter().zip(&granted) {
                prop_assert_eq!(&again.kept, &granted.all);
            }
        }
    }
}

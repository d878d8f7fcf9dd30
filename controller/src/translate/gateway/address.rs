//! The addresses of each Gateway.

use std::collections::HashSet;
use std::net::IpAddr;

use ipnet::IpNet;

use super::status::{Address, Failure};
use crate::gateway_api::GatewayAddress;

/// What decides the addresses of one Gateway.
pub(super) struct Wish<'a> {
    /// `spec.addresses`.
    pub(super) asked: &'a [GatewayAddress],
    /// Those that its status shows.
    pub(super) shown: Vec<IpAddr>,
    /// Those that it was given before, which its status may not show yet.
    pub(super) held: &'a [IpAddr],
}

/// Why a Gateway gets no address.
pub(super) enum Refusal {
    /// It is not `Accepted`.
    Unsupported(Failure),
    /// It cannot be `Programmed`.
    Unusable(Failure),
}

/// `AddressNotUsable`: "one of the specified addresses" cannot be had.
pub(super) fn unusable(message: String) -> Refusal {
    Refusal::Unusable(Failure::new("AddressNotUsable", message))
}

/// Gives each Gateway (older ones first) addresses of the pool: all that it asks
/// for, else one: that which its status shows, else that which it holds, else the
/// first free one. Without a pool all share the addresses of the process.
/// Once statuses show what was given, the answer depends on nothing but the
/// objects, so that all replicas come to the same.
pub(super) fn assign(wishes: &[Wish<'_>], pool: &[IpNet]) -> Vec<Result<Address, Refusal>> {
    let in_pool = |address: &IpAddr| pool.iter().any(|net| net.contains(address));
    let mut assigned: Vec<Option<Result<Address, Refusal>>> = wishes.iter().map(|_| None).collect();
    let mut taken: HashSet<IpAddr> = HashSet::new();
    for (wish, place) in wishes.iter().zip(&mut assigned) {
        match asked(wish.asked) {
            Err(refusal) => *place = Some(Err(refusal)),
            Ok(asked) if asked.is_empty() && pool.is_empty() => *place = Some(Ok(Address::Shared)),
            Ok(asked) if asked.is_empty() => {}
            Ok(asked) => *place = Some(take(asked, &in_pool, &mut taken)),
        }
    }
    let own = |address: IpAddr| Ok(Address::Own([address].into()));
    for of_status in [true, false] {
        for (wish, place) in wishes.iter().zip(&mut assigned) {
            if place.is_some() {
                continue;
            }
            let had = if of_status {
                wish.shown.as_slice()
            } else {
                wish.held
            };
            let kept = had
                .iter()
                .find(|address| in_pool(address) && taken.insert(**address));
            *place = kept.map(|address| own(*address));
        }
    }
    let mut free = pool.iter().flat_map(IpNet::hosts);
    let finish = |place: Option<Result<Address, Refusal>>| {
        place.unwrap_or_else(|| match free.find(|address| !taken.contains(address)) {
            Some(address) => own(address),
            None => Err(Refusal::Unusable(Failure::new(
                "AddressNotAssigned",
                "every address of the gateway is another Gateway's",
            ))),
        })
    };
    assigned.into_iter().map(finish).collect()
}

/// All of the addresses, or none: what is asked for and cannot be had "MUST" be
/// told, and a part of it is not it.
fn take(
    asked: Vec<IpAddr>,
    in_pool: &impl Fn(&IpAddr) -> bool,
    taken: &mut HashSet<IpAddr>,
) -> Result<Address, Refusal> {
    if let Some(address) = asked.iter().find(|address| !in_pool(address)) {
        return Err(unusable(format!(
            "{address} is not one of the gateway's addresses"
        )));
    }
    if let Some(address) = asked.iter().find(|address| taken.contains(address)) {
        return Err(unusable(format!("an older Gateway has {address}")));
    }
    taken.extend(&asked);
    Ok(Address::Own(asked.into()))
}

/// The addresses that a Gateway asks for, each once. `UnsupportedAddress` is for
/// "an address that was provided is a type which is not supported".
pub(super) fn asked(addresses: &[GatewayAddress]) -> Result<Vec<IpAddr>, Refusal> {
    let unsupported = |message: String| Refusal::Unsupported(Failure::new("UnsupportedAddress", message));
    if let Some(other) = addresses
        .iter()
        .find(|address| address.kind.as_deref().unwrap_or("IPAddress") != "IPAddress")
    {
        let kind = other.kind.as_deref().unwrap_or_default();
        return Err(unsupported(format!(
            "addresses of type {kind:?} are not supported"
        )));
    }
    let mut asked = Vec::new();
    for address in addresses.iter().filter(|address| !address.value.is_empty()) {
        let parsed: Result<IpAddr, _> = address.value.parse();
        let parsed = parsed.map_err(|_| unsupported(format!("{:?} is not an IP address", address.value)))?;
        if !asked.contains(&parsed) {
            asked.push(parsed);
        }
    }
    Ok(asked)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is asked for may be a list of addresses, `TYPE/value` each; what is had
    /// is shown, or with a question mark behind it only held.
    fn assigned(wishes: &[(&str, &str)], pool: &str) -> Vec<String> {
        let address = |text: &str| GatewayAddress {
            kind: text.split_once('/').map(|(kind, _)| kind.to_owned()),
            value: text.rsplit('/').next().unwrap_or_default().to_owned(),
        };
        let asked: Vec<Vec<GatewayAddress>> = wishes
            .iter()
            .map(|(asked, _)| asked.split(' ').map(address).collect())
            .collect();
        let held: Vec<Vec<IpAddr>> = wishes
            .iter()
            .map(|(_, had)| had.strip_suffix('?').and_then(|held| held.parse().ok()))
            .map(|held| held.into_iter().collect())
            .collect();
        let wishes: Vec<_> = wishes
            .iter()
            .zip(&asked)
            .zip(&held)
            .map(|(((_, had), asked), held)| Wish {
                asked,
                shown: had.parse().into_iter().collect(),
                held,
            })
            .collect();
        let pool: Vec<IpNet> = pool.parse().into_iter().collect();
        let text = |outcome: Result<Address, Refusal>| match outcome {
            Ok(Address::Own(addresses)) => {
                let texts: Vec<String> = addresses.iter().map(ToString::to_string).collect();
                texts.join(" ")
            }
            Ok(other) => format!("{other:?}"),
            Err(Refusal::Unsupported(failure) | Refusal::Unusable(failure)) => failure.reason.to_owned(),
        };
        assign(&wishes, &pool).into_iter().map(text).collect()
    }

    #[test]
    fn what_is_asked_for_comes_before_what_is_there() {
        let pool = "10.0.0.0/29";
        assert_eq!(
            assigned(&[("", ""), ("", "10.0.0.1"), ("10.0.0.2", "")], pool),
            ["10.0.0.3", "10.0.0.1", "10.0.0.2"]
        );
        assert_eq!(
            assigned(
                &[("10.0.0.1", ""), ("10.0.0.1", ""), ("10.1.0.1", ""), ("x", "")],
                pool
            ),
            [
                "10.0.0.1",
                "AddressNotUsable",
                "AddressNotUsable",
                "UnsupportedAddress"
            ]
        );
    }

    #[test]
    fn what_is_held_comes_after_what_is_shown() {
        let pool = "10.0.0.0/29";
        assert_eq!(
            assigned(&[("", ""), ("", "10.0.0.1?"), ("", "10.0.0.2?")], pool),
            ["10.0.0.3", "10.0.0.1", "10.0.0.2"]
        );
        assert_eq!(
            assigned(&[("", "10.0.0.1?"), ("", "10.0.0.1")], pool),
            ["10.0.0.2", "10.0.0.1"]
        );
    }

    #[test]
    fn what_cannot_be_had_is_told_apart() {
        let refused = |asked: &str| assigned(&[(asked, "")], "10.0.0.0/29").remove(0);
        assert_eq!(refused("Hostname/a.test 10.1.0.1 10.0.0.1"), "UnsupportedAddress");
        assert_eq!(refused("10.1.0.1 10.0.0.1"), "AddressNotUsable");
        assert_eq!(refused("IPAddress/10.0.0.1"), "10.0.0.1");
    }

    #[test]
    fn several_are_had_together_or_not_at_all() {
        let pool = "10.0.0.0/29";
        assert_eq!(
            assigned(&[("10.0.0.2 10.0.0.1 10.0.0.2", ""), ("", "")], pool),
            ["10.0.0.2 10.0.0.1", "10.0.0.3"]
        );
        assert_eq!(
            assigned(
                &[("10.0.0.2", ""), ("10.0.0.1 10.0.0.2", ""), ("10.0.0.1", "")],
                pool
            ),
            ["10.0.0.2", "AddressNotUsable", "10.0.0.1"]
        );
    }

    #[test]
    fn a_pool_ends() {
        assert_eq!(
            assigned(&[("", ""), ("", "")], "10.0.0.1/32"),
            ["10.0.0.1", "AddressNotAssigned"]
        );
        assert_eq!(assigned(&[("", "")], ""), ["Shared"]);
    }
}

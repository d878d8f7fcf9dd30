//! Sets of addresses.

use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;
use serde::{Serialize, Serializer};

/// Networks, ready for lookup in logarithmic time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Networks {
    /// As written, for dumps.
    networks: Box<[IpNet]>,
    v4: Ranges<u32>,
    v6: Ranges<u128>,
}

/// Disjoint ranges, both ends included, sorted.
type Ranges<T> = Box<[(T, T)]>;

/// A text that is neither an address nor a network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not an address and not a network")]
pub struct NetworksError(pub String);

impl Networks {
    /// A set of networks.
    pub fn new(networks: Vec<IpNet>) -> Self {
        let mut v4 = Vec::new();
        let mut v6 = Vec::new();
        for network in &networks {
            // A dual-stack address means the IPv4 one, as clients are seen.
            match (
                network.network().to_canonical(),
                network.broadcast().to_canonical(),
            ) {
                (IpAddr::V4(first), IpAddr::V4(last)) => v4.push((first.to_bits(), last.to_bits())),
                (IpAddr::V6(first), IpAddr::V6(last)) => v6.push((first.to_bits(), last.to_bits())),
                _ => {}
            }
        }
        Self {
            networks: networks.into(),
            v4: disjoint(v4),
            v6: disjoint(v6),
        }
    }

    /// Parses a list separated by commas: addresses and networks in CIDR
    /// notation, with white space around; empty entries do not count.
    ///
    /// # Errors
    /// The first entry that is neither.
    pub fn parse(list: &str) -> Result<Self, NetworksError> {
        let entries = list.split(',').map(str::trim).filter(|entry| !entry.is_empty());
        let network = |entry: &str| {
            IpNet::from_str(entry)
                .or_else(|_| entry.parse::<IpAddr>().map(IpNet::from))
                .map_err(|_| NetworksError(entry.to_owned()))
        };
        Ok(Self::new(entries.map(network).collect::<Result<_, _>>()?))
    }

    /// Whether it holds no address at all.
    pub fn is_empty(&self) -> bool {
        self.networks.is_empty()
    }

    /// Whether `address` is in one of the networks. `address` is canonical: no
    /// IPv4 address in the form of IPv6.
    pub fn contains(&self, address: IpAddr) -> bool {
        match address {
            IpAddr::V4(address) => holds(&self.v4, address.to_bits()),
            IpAddr::V6(address) => holds(&self.v6, address.to_bits()),
        }
    }
}

fn disjoint<T: Ord + Copy>(mut ranges: Vec<(T, T)>) -> Ranges<T> {
    ranges.sort_unstable();
    let mut merged: Vec<(T, T)> = Vec::with_capacity(ranges.len());
    for (first, last) in ranges {
        match merged.last_mut() {
            Some(before) if first <= before.1 => before.1 = before.1.max(last),
            _ => merged.push((first, last)),
        }
    }
    merged.into()
}

fn holds<T: Ord + Copy>(ranges: &[(T, T)], value: T) -> bool {
    let after = ranges.partition_point(|(first, _)| *first <= value);
    after
        .checked_sub(1)
        .and_then(|at| ranges.get(at))
        .is_some_and(|(_, last)| value <= *last)
}

impl Serialize for Networks {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.networks.iter())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contains(list: &str, address: &str) -> bool {
        Networks::parse(list).unwrap().contains(address.parse().unwrap())
    }

    #[test]
    fn finds_addresses_in_any_of_many_networks() {
        let list = "10.0.0.0/8, 10.1.0.0/16,192.168.1.7,2001:db8::/32,,::1,172.16.0.1/12";
        for inside in [
            "10.0.0.0",
            "10.255.255.255",
            "192.168.1.7",
            "2001:db8::ffff",
            "::1",
            "172.31.0.1",
        ] {
            assert!(contains(list, inside), "{inside}");
        }
        for outside in [
            "9.255.255.255",
            "11.0.0.0",
            "192.168.1.8",
            "2001:db9::",
            "::2",
            "172.32.0.0",
        ] {
            assert!(!contains(list, outside), "{outside}");
        }
        assert!(contains("0.0.0.0/0", "1.2.3.4"));
        assert!(!contains("0.0.0.0/0", "::1"));
        assert!(!contains("", "1.2.3.4"));
        assert!(contains("::ffff:10.0.0.1", "10.0.0.1"));
    }

    #[test]
    fn names_what_it_cannot_read() {
        let error = |list| Networks::parse(list).unwrap_err().0;
        assert_eq!(error("10.0.0.0/8,10.0.0.0/33"), "10.0.0.0/33");
        assert_eq!(error("example.com"), "example.com");
    }
}

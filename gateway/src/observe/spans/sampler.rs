//! Which traces are sampled (OpenTelemetry's built-in samplers).

use tidegate_snapshot::{RootSampler, Sampler};

/// Of one of so many.
const MILLION: u64 = 1_000_000;

/// Decides about a trace; `parent` is what its parent has decided, if it has
/// one.
pub(super) fn is_sampled(sampler: &Sampler, parent: Option<bool>, trace: u128) -> bool {
    match (sampler.parent_based, parent) {
        (true, Some(sampled)) => sampled,
        _ => match sampler.root {
            RootSampler::All => true,
            RootSampler::None => false,
            RootSampler::Ratio(millionths) => is_below(u64::from(millionths), trace),
        },
    }
}

/// By the low 63 bits of the ID, as the SDKs do: every one of them decides the
/// same about a trace, and a larger share includes a smaller one.
fn is_below(millionths: u64, trace: u128) -> bool {
    let bits = trace as u64 >> 1;
    let bound = (u128::from(millionths) << 63) / u128::from(MILLION);
    u128::from(bits) < bound
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sampler(root: RootSampler, parent_based: bool) -> Sampler {
        Sampler { root, parent_based }
    }

    #[test]
    fn the_parent_decides_where_it_may() {
        let none = sampler(RootSampler::None, true);
        assert!(is_sampled(&none, Some(true), 1));
        assert!(!is_sampled(&none, None, 1));
        let all = sampler(RootSampler::All, true);
        assert!(!is_sampled(&all, Some(false), 1));
        let alone = sampler(RootSampler::All, false);
        assert!(is_sampled(&alone, Some(false), 1));
    }

    #[test]
    fn a_share_of_the_traces() {
        let share = |millionths| {
            let sampler = sampler(RootSampler::Ratio(millionths), true);
            let taken = |trace: &u128| is_sampled(&sampler, None, *trace);
            (0..100_000).map(|_| rand::random::<u128>()).filter(taken).count()
        };
        assert_eq!(share(0), 0);
        assert_eq!(share(1_000_000), 100_000);
        let tenth = share(100_000);
        assert!((9_000..11_000).contains(&tenth), "{tenth}");
    }
}

//! What a translation finds wrong.

use std::collections::BTreeMap;
use std::sync::Arc;

use tidegate_snapshot::Problem;

/// A list in no order. What is remembered from one translation to the next is
/// shared, not copied: there may be thousands.
#[derive(Debug, Default)]
pub(super) struct Problems {
    list: Vec<Arc<Problem>>,
    /// Each sorted, each problem once.
    remembered: Vec<Vec<Arc<Problem>>>,
}

impl Problems {
    pub(super) fn push(&mut self, problem: Problem) {
        self.list.push(Arc::new(problem));
    }

    /// Adds what is sorted, each once: thousands that nearly all were there before
    /// are not sorted again.
    pub(super) fn remember<'a>(&mut self, problems: impl Iterator<Item = &'a Arc<Problem>>) {
        let problems: Vec<_> = problems.cloned().collect();
        if !problems.is_empty() {
            self.remembered.push(problems);
        }
    }

    /// Sorted, each once.
    pub(super) fn finish(mut self) -> Vec<Arc<Problem>> {
        // Small ones into the largest.
        self.remembered.sort_by_key(Vec::len);
        let mut all = self.remembered.pop().unwrap_or_default();
        for problems in self.remembered {
            merge(&mut all, problems);
        }
        merge(&mut all, self.list);
        all
    }
}

/// Problems that stay from one translation to the next: what is remembered of an
/// object adds its own, and takes them away when it goes.
#[derive(Debug, Default)]
pub(super) struct Ledger(BTreeMap<Arc<Problem>, usize>);

impl Ledger {
    pub(super) fn add(&mut self, problems: &[Arc<Problem>]) {
        for problem in problems {
            *self.0.entry(problem.clone()).or_default() += 1;
        }
    }

    /// Takes away what was added once.
    pub(super) fn remove(&mut self, problems: &[Arc<Problem>]) {
        for problem in problems {
            if let Some(count) = self.0.get_mut(problem) {
                *count -= 1;
                if *count == 0 {
                    self.0.remove(problem);
                }
            }
        }
    }

    /// Sorted, each once.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Arc<Problem>> {
        self.0.keys()
    }
}

impl Extend<Problem> for Problems {
    fn extend<I: IntoIterator<Item = Problem>>(&mut self, problems: I) {
        self.list.extend(problems.into_iter().map(Arc::new));
    }
}

impl Extend<Arc<Problem>> for Problems {
    fn extend<I: IntoIterator<Item = Arc<Problem>>>(&mut self, problems: I) {
        self.list.extend(problems);
    }
}

/// To be remembered.
pub(super) fn shared(problems: Vec<Problem>) -> Box<[Arc<Problem>]> {
    problems.into_iter().map(Arc::new).collect()
}

/// Adds problems in any order to what is sorted, each once. Texts are compared in
/// proportion to the new ones.
pub(super) fn merge(sorted: &mut Vec<Arc<Problem>>, mut new: Vec<Arc<Problem>>) {
    new.sort();
    new.dedup();
    if sorted.is_empty() {
        *sorted = new;
        return;
    }
    if new.is_empty() {
        return;
    }
    let mut merged = Vec::with_capacity(sorted.len() + new.len());
    let mut rest = sorted.as_slice();
    for problem in new {
        let (before, after) = rest.split_at(rest.partition_point(|known| *known < problem));
        merged.extend_from_slice(before);
        rest = after;
        if rest.first() != Some(&problem) {
            merged.push(problem);
        }
    }
    merged.extend_from_slice(rest);
    *sorted = merged;
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tidegate_snapshot::{Effect, ObjectRef};

    use super::*;

    fn problem(number: u8) -> Arc<Problem> {
        Arc::new(Problem {
            object: ObjectRef::new("Ingress", "a", "b"),
            field: number.to_string(),
            reason: "Test",
            message: String::new(),
            effect: Effect::Ignored,
            fix: String::new(),
        })
    }

    proptest! {
        #[test]
        fn merging_is_sorting(lists in proptest::collection::vec(proptest::collection::vec(0..20u8, 0..9), 0..4)) {
            let mut merged = Vec::new();
            for list in &lists {
                merge(&mut merged, list.iter().copied().map(problem).collect());
            }
            let mut sorted: Vec<_> = lists.concat().into_iter().map(problem).collect();
            sorted.sort();
            sorted.dedup();
            prop_assert_eq!(merged, sorted);
        }
    }
}

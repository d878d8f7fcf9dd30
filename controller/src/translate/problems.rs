//! What a translation finds wrong.

use std::sync::Arc;

use tidegate_snapshot::Problem;

/// A list in no order. What is remembered from one translation to the next is
/// shared, not copied: there may be thousands.
#[derive(Debug, Default)]
pub(super) struct Problems {
    list: Vec<Arc<Problem>>,
    /// Sorted, each once.
    remembered: Vec<Arc<Problem>>,
}

impl Problems {
    pub(super) fn push(&mut self, problem: Problem) {
        self.list.push(Arc::new(problem));
    }

    /// Adds what is sorted, each once: thousands that nearly all were there before
    /// are not sorted again.
    pub(super) fn remember(&mut self, problems: &[Arc<Problem>]) {
        if self.remembered.is_empty() {
            self.remembered = problems.to_vec();
        } else {
            self.list.extend_from_slice(problems);
        }
    }

    /// Sorted, each once.
    pub(super) fn finish(mut self) -> Vec<Arc<Problem>> {
        merge(&mut self.remembered, self.list);
        self.remembered
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

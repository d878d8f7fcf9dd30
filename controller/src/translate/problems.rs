//! What a translation finds wrong.

use std::sync::Arc;

use tidegate_snapshot::Problem;

/// A list in no order. What is remembered from one translation to the next is
/// shared, not copied: there may be thousands.
#[derive(Debug, Default)]
pub(super) struct Problems(Vec<Arc<Problem>>);

impl Problems {
    pub(super) fn push(&mut self, problem: Problem) {
        self.0.push(Arc::new(problem));
    }

    /// Sorted, each once.
    pub(super) fn finish(mut self) -> Vec<Arc<Problem>> {
        self.0.sort();
        self.0.dedup();
        self.0
    }
}

impl Extend<Problem> for Problems {
    fn extend<I: IntoIterator<Item = Problem>>(&mut self, problems: I) {
        self.0.extend(problems.into_iter().map(Arc::new));
    }
}

impl Extend<Arc<Problem>> for Problems {
    fn extend<I: IntoIterator<Item = Arc<Problem>>>(&mut self, problems: I) {
        self.0.extend(problems);
    }
}

/// To be remembered.
pub(super) fn shared(problems: Vec<Problem>) -> Box<[Arc<Problem>]> {
    problems.into_iter().map(Arc::new).collect()
}

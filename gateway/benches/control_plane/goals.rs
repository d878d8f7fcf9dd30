//! What was reached and what was missed.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

static MISSED: AtomicUsize = AtomicUsize::new(0);
static WRONG: AtomicUsize = AtomicUsize::new(0);

/// A limit on something that takes time or memory: to miss it says something of the
/// machine too.
pub fn at_most(value: f64, limit: f64) -> String {
    verdict(value <= limit, format!("goal at most {limit}"), &MISSED)
}

/// A limit on something that went wrong, on whatever machine.
pub fn no_more(count: usize, limit: usize) -> String {
    verdict(count <= limit, format!("goal at most {limit}"), &WRONG)
}

fn verdict(is_reached: bool, goal: String, counter: &AtomicUsize) -> String {
    counter.fetch_add(usize::from(!is_reached), Relaxed);
    let word = if is_reached { "reached" } else { "MISSED" };
    format!("{goal}: {word}")
}

/// Prints how many were missed.
///
/// # Panics
/// Something went wrong that must not.
pub fn conclude() {
    let (missed, wrong) = (MISSED.load(Relaxed), WRONG.load(Relaxed));
    println!("{} goals missed", missed + wrong);
    assert_eq!(wrong, 0, "requests failed or statuses were written for nothing");
}

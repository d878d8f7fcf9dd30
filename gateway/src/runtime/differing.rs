//! What differs between two maps of shared values.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The keys that only one of the maps has, or that have unequal values. Both
/// are walked once, side by side; the same pointer is equal without a look.
pub(super) fn differing<K, V>(old: &Arc<BTreeMap<K, Arc<V>>>, new: &Arc<BTreeMap<K, Arc<V>>>) -> Vec<K>
where
    K: Ord + Clone,
    V: PartialEq + ?Sized,
{
    let mut keys = Vec::new();
    if Arc::ptr_eq(old, new) {
        return keys;
    }
    let (mut old, mut new) = (old.iter().peekable(), new.iter().peekable());
    loop {
        let order = match (old.peek(), new.peek()) {
            (Some((old, _)), Some((new, _))) => old.cmp(new),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => return keys,
        };
        let before = if order.is_le() { old.next() } else { None };
        let after = if order.is_ge() { new.next() } else { None };
        match (before, after) {
            (Some((_, before)), Some((_, after))) if Arc::ptr_eq(before, after) || before == after => {}
            (Some((key, _)), _) | (None, Some((key, _))) => keys.push(key.clone()),
            (None, None) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(entries: &[(char, &str)]) -> Arc<BTreeMap<char, Arc<str>>> {
        Arc::new(
            entries
                .iter()
                .map(|(key, value)| (*key, Arc::from(*value)))
                .collect(),
        )
    }

    #[test]
    fn finds_new_gone_and_unequal_ones() {
        let old = map(&[('a', "1"), ('b', "2"), ('d', "4"), ('e', "5")]);
        let new = map(&[('b', "2"), ('c', "3"), ('d', "other"), ('f', "6")]);
        assert_eq!(differing(&old, &new), ['a', 'c', 'd', 'e', 'f']);
        assert!(differing(&old, &old).is_empty());
        assert_eq!(differing(&old, &map(&[])), ['a', 'b', 'd', 'e']);
        assert_eq!(differing(&map(&[]), &new), ['b', 'c', 'd', 'f']);
    }
}

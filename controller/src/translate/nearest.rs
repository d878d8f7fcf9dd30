//! The known name that a misspelt one most likely means.

/// More wrong letters than this, and it is another word.
const FARTHEST: usize = 3;

/// The known name nearest to `name`, if one is near.
pub(super) fn name(name: &str, known: impl Iterator<Item = &'static str>) -> Option<&'static str> {
    if name.len() > 64 {
        return None;
    }
    known
        .filter(|known| known.len().abs_diff(name.len()) <= FARTHEST)
        .map(|known| (distance(known.as_bytes(), name.as_bytes()), known))
        .min()
        .filter(|(distance, known)| *distance <= FARTHEST && *distance * 3 <= known.len())
        .map(|(_, known)| known)
}

/// Levenshtein's distance: insertions, deletions and replacements.
fn distance(a: &[u8], b: &[u8]) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = i;
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

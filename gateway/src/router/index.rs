//! An index over the paths of a host's routes: a tree by path segment that
//! gives the routes whose path can hold, so that few conditions are tried.

use tidegate_snapshot::PathMatch;

/// The tree, and what does not fit one. It proposes; the route's condition,
/// path included, decides.
pub(super) struct Index {
    nodes: Box<[Node]>,
    /// Regular expressions, and paths that no normalised path is like.
    others: Box<[u32]>,
}

/// The routes at one path, by how they match it; ascending numbers.
#[derive(Default)]
struct Node {
    exact: Vec<u32>,
    prefix: Vec<u32>,
    below: Vec<u32>,
    /// By segment, sorted.
    children: Vec<(Box<str>, u32)>,
}

impl Index {
    /// An index over paths; a route's number is its place.
    pub(super) fn new<'a>(paths: impl Iterator<Item = &'a PathMatch>) -> Self {
        let mut nodes = vec![Node::default()];
        let mut others = Vec::new();
        for (number, path) in paths.enumerate() {
            let number = u32::try_from(number).expect("fewer than 2^32 routes");
            let list = match path {
                PathMatch::Exact(path) if path.starts_with('/') => &mut node(&mut nodes, path).exact,
                PathMatch::Prefix(path) if path.is_empty() || path.starts_with('/') => {
                    &mut node(&mut nodes, path).prefix
                }
                PathMatch::Below(path) if path.starts_with('/') && path.ends_with('/') => {
                    &mut node(&mut nodes, &path[..path.len() - 1]).below
                }
                _ => &mut others,
            };
            list.push(number);
        }
        for node in &mut nodes {
            node.shrink();
        }
        Self {
            nodes: nodes.into(),
            others: others.into(),
        }
    }

    /// The lowest number of which `holds` is true.
    pub(super) fn first(&self, path: &str, holds: impl Fn(usize) -> bool) -> Option<usize> {
        let mut best = u32::MAX;
        let mut consider = |numbers: &[u32]| {
            let better = numbers.iter().take_while(|number| **number < best);
            if let Some(found) = better.copied().find(|number| holds(*number as usize)) {
                best = found;
            }
        };
        // Before its first slash a path has an empty segment: the root.
        let mut segments = path.split('/').skip(1).peekable();
        let mut node = &self.nodes[0];
        loop {
            consider(&node.prefix);
            let Some(segment) = segments.next() else {
                consider(&node.exact);
                break;
            };
            consider(&node.below);
            let Some(child) = node.child(segment) else { break };
            node = &self.nodes[child];
        }
        consider(&self.others);
        (best < u32::MAX).then_some(best as usize)
    }
}

impl Node {
    fn child(&self, segment: &str) -> Option<usize> {
        let place = self
            .children
            .binary_search_by(|(name, _)| (**name).cmp(segment))
            .ok()?;
        Some(self.children[place].1 as usize)
    }

    fn shrink(&mut self) {
        for list in [&mut self.exact, &mut self.prefix, &mut self.below] {
            list.shrink_to_fit();
        }
        self.children.shrink_to_fit();
    }
}

/// The node of a path (empty: the root), made where it is missing.
fn node<'a>(nodes: &'a mut Vec<Node>, path: &str) -> &'a mut Node {
    let mut at = 0;
    for segment in path.split('/').skip(1) {
        let place = nodes[at]
            .children
            .binary_search_by(|(name, _)| (**name).cmp(segment));
        at = match place {
            Ok(place) => nodes[at].children[place].1 as usize,
            Err(place) => {
                let new = nodes.len();
                let number = u32::try_from(new).expect("fewer than 2^32 path segments");
                nodes[at].children.insert(place, (segment.into(), number));
                nodes.push(Node::default());
                new
            }
        };
    }
    &mut nodes[at]
}

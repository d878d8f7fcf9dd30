//! The path sent to the backend (`rewrite-target`, `x-forwarded-prefix`).

use http::{HeaderValue, StatusCode};
use tidegate_snapshot::policy::{self, RewritePiece};
use tidegate_snapshot::text::{Piece, Variable};
use tidegate_snapshot::{Captures, PathMatch};

use super::Reply;
use crate::path;
use crate::template::{self, Values};

/// Replaces the path.
pub struct Rewrite {
    target: Box<[RewritePiece]>,
    /// The target is a URL: nginx makes a redirect of it.
    redirects: bool,
    /// `X-Forwarded-Prefix` to the backend.
    pub forwarded_prefix: Option<HeaderValue>,
}

impl Rewrite {
    pub(super) fn new(spec: &policy::Rewrite) -> Self {
        Self {
            target: spec.target.as_slice().into(),
            redirects: is_url(&spec.target),
            forwarded_prefix: spec.forwarded_prefix.clone(),
        }
    }

    /// Path and query for the backend. The path is made of decoded text and
    /// escaped again; the query stays as the client wrote it.
    ///
    /// # Errors
    /// The answer instead: 302 when the target is a URL (nginx `rewrite`), and
    /// 400 when the new path has dot segments, which groups that begin inside
    /// of a segment can make (`/static(.*)` to `/files/$1`, `/static../x`):
    /// they would lead out of where the target points to.
    pub fn on_request(&self, matched: &PathMatch, values: &Values<'_>) -> Result<String, Reply> {
        let request = values.request;
        let mut target = Vec::with_capacity(request.uri().len() + 16);
        let groups = match matched {
            PathMatch::Regex(pattern) => pattern.captures(request.path()),
            _ => None,
        };
        self.fill(groups.as_ref(), values, &mut target);
        let target = String::from_utf8_lossy(&target);
        let mut uri = String::with_capacity(target.len() + 16);
        if self.redirects {
            uri.push_str(&target);
        } else {
            if has_dot_segments(&target) {
                return Err(Reply::status(StatusCode::BAD_REQUEST));
            }
            if !target.starts_with('/') {
                uri.push('/');
            }
            path::escape(&target, &mut uri);
        }
        if let Some(query) = request.query().filter(|query| !query.is_empty()) {
            uri.push('?');
            uri.push_str(query);
        }
        if self.redirects {
            return Err(Reply::redirect(StatusCode::FOUND, uri));
        }
        Ok(uri)
    }

    fn fill(&self, groups: Option<&Captures<'_>>, values: &Values<'_>, out: &mut Vec<u8>) {
        for piece in &self.target {
            match piece {
                RewritePiece::Text(text) => template::fill(text, values, out),
                RewritePiece::Group(number) => {
                    let group = groups.map_or("", |groups| groups.group(usize::from(*number)));
                    if self.redirects {
                        let mut escaped = String::new();
                        path::escape(group, &mut escaped);
                        out.extend_from_slice(escaped.as_bytes());
                    } else {
                        out.extend_from_slice(group.as_bytes());
                    }
                }
            }
        }
    }
}

/// nginx redirects to replacements that begin so (`ngx_http_rewrite`).
fn is_url(target: &[RewritePiece]) -> bool {
    let Some(RewritePiece::Text(text)) = target.first() else {
        return false;
    };
    match text.pieces().first() {
        Some(Piece::Literal(text)) => text.starts_with("http://") || text.starts_with("https://"),
        Some(Piece::Variable(variable)) => *variable == Variable::Scheme,
        None => false,
    }
}

/// Whether a path has segments that lead elsewhere.
pub(super) fn has_dot_segments(path: &str) -> bool {
    path.contains("/.") && path.split('/').any(|segment| matches!(segment, "." | ".."))
}

#[cfg(test)]
mod tests {
    use tidegate_snapshot::Pattern;

    use super::*;
    use crate::request::fixtures::Request;

    fn rewritten(path: &str, target: &str, uri: &str) -> Result<String, Reply> {
        let pattern = Pattern::new(&format!("^{path}"), true).unwrap();
        let request = Request::get(uri);
        let rewrite = Rewrite::new(&policy::Rewrite::parse(target).unwrap());
        rewrite.on_request(&PathMatch::Regex(pattern), &Values::of(&request))
    }

    #[test]
    fn the_usual_recipes_work() {
        let strip = |uri| rewritten("/x(/|$)(.*)", "/$2", uri).unwrap();
        assert_eq!(strip("/x"), "/");
        assert_eq!(strip("/x/"), "/");
        assert_eq!(strip("/X/a/b?c=d&e=%2F"), "/a/b?c=d&e=%2F");
        assert_eq!(
            rewritten("/foo/bar/(.+)", "/new/backend/$1", "/foo/bar/bar").unwrap(),
            "/new/backend/bar"
        );
        assert_eq!(rewritten("/something", "/", "/something/else?a").unwrap(), "/?a");
        assert_eq!(rewritten("/(a)|(b)", "/$1-$2-$3", "/b").unwrap(), "/-b-");
    }

    #[test]
    fn the_new_path_is_escaped_again() {
        let strip = |uri| rewritten("/x(/|$)(.*)", "/$2", uri).unwrap();
        assert_eq!(strip("/x/a%20b%3Fc%25%2Fd%C3%A9%FF"), "/a%20b%3Fc%25/d%C3%A9%FF");
        assert_eq!(strip("/x//a/./b/../c"), "/a/c");
    }

    #[test]
    fn a_relative_target_is_made_absolute() {
        assert_eq!(rewritten("/x/(.*)", "$1", "/x/a").unwrap(), "/a");
        assert_eq!(rewritten("/x/(.*)", "$1", "/x/").unwrap(), "/");
    }

    #[test]
    fn the_target_cannot_be_left() {
        let status = |uri| rewritten("/static(.*)", "/files/$1", uri).unwrap_err().status;
        assert_eq!(status("/static../secret"), StatusCode::BAD_REQUEST);
        assert_eq!(status("/static./secret"), StatusCode::BAD_REQUEST);
        assert_eq!(
            rewritten("/static(.*)", "/files/$1", "/static.../a").unwrap(),
            "/files/.../a"
        );
    }

    #[test]
    fn a_url_redirects() {
        let reply = rewritten("/x/(.*)", "https://$host/$1", "/x/a%20b?c=d").unwrap_err();
        assert_eq!(
            reply,
            Reply::redirect(StatusCode::FOUND, "https://foo.bar/a%20b?c=d".to_owned())
        );
        assert!(rewritten("/x/(.*)", "$scheme://a/$1", "/x/").is_err());
    }
}

//! The rewrite phase (nginx `ngx_http_rewrite_module`).

use bytes::Bytes;
use http::{HeaderValue, StatusCode};
use tidegate_snapshot::policy::snippet::{
    Assigned, Condition, Content, Return, Snippet, Step, Test, Then, UriRewrite, Value, ValuePiece,
};
use tidegate_snapshot::{Captures, Pattern, Variable};

use super::Outcome;
use super::progress::{Progress, Seen, push_query};
use super::value::{self, filled};
use crate::path;
use crate::policy::{LocationStyle, Reply, ReplyBody};
use crate::request::RequestView;
use crate::template::Values;

const HTML: HeaderValue = HeaderValue::from_static("text/html");

/// Runs the steps of a level.
pub(super) fn run(
    snippet: &Snippet,
    progress: &mut Progress,
    values: &Values<'_>,
    style: &LocationStyle,
    port: u16,
) -> Outcome {
    let mut run = Run {
        snippet,
        progress,
        values,
        style,
        port,
        moved: false,
    };
    match run.block(0) {
        Some(End::Respond(reply)) => Outcome::Respond(reply),
        _ if run.moved => Outcome::FindRoute,
        _ => Outcome::Continue,
    }
}

/// What ends the steps early.
enum End {
    Stop,
    Respond(Reply),
}

struct Run<'a> {
    snippet: &'a Snippet,
    progress: &'a mut Progress,
    values: &'a Values<'a>,
    style: &'a LocationStyle,
    port: u16,
    /// The path was rewritten, and no `break` came after it.
    moved: bool,
}

impl Run<'_> {
    fn block(&mut self, index: usize) -> Option<End> {
        let snippet = self.snippet;
        let block = snippet.blocks.get(index)?;
        block.steps.iter().find_map(|step| self.step(step))
    }

    fn step(&mut self, step: &Step) -> Option<End> {
        if self.is_blind(step) {
            return Some(End::Respond(Reply::status(StatusCode::SERVICE_UNAVAILABLE)));
        }
        match step {
            Step::Set(target, value) => {
                self.set(target, value);
                None
            }
            Step::If(condition, block) => {
                if !self.holds(condition) {
                    return None;
                }
                self.progress.come_into(*block);
                self.block(*block)
            }
            Step::Return(answer) => Some(End::Respond(self.answer(answer))),
            Step::Rewrite(rewrite) => self.rewrite(rewrite),
            Step::Break => Some(self.stop()),
        }
    }

    /// Whether a step decides by a GeoIP database that is not there: it may have
    /// been there to keep somebody out.
    fn is_blind(&self, step: &Step) -> bool {
        let is_blind = |value: &Value| {
            value.pieces().iter().any(|piece| match piece {
                ValuePiece::Variable(Variable::Geo(field)) => {
                    let place = self.values.request.place();
                    place.and_then(|place| place.value(*field)).is_none()
                }
                _ => false,
            })
        };
        match step {
            Step::Set(_, value) => is_blind(value),
            Step::If(condition, _) => {
                is_blind(&condition.subject)
                    || match &condition.test {
                        Test::Is(value) | Test::IsNot(value) => is_blind(value),
                        Test::IsSet | Test::Matches(_) | Test::MatchesNot(_) => false,
                    }
            }
            Step::Return(_) | Step::Rewrite(_) | Step::Break => false,
        }
    }

    fn stop(&mut self) -> End {
        self.moved = false;
        self.progress.stopped = true;
        End::Stop
    }

    fn fill(&self, value: &Value) -> Vec<u8> {
        filled(value, Some(&*self.progress), self.values, None)
    }

    fn text(&self, value: &Value) -> String {
        String::from_utf8_lossy(&self.fill(value)).into_owned()
    }

    fn set(&mut self, target: &Assigned, value: &Value) {
        match target {
            Assigned::Own(name) => {
                let value = self.fill(value);
                self.progress.set_own(name, value);
            }
            Assigned::Query => {
                let query = self.text(value);
                self.progress.set_query(&query);
            }
        }
    }

    fn holds(&mut self, condition: &Condition) -> bool {
        let subject = self.fill(&condition.subject);
        match &condition.test {
            Test::IsSet => !subject.is_empty() && subject != b"0",
            Test::Is(value) => subject == self.fill(value),
            Test::IsNot(value) => subject != self.fill(value),
            Test::Matches(pattern) => self.matches(pattern, &String::from_utf8_lossy(&subject)),
            Test::MatchesNot(pattern) => !self.matches(pattern, &String::from_utf8_lossy(&subject)),
        }
    }

    /// Whether a pattern matches; its groups are those of the request then.
    fn matches(&mut self, pattern: &Pattern, text: &str) -> bool {
        let Some(captures) = pattern.captures(text) else {
            return false;
        };
        self.progress.set_groups(groups(&captures));
        true
    }

    fn answer(&self, answer: &Return) -> Reply {
        let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = |content_type: &HeaderValue, bytes: Vec<u8>| Reply {
            body: Some(ReplyBody {
                content_type: content_type.clone(),
                bytes: Bytes::from(bytes),
            }),
            ..Reply::status(status)
        };
        match &answer.content {
            Content::Page => Reply::status(status),
            Content::Empty if matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) => {
                Reply::status(status)
            }
            Content::Empty => body(&HTML, Vec::new()),
            Content::Text {
                content_type,
                body: text,
            } => body(content_type, self.fill(text)),
            Content::Location(url) => self.redirect(status, self.text(url)),
        }
    }

    fn redirect(&self, status: StatusCode, location: String) -> Reply {
        if location.is_empty() {
            return Reply::status(status);
        }
        let location = match location.starts_with('/') {
            true => self.style.of(&location, self.values.request, Some(self.port)),
            false => location,
        };
        Reply::redirect(status, location)
    }

    fn rewrite(&mut self, rewrite: &UriRewrite) -> Option<End> {
        let seen = Seen::new(self.values.request, Some(&*self.progress));
        let captures = rewrite.pattern.captures(seen.path())?;
        let matched = groups(&captures);
        let before = seen.query().unwrap_or_default().to_owned();
        self.progress.set_groups(matched);
        let mut query = match &rewrite.query {
            Some(query) => self.query(query),
            None => String::new(),
        };
        if rewrite.keep_query && !before.is_empty() {
            if !query.is_empty() {
                query.push('&');
            }
            query.push_str(&before);
        }
        if let Then::Redirect(status) = rewrite.then {
            let mut location = self.escaped(&rewrite.path);
            if !query.is_empty() {
                location.push('?');
                push_query(&query, &mut location);
            }
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::FOUND);
            return Some(End::Respond(self.redirect(status, location)));
        }
        let path = self.text(&rewrite.path);
        if path.is_empty() {
            // nginx: "the rewritten URI has a zero length".
            return Some(End::Respond(Reply::status(StatusCode::INTERNAL_SERVER_ERROR)));
        }
        self.progress.path = Some(path);
        self.progress.set_query(&query);
        self.moved = true;
        match rewrite.then {
            Then::FindRoute => Some(End::Stop),
            Then::Stay => Some(self.stop()),
            Then::Continue | Then::Redirect(_) => None,
        }
    }

    /// The text of a query: groups are decoded text and escaped again, so that
    /// none of them is more than one value (nginx `NGX_ESCAPE_ARGS`).
    fn query(&self, value: &Value) -> String {
        let mut text = String::new();
        for piece in value.pieces() {
            match piece {
                ValuePiece::Group(number) => {
                    let mut group = String::new();
                    path::escape(self.progress.group(*number), &mut group);
                    text.push_str(&group.replace('&', "%26").replace('+', "%2B"));
                }
                piece => self.append(piece, &mut text),
            }
        }
        text
    }

    fn append(&self, piece: &ValuePiece, text: &mut String) {
        let mut out = Vec::new();
        value::append(piece, Some(&*self.progress), self.values, None, &mut out);
        text.push_str(&String::from_utf8_lossy(&out));
    }

    /// The text of a redirect: groups are decoded text and escaped again.
    fn escaped(&self, value: &Value) -> String {
        let mut text = String::new();
        for piece in value.pieces() {
            match piece {
                ValuePiece::Group(number) => path::escape(self.progress.group(*number), &mut text),
                piece => self.append(piece, &mut text),
            }
        }
        text
    }
}

/// All groups that texts can name.
pub(super) fn groups(captures: &Captures<'_>) -> Vec<Box<str>> {
    (0..=9).map(|number| captures.group(number).into()).collect()
}

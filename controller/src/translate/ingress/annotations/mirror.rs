//! `mirror-*` (annotations reference §18).

use tidegate_snapshot::Text;
use tidegate_snapshot::policy::Mirror;

use super::{Refusal, Scope, Settings, value};

/// What the annotations say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Draft {
    target: Option<Text>,
    host: Option<Text>,
    no_body: bool,
}

pub(super) fn target(settings: &mut Settings, text: &str) -> Result<(), Refusal> {
    if !(text.starts_with("http://") || text.starts_with("https://")) {
        return Err(Refusal::ignored(
            format!("{} is not a URL", value::shown(text)),
            "write http://host:port/path, with $request_uri where the request's is wanted",
        ));
    }
    settings.mirror.target = Some(parse(text)?);
    Ok(())
}

pub(super) fn host(settings: &mut Settings, text: &str) -> Result<(), Refusal> {
    settings.mirror.host = Some(parse(text)?);
    Ok(())
}

fn parse(text: &str) -> Result<Text, Refusal> {
    if text.contains([' ', '"', '\'', ';', '\\']) {
        return Err(Refusal::ignored(
            format!("{} holds a character that is not allowed", value::shown(text)),
            "leave out spaces, quotes, semicolons and backslashes",
        ));
    }
    Text::parse(text).map_err(|error| Refusal::ignored(error.to_string(), "use nginx's variables"))
}

pub(super) fn request_body(settings: &mut Settings, text: &str) -> Result<(), Refusal> {
    settings.mirror.no_body = !value::on_off(text)?;
    Ok(())
}

pub(super) fn finish(settings: &mut Settings, _: &Scope<'_>) -> Result<(), Refusal> {
    let Draft {
        target,
        host,
        no_body,
    } = settings.mirror.clone();
    settings.policies.mirror = target.map(|target| Mirror {
        target,
        host,
        body: !no_body,
    });
    Ok(())
}

//! `auth-type`, `auth-secret`, `auth-secret-type` and `auth-realm`, for basic
//! and digest authentication (annotations reference §6).

use k8s_openapi::api::core::v1::Secret;
use tidegate_snapshot::Effect;
use tidegate_snapshot::policy::{BasicAuth, DigestAuth, DigestUsers, Seed, Users};

use super::{Refusal, Scope, Settings, value};

/// The key of a Secret of type `auth-file`.
const FILE: &str = "auth";

/// What the annotations say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Draft {
    kind: Option<String>,
    secret: Option<String>,
    is_map: bool,
    realm: String,
}

pub(super) fn kind(settings: &mut Settings, text: &str) -> Result<(), Refusal> {
    // ingress-nginx looks for the word anywhere.
    if !text.contains("basic") && !text.contains("digest") {
        return Err(Refusal::rejected(
            format!("{} is no kind of authentication", value::shown(text)),
            "write basic or digest",
        ));
    }
    settings.basic_auth.kind = Some(text.to_owned());
    Ok(())
}

pub(super) fn secret(settings: &mut Settings, text: &str) -> Result<(), Refusal> {
    settings.basic_auth.secret = Some(text.to_owned());
    Ok(())
}

pub(super) fn secret_type(settings: &mut Settings, text: &str) -> Result<(), Refusal> {
    settings.basic_auth.is_map = match text {
        "auth-file" => false,
        "auth-map" => true,
        _ => {
            return Err(Refusal::rejected(
                format!("{} is no type of Secret", value::shown(text)),
                "write auth-file or auth-map",
            ));
        }
    };
    Ok(())
}

pub(super) fn realm(settings: &mut Settings, text: &str) -> Result<(), Refusal> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-._~/: ".contains(c);
    if !text.chars().all(allowed) {
        return Err(Refusal::rejected(
            format!("{} holds a character that is not allowed", value::shown(text)),
            "use letters, digits, spaces and `- . _ ~ / :`",
        ));
    }
    settings.basic_auth.realm = text.to_owned();
    Ok(())
}

/// Without `auth-type` the others do nothing. Whatever is missing closes the
/// routes.
pub(super) fn finish(settings: &mut Settings, scope: &Scope<'_>) -> Result<(), Refusal> {
    let draft = std::mem::take(&mut settings.basic_auth);
    let Some(kind) = &draft.kind else {
        return Ok(());
    };
    let Some(name) = &draft.secret else {
        return Err(Refusal::disabled(
            "auth-secret is missing",
            "name a Secret with users and password hashes",
        ));
    };
    let (namespace, name) = value::object(name, scope)?;
    let Some(secret) = scope.lookup.secret(namespace, name) else {
        return Err(Refusal::disabled(
            format!("Secret {namespace}/{name} does not exist, or holds no password hash"),
            "create it",
        ));
    };
    let no_file = || {
        Refusal::disabled(
            format!("Secret {namespace}/{name} has no key `{FILE}`"),
            "put an htpasswd file there, or write auth-secret-type: auth-map",
        )
    };
    // Whatever else the text says means digest (ingress-nginx's template).
    if kind == "basic" {
        let users = if draft.is_map { map(secret) } else { file(secret) };
        settings.policies.basic_auth = Some(Box::new(BasicAuth {
            users: users.ok_or_else(no_file)?,
            realm: draft.realm.into(),
        }));
        return Ok(());
    }
    let users = digest_users(secret, &draft).ok_or_else(no_file)?;
    let nobody = users.is_empty();
    settings.policies.digest_auth = Some(Box::new(DigestAuth {
        users,
        realm: draft.realm.as_str().into(),
        seed: secret.metadata.uid.as_deref().map(|uid| Seed(uid.into())),
    }));
    if nobody {
        let realm = draft.realm;
        return Err(Refusal {
            effect: Effect::Applied,
            ..Refusal::ignored(
                format!("Secret {namespace}/{name} has no user of the realm {realm:?}: nobody can come in"),
                "write lines with user:realm:hash, as `htdigest` does, and the same auth-realm",
            )
        });
    }
    Ok(())
}

/// Lines of an htdigest file, or the same in a map: ingress-nginx makes such a
/// file of it.
fn digest_users(secret: &Secret, draft: &Draft) -> Option<DigestUsers> {
    let data = secret.data.as_ref()?;
    if !draft.is_map {
        let file = String::from_utf8_lossy(&data.get(FILE)?.0);
        return Some(DigestUsers::parse(&file, &draft.realm));
    }
    let mut users = DigestUsers::default();
    for (user, rest) in data {
        users.insert(user, &String::from_utf8_lossy(&rest.0), &draft.realm);
    }
    Some(users)
}

/// A file that holds no users lets nobody in.
fn file(secret: &Secret) -> Option<Users> {
    let file = secret.data.as_ref()?.get(FILE)?;
    Some(Users::parse(&String::from_utf8_lossy(&file.0)))
}

fn map(secret: &Secret) -> Option<Users> {
    let mut users = Users::default();
    for (user, hash) in secret.data.as_ref()? {
        users.insert(user, &String::from_utf8_lossy(&hash.0));
    }
    Some(users)
}

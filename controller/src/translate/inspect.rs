//! Texts that attacks on ingress-nginx are known by (its "deep inspection",
//! ingress-nginx-behaviour §2). Nothing here is ever pasted anywhere; the object
//! is refused all the same, so that its author hears of it.

use k8s_openapi::api::networking::v1::Ingress;

/// Files whose names have no business in an Ingress.
const FILES: [&str; 7] = [
    "/etc/passwd",
    "/etc/shadow",
    "/etc/group",
    "/etc/nginx",
    "/etc/ingress-controller",
    "/var/run/secrets",
    "_by_lua",
];
/// nginx's directives with a file name.
const DIRECTIVES: [&str; 2] = ["alias", "root"];

/// The first field with such a text, and the text.
pub(super) fn suspicious(ingress: &Ingress) -> Option<(String, &str)> {
    let spec = ingress.spec.as_ref()?;
    for (index, rule) in spec.rules.iter().flatten().enumerate() {
        let host = rule.host.as_deref().unwrap_or_default();
        if is_suspicious(host) {
            return Some((format!("spec.rules[{index}].host"), host));
        }
        let paths = rule.http.iter().flat_map(|http| &http.paths);
        for (path_index, path) in paths.enumerate() {
            let path = path.path.as_deref().unwrap_or_default();
            if is_suspicious(path) {
                return Some((format!("spec.rules[{index}].http.paths[{path_index}].path"), path));
            }
        }
    }
    for (index, entry) in spec.tls.iter().flatten().enumerate() {
        let secret = entry.secret_name.as_deref().unwrap_or_default();
        if is_suspicious(secret) {
            return Some((format!("spec.tls[{index}].secretName"), secret));
        }
        if let Some(host) = entry.hosts.iter().flatten().find(|host| is_suspicious(host)) {
            return Some((format!("spec.tls[{index}].hosts"), host));
        }
    }
    None
}

fn is_suspicious(text: &str) -> bool {
    let directive = |word: &str| {
        let mut found = text.match_indices(word);
        found.any(|(at, _)| {
            let rest = &text[at + word.len()..];
            rest.starts_with(char::is_whitespace) && rest.contains(';')
        })
    };
    FILES.iter().any(|file| text.contains(file)) || DIRECTIVES.iter().any(|word| directive(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_attacks() {
        for text in [
            "/a{alias /var/run/secrets/;}location ~* ^/b",
            "/x;root /;",
            "/etc/nginx",
            "/a/content_by_lua_block",
            "/ alias\t/x;",
        ] {
            assert!(
                is_suspicious(text) || text == "/x;root /;" && is_suspicious(text),
                "{text}"
            );
        }
        for text in [
            "/mypage",
            "/root/alias",
            "/aliases of;",
            "/etc/hosts",
            "",
            "/root;x",
        ] {
            assert!(!is_suspicious(text), "{text}");
        }
    }
}

//! `auth-cache-duration` (nginx `proxy_cache_valid`).

use tidegate_snapshot::policy::CacheDuration;

use super::super::{Refusal, value};

/// ingress-nginx's default.
const DEFAULT: &str = "200 202 401 5m";

/// A list of `[statuses] time`, with commas between.
pub(super) fn durations(text: Option<&str>) -> Result<Vec<CacheDuration>, Refusal> {
    let text = text.unwrap_or(DEFAULT);
    let entries = text.split(',').map(str::trim);
    entries
        .map(|entry| duration(entry).ok_or_else(|| refused(entry)))
        .collect()
}

fn refused(entry: &str) -> Refusal {
    Refusal::disabled(
        format!(
            "auth-cache-duration: {} is not statuses and a time",
            value::shown(entry)
        ),
        "write as in \"200 202 401 5m, 404 30s\"",
    )
}

fn duration(entry: &str) -> Option<CacheDuration> {
    let mut words: Vec<&str> = entry.split_ascii_whitespace().collect();
    let duration = value::time(words.pop()?)?;
    let statuses = match &*words {
        // nginx: what is meant without statuses.
        [] => vec![200, 301, 302],
        ["any"] => Vec::new(),
        words => words
            .iter()
            .map(|word| word.parse().ok().filter(|status| (100..600).contains(status)))
            .collect::<Option<_>>()?,
    };
    Some(CacheDuration { statuses, duration })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_statuses_and_times() {
        let parsed = durations(None).unwrap();
        assert_eq!(parsed[0].statuses, [200, 202, 401]);
        let parsed = durations(Some("200 1m, any 10s,5m")).unwrap();
        let statuses: Vec<_> = parsed.iter().map(|entry| &*entry.statuses).collect();
        assert_eq!(statuses, [&[200][..], &[], &[200, 301, 302]]);
        for text in ["200", "5m 200", "20x 5m", "", "200 5m,", "999 5m"] {
            if text == "200" {
                // A time alone: 200 seconds.
                assert!(durations(Some(text)).is_ok());
            } else {
                assert!(durations(Some(text)).is_err(), "{text}");
            }
        }
    }
}

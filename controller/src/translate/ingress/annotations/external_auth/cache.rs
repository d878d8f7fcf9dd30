//! `auth-cache-duration` (nginx `proxy_cache_valid`).

use std::time::Duration;

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
    let duration = time(words.pop()?)?;
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

/// nginx's time: `90`, `30s`, `1h30m`.
fn time(text: &str) -> Option<Duration> {
    let mut total = Duration::ZERO;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let number: u32 = rest.get(..digits)?.parse().ok()?;
        let unit = rest.get(digits..)?;
        let end = unit.find(|c: char| c.is_ascii_digit()).unwrap_or(unit.len());
        let seconds = match &unit[..end] {
            "" | "s" => 1,
            "m" => 60,
            "h" => 3600,
            "d" => 86_400,
            "w" => 604_800,
            "ms" => {
                total += Duration::from_millis(number.into());
                rest = &unit[end..];
                continue;
            }
            _ => return None,
        };
        total += Duration::from_secs(u64::from(number) * seconds);
        rest = &unit[end..];
    }
    (!text.is_empty()).then_some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_nginxs_times() {
        let seconds = |text| time(text).map(|time| time.as_secs());
        assert_eq!(seconds("30"), Some(30));
        assert_eq!(seconds("1h30m"), Some(5400));
        assert_eq!(seconds("5m"), Some(300));
        assert_eq!(time("250ms"), Some(Duration::from_millis(250)));
        for text in ["", "m", "5x", "5 m", "-1"] {
            assert_eq!(seconds(text), None, "{text}");
        }
    }

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

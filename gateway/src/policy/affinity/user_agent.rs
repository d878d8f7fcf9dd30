//! Browsers that take `SameSite=None` for `SameSite=Strict`, or refuse such a
//! cookie ("SameSite=None: Known Incompatible Clients", chromium.org).

/// Whether this user agent is one of them: Chrome 50 to 69, everything on
/// iOS 12, and Safari on macOS 10.14.
pub(super) fn misreads_same_site_none(user_agent: &[u8]) -> bool {
    let has = |text: &[u8]| user_agent.windows(text.len()).any(|part| part == text);
    let chrome = [&b"Chrome/5"[..], b"Chrome/6"].into_iter().any(|start| {
        let after = user_agent
            .windows(start.len())
            .position(|part| part == start)
            .map(|at| &user_agent[at + start.len()..]);
        // Two digits: not Chrome 5 or 500.
        after.is_some_and(|rest| {
            rest.first().is_some_and(u8::is_ascii_digit) && !rest.get(1).is_some_and(u8::is_ascii_digit)
        })
    });
    let ios_12 = has(b"(iP") && (has(b"OS 12_") || has(b"OS 12 "));
    let mac_safari = has(b"Mac OS X 10_14") && has(b"Safari") && !has(b"Chrome") && !has(b"Chromium");
    chrome || ios_12 || mac_safari
}

#[cfg(test)]
mod tests {
    use super::misreads_same_site_none as misreads;

    #[test]
    fn knows_the_browsers() {
        assert!(misreads(
            b"Mozilla/5.0 (X11) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/66.0.3359 Safari/537.36"
        ));
        assert!(!misreads(
            b"Mozilla/5.0 (X11) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0 Safari/537.36"
        ));
        assert!(!misreads(b"Chrome/5.0"));
        assert!(misreads(
            b"Mozilla/5.0 (iPhone; CPU iPhone OS 12_1 like Mac OS X) Version/12.0"
        ));
        assert!(!misreads(
            b"Mozilla/5.0 (iPhone; CPU iPhone OS 13_1 like Mac OS X) Version/13.0"
        ));
        assert!(misreads(
            b"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_14_6) Version/12.1 Safari/605.1.15"
        ));
        assert!(!misreads(
            b"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15) Version/13.0 Safari/605.1.15"
        ));
        assert!(!misreads(b""));
    }
}

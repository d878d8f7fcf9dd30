use proptest::prelude::*;

use super::*;

fn ok(raw: &str) -> String {
    normalise(raw).unwrap().into_owned()
}

#[test]
fn normal_paths_are_borrowed() {
    for path in ["/", "/a", "/a/", "/a/b.c", "/a.../b", "/é", "/a+b", "/a;b=c"] {
        assert!(
            matches!(normalise(path), Ok(Cow::Borrowed(same)) if same == path),
            "{path}"
        );
    }
}

#[test]
fn escapes_are_decoded_once() {
    assert_eq!(ok("/%61%2fb"), "/a/b");
    assert_eq!(ok("/%252f"), "/%2f");
    assert_eq!(ok("/a%3Fb%23c"), "/a?b#c");
    assert_eq!(ok("/%C3%A9"), "/é");
    assert_eq!(ok("/a%20b%0A"), "/a b\n");
}

#[test]
fn slashes_merge_and_dots_resolve() {
    assert_eq!(ok("//a///b//"), "/a/b/");
    assert_eq!(ok("/a/./b"), "/a/b");
    assert_eq!(ok("/a/b/../c"), "/a/c");
    assert_eq!(ok("/a/b/.."), "/a/");
    assert_eq!(ok("/a/."), "/a/");
    assert_eq!(ok("/a/.."), "/");
    assert_eq!(ok("/a//../b"), "/b");
    assert_eq!(ok("/.well-known/..x/...").as_str(), "/.well-known/..x/...");
    assert_eq!(ok("/a/%2e%2E/b"), "/b");
    assert_eq!(ok("/a%2F%2e%2e%2fb"), "/b");
}

#[test]
fn query_and_fragment_are_left_out() {
    assert_eq!(ok("/a?b=/../.."), "/a");
    assert_eq!(ok("/a#b"), "/a");
    assert_eq!(ok(""), "/");
    assert_eq!(ok("?a"), "/");
}

#[test]
fn refusals() {
    let cases = [
        ("/..", PathError::AboveRoot),
        ("/a/../..", PathError::AboveRoot),
        ("/%2e%2e/a", PathError::AboveRoot),
        ("/a%", PathError::Escape),
        ("/a%2", PathError::Escape),
        ("/a%zz", PathError::Escape),
        ("/a%+1", PathError::Escape),
        ("/a%00b", PathError::Nul),
        ("/a\0b", PathError::Nul),
        ("*", PathError::Relative),
        ("a/b", PathError::Relative),
        ("%2Fa", PathError::Relative),
    ];
    for (raw, error) in cases {
        assert_eq!(normalise(raw), Err(error), "{raw}");
    }
}

#[test]
fn bytes_that_are_not_text_stay_distinct() {
    assert_eq!(ok("/%FF"), "/\u{10FFFF}");
    assert_eq!(ok("/%80x"), "/\u{10FF80}x");
    assert_eq!(ok("/%C3"), "/\u{10FFC3}");
    // The stand-in's own encoding is taken byte by byte, raw or escaped.
    let own = "/\u{10FFF4}\u{10FF8F}\u{10FFBF}\u{10FFBF}";
    assert_eq!(ok("/%F4%8F%BF%BF"), own);
    assert_eq!(ok("/\u{10FFFF}"), own);
    assert_ne!(ok("/%FF"), ok("/%25FF"));
    assert_ne!(ok("/%FF"), ok("/%C3%BF"));
}

/// Decode, split, walk with a stack: the obvious way.
fn reference(raw: &[u8]) -> Option<Vec<u8>> {
    let end = raw
        .iter()
        .position(|b| *b == b'?' || *b == b'#')
        .unwrap_or(raw.len());
    let raw = if end == 0 { b"/" } else { &raw[..end] };
    if raw[0] != b'/' {
        return None;
    }
    let mut decoded = Vec::new();
    let mut at = 0;
    while at < raw.len() {
        if raw[at] == b'%' {
            let digits = raw.get(at + 1..at + 3)?;
            if !digits.iter().all(u8::is_ascii_hexdigit) {
                return None;
            }
            decoded.push(u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?);
            at += 3;
        } else {
            decoded.push(raw[at]);
            at += 1;
        }
    }
    if decoded.contains(&0) {
        return None;
    }
    let segments: Vec<&[u8]> = decoded.split(|b| *b == b'/').collect();
    let mut stack: Vec<&[u8]> = Vec::new();
    for segment in &segments {
        match *segment {
            b"" | b"." => {}
            b".." => {
                stack.pop()?;
            }
            other => stack.push(other),
        }
    }
    let directory = matches!(segments.last(), Some(&(b"" | b"." | b"..")));
    let mut path: Vec<u8> = stack.iter().flat_map(|s| [b"/".as_slice(), s].concat()).collect();
    if directory || path.is_empty() {
        path.push(b'/');
    }
    Some(path)
}

/// Undoes the stand-ins.
fn bytes(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for c in text.chars() {
        match u32::from(c).checked_sub(BYTE_BASE + 0x80) {
            Some(byte) => bytes.push(u8::try_from(byte + 0x80).unwrap()),
            None => bytes.extend(c.encode_utf8(&mut [0; 4]).bytes()),
        }
    }
    bytes
}

/// What the fuzz target checks, and the reference.
fn check(raw: &[u8]) {
    let normal = normalise_bytes(raw);
    if let Ok(path) = &normal {
        assert!(
            path.starts_with('/') && !path.contains("//") && !path.contains('\0'),
            "{raw:?}"
        );
        assert!(
            path.split('/').all(|segment| segment != "." && segment != ".."),
            "{raw:?}"
        );
    }
    assert_eq!(
        normal.as_ref().ok().map(|text| bytes(text)),
        reference(raw),
        "{raw:?}"
    );
    let Ok(text) = std::str::from_utf8(raw) else {
        return;
    };
    let cow = normalise(text);
    assert_eq!(cow.as_ref().map(|path| &**path), normal.as_deref(), "{text:?}");
}

#[test]
fn the_seeds_of_the_fuzz_target_hold() {
    let seeds = concat!(env!("CARGO_MANIFEST_DIR"), "/../fuzz/seeds/path");
    let seeds: Vec<_> = std::fs::read_dir(seeds).unwrap().collect();
    assert!(!seeds.is_empty());
    for seed in seeds {
        check(&std::fs::read(seed.unwrap().path()).unwrap());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn equals_the_reference(raw in "/([ab./%é]|%2[eEfF5]|\\.\\.|//|%[0-9a-fA-F]{2}|\\PC|\u{10FFFF}|[?#]){0,12}") {
        check(raw.as_bytes());
    }

    #[test]
    fn equals_the_reference_on_bytes(raw in proptest::collection::vec(any::<u8>(), 0..24)) {
        check(&raw);
        check(&[b"/", raw.as_slice()].concat());
    }
}

#[test]
fn escaping_undoes_normalising() {
    let escaped = |path: &str| {
        let mut url = String::new();
        escape(&normalise(path).unwrap(), &mut url);
        url
    };
    for same in [
        "/",
        "/a-b._~!$&'()*+,;=:@/c",
        "/%25%3F%23%20%22",
        "/%C3%A9",
        "/%FF%FE",
        "/%F4%8F%BD%81",
    ] {
        assert_eq!(escaped(same), same);
    }
    assert_eq!(escaped("/a%2Fb%41//c/../{|}^`"), "/a/bA/%7B%7C%7D%5E%60");
}

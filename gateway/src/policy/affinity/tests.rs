use std::time::UNIX_EPOCH;

use tidegate_snapshot::policy::AffinityCookie;

use super::*;

fn affinity(change: impl FnOnce(&mut AffinityCookie)) -> Affinity {
    let mut cookie = AffinityCookie::default();
    change(&mut cookie);
    Affinity::new(&policy::Affinity {
        mode: AffinityMode::Balanced,
        cookie,
        change_on_failure: false,
        lifetime: None,
        header: None,
    })
}

fn made(affinity: &Affinity, tls: bool, user_agent: Option<&[u8]>) -> String {
    let value = affinity.set_cookie(&NewCookie {
        key: 0x2a,
        tag: 7,
        path: "/shop",
        tls,
        user_agent,
        now: UNIX_EPOCH,
    });
    value.unwrap().to_str().unwrap().to_owned()
}

const PLAIN: &str = "INGRESSCOOKIE=000000000000002a|0000000000000007";

#[test]
fn the_path_is_the_routes_unless_one_is_given() {
    assert_eq!(
        made(&affinity(|_| {}), false, None),
        format!("{PLAIN}; Path=/shop; HttpOnly")
    );
    let given = affinity(|cookie| cookie.path = Some("/".into()));
    assert_eq!(made(&given, false, None), format!("{PLAIN}; Path=/; HttpOnly"));
}

#[test]
fn every_attribute_has_its_place() {
    let all = affinity(|cookie| {
        cookie.name = "route".into();
        cookie.domain = Some("foo.bar".into());
        cookie.expires = Some(172_800);
        cookie.max_age = Some(259_200);
        cookie.secure = true;
        cookie.same_site = Some(SameSite::Lax);
    });
    assert_eq!(
        made(&all, false, None),
        "route=000000000000002a|0000000000000007; Expires=Sat, 03 Jan 1970 00:00:00 GMT; Max-Age=259200; \
         Domain=foo.bar; Path=/shop; Secure; HttpOnly; SameSite=Lax"
    );
}

#[test]
fn tls_makes_it_secure() {
    assert!(made(&affinity(|_| {}), true, None).contains("; Secure;"));
}

#[test]
fn same_site_none_is_kept_from_those_who_misread_it() {
    let old = Some(&b"Mozilla/5.0 Chrome/66.0 Safari/537"[..]);
    let none = |conditional| {
        affinity(|cookie| {
            cookie.same_site = Some(SameSite::None);
            cookie.conditional_same_site_none = conditional;
        })
    };
    assert!(made(&none(false), false, old).ends_with("; SameSite=None"));
    assert!(!made(&none(true), false, old).contains("SameSite"));
    assert!(made(&none(true), false, None).ends_with("; SameSite=None"));
}

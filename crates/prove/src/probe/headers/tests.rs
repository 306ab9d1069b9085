use reeve_base::Period;

use super::*;

fn promised(subdomains: bool, preload: bool) -> HdrHsts {
    HdrHsts { max_age: Period::days(365), subdomains, preload }
}

#[track_caller]
fn hsts_is(value: &str, promised: &HdrHsts, fault: Option<&str>) {
    match (hsts(value, promised), fault) {
        (Ok(_), None) => {}
        (Err(found), Some(part)) if found.contains(part) => {}
        (found, expected) => panic!("{value}: {found:?}, expected {expected:?}"),
    }
}

#[test]
fn hsts_is_compared_directive_by_directive() {
    let (plain, full, preload) = (promised(false, false), promised(true, false), promised(true, true));
    hsts_is("max-age=31536000", &plain, None);
    hsts_is("MAX-AGE=\"31536000\" ; ", &plain, None);
    hsts_is("max-age=31535999", &plain, Some("lasts 31535999 seconds"));
    hsts_is("max-age=31536000", &full, Some("leaves subdomains out"));
    hsts_is("max-age=63072000; includeSubDomains; x=y", &full, None);
    hsts_is("max-age=63072000; includeSubDomains", &preload, Some("not fit for the preload list"));
    hsts_is("max-age=31536000; includeSubDomains; preload", &preload, None);
    hsts_is("includeSubDomains", &plain, Some("has no max-age"));
    hsts_is("max-age=soon", &plain, Some("has no number"));
    hsts_is("max-age=31536000; max-age=0", &plain, Some("twice"));
}

#[track_caller]
fn csp_is(value: &str, expected: &str) {
    let found = match csp(value, "default-src 'self'; object-src 'none'; script-src 'self' https://a.example") {
        Ok(seen) => seen,
        Err(fault) => fault,
    };
    assert_eq!(found, expected);
}

#[test]
fn csp_is_compared_directive_by_directive() {
    let same = "Content-Security-Policy with 3 directives";
    csp_is("default-src 'self'; object-src 'none'; script-src 'self' https://a.example", same);
    csp_is("script-src  https://a.example 'self';Default-Src 'self';object-src 'none'; default-src *", same);
    csp_is(
        "default-src *; script-src 'self' https://a.example; img-src *",
        "Content-Security-Policy: default-src is `*`, promised `'self'`, object-src is missing, img-src is not in the policy",
    );
    csp_is("default-src 'self', default-src *", "Content-Security-Policy holds more than one policy");
}

#[track_caller]
fn frame_is(value: &str, policy: &str, framing: Framing, right: bool) {
    assert_eq!(frame(value, &[policy.to_owned()], framing).is_ok(), right, "{value} {policy}");
}

#[test]
fn framing_agrees_with_frame_ancestors() {
    frame_is("DENY", "frame-ancestors 'none'", Framing::Deny, true);
    frame_is("SAMEORIGIN", "", Framing::Deny, false);
    frame_is("deny", "frame-ancestors 'self'", Framing::Deny, false);
    frame_is("SAMEORIGIN", "frame-ancestors 'self'", Framing::SameOrigin, true);
    frame_is("DENY", "frame-ancestors 'none'", Framing::SameOrigin, true);
    frame_is("SAMEORIGIN", "frame-ancestors https://a.example", Framing::SameOrigin, false);
    frame_is("ALLOW-FROM https://a.example", "", Framing::SameOrigin, false);
}

#[test]
fn lists_compare_without_spaces_and_order() {
    assert_eq!(list("camera=(), geolocation=()"), list("geolocation=( ),camera=()"));
    assert_ne!(list("camera=()"), list("camera=(self)"));
}

#[test]
fn header_names_are_shown_as_people_write_them() {
    assert_eq!(title("x-content-type-options"), "X-Content-Type-Options");
}

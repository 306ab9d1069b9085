use super::*;

const SOUND: &str = r#"
schema = "reeve.settings/1"
policy = "policy.toml"
[listen]
https = ["127.0.0.1:8443"]
[tls]
local = ["localhost"]
[upstream]
url = "http://127.0.0.1:3000"
"#;

fn around() -> Surroundings {
    Surroundings { folder: PathBuf::from("/site"), cores: 4 }
}

#[track_caller]
fn sound(text: &str) -> Settings {
    let loaded = super::check("reeve.toml", text.as_bytes(), &around()).unwrap();
    assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
    loaded.settings
}

/// Replaces one line of sound settings and compares the codes of the faults with the text they point at first.
#[track_caller]
fn check(line: &str, instead: &str, expected: &[(&str, &str)]) {
    assert!(SOUND.contains(line), "`{line}` is no line of the sound settings");
    let text = SOUND.replace(line, instead);
    let (source, faults) = match super::check("reeve.toml", text.as_bytes(), &around()) {
        Ok(loaded) => (loaded.source, loaded.warnings),
        Err(refused) => (refused.source, refused.faults),
    };
    let found: Vec<_> = faults
        .iter()
        .map(|fault| (fault.code, fault.labels.first().map_or("", |label| at(&source, &label.span))))
        .collect();
    assert_eq!(found, expected);
}

fn at<'s>(source: &'s Source, span: &Span) -> &'s str {
    source.text.get(span.clone()).unwrap_or_default()
}

#[test]
fn what_is_left_out_has_a_default() {
    let settings = sound(SOUND);
    assert_eq!(settings.data.value, Path::new("/site/reeve-data"));
    assert!(settings.listen.http.is_empty() && settings.listen.public.is_none());
    assert!(matches!(settings.access, Access::Stdout));
    assert_eq!((settings.server.workers, settings.server.connections), (4, 10_000));
    assert_eq!(settings.upstream.answer, Period::seconds(30));
    assert_eq!(settings.prove.error_path, None);
}

#[test]
fn relative_paths_start_from_the_folder_of_the_settings() {
    let files = "certificate = '../cert.pem'\nkey = '/etc/key.pem'";
    let settings = sound(&SOUND.replace("local = [\"localhost\"]", files));
    assert_eq!(settings.policy.value, Path::new("/site/policy.toml"));
    let Tls::Files { certificate, key } = settings.tls else { panic!("files were written") };
    assert_eq!(certificate.value, Path::new("/site/../cert.pem"));
    assert_eq!(key.value, Path::new("/etc/key.pem"));
}

#[test]
fn a_value_keeps_its_place_for_faults_that_show_later() {
    let loaded = super::check("reeve.toml", SOUND.as_bytes(), &around()).unwrap();
    let listener = &loaded.settings.listen.https[0];
    assert_eq!(at(&loaded.source, &listener.span), "\"127.0.0.1:8443\"");
}

#[test]
fn one_port_is_listened_on_once() {
    let https = "https = [\"127.0.0.1:8443\"]";
    let twice = &[("settings::listener-twice", "'127.0.0.1:1'")];
    check(https, "https = ['127.0.0.1:1', '127.0.0.1:1']", twice);
    check(https, "https = ['0.0.0.0:1']\nhttp = ['127.0.0.1:1']", twice);
    check(https, "https = ['127.0.0.1:1', '127.0.0.1:2', '127.0.0.2:1', '[::]:1']", &[]);
    check(https, "https = ['127.0.0.1:0', '127.0.0.1:0']", &[]);
}

#[test]
fn the_gateway_is_not_its_own_upstream() {
    let url = "url = \"http://127.0.0.1:3000\"";
    for own in ["https://127.0.0.1:8443", "https://localhost:8443", "http://127.0.0.1:8443"] {
        check(url, &format!("url = '{own}'"), &[("settings::loop", &format!("'{own}'"))]);
    }
    check(url, "url = 'https://127.0.0.2:8443'", &[]);
    check(url, "url = 'https://app:8443'", &[]);
}

#[test]
fn numbers_are_accepted_at_their_bounds_and_refused_past_them() {
    let url = "url = \"http://127.0.0.1:3000\"";
    for (key, within, past) in [
        ("workers", "256", "257"),
        ("workers", "1", "0"),
        ("drain", "'10m'", "'11m'"),
        ("upgrade", "'1s'", "'0s'"),
        ("upgrade", "'10m'", "'11m'"),
    ] {
        check(url, &format!("{url}\n[server]\n{key} = {within}"), &[]);
        check(url, &format!("{url}\n[server]\n{key} = {past}"), &[("settings::out-of-range", past)]);
    }
    check(url, &format!("{url}\nidle = '1s'"), &[]);
    check(url, &format!("{url}\nidle = '999ms'"), &[("settings::out-of-range", "'999ms'")]);
}

#[track_caller]
fn host(text: &str, expected: Option<&str>) {
    assert_eq!(text.parse::<HostName>().ok().as_ref().map(HostName::as_str), expected, "{text}");
}

#[test]
fn a_certificate_names_hosts_and_addresses_only() {
    host("WWW.Example.com", Some("www.example.com"));
    host("*.example.com", Some("*.example.com"));
    host("::1", Some("::1"));
    host(&"a".repeat(63), Some(&"a".repeat(63)));
    for wrong in ["", "a..b", "-a", "a_b", "a b", "1.2.3", "www.*.com", "example.com.", "ä.de", "[::1]", "a:80"] {
        host(wrong, None);
    }
    host(&"a".repeat(64), None);
}

#[track_caller]
fn upstream(text: &str, expected: Result<&str, &str>) {
    let found = text.parse::<UpstreamUrl>().map(|url| url.to_string()).map_err(|error| error.to_string());
    assert_eq!(found.as_deref().map_err(String::as_str), expected);
}

#[test]
fn an_upstream_is_an_origin() {
    upstream("http://127.0.0.1:3000", Ok("http://127.0.0.1:3000"));
    upstream("http://App/", Ok("http://app"));
    upstream("h2c://[::1]:80", Ok("h2c://[::1]"));
    upstream("https://app", Ok("https://app"));
    upstream("127.0.0.1:3000", Err("has no scheme in front, such as `http://`"));
    upstream("ws://a", Err("`ws` is no scheme that can be used here; write `http://`, `https://` or `h2c://`"));
    upstream("http://a/b", Err("ends in `/b`; only the origin is meant: scheme, host and port"));
    upstream("http://a?b", Err("ends in `?b`; only the origin is meant: scheme, host and port"));
    upstream("https://", Err("is no URL: empty host"));
}

#[test]
fn a_secret_in_an_address_is_refused_and_not_repeated() {
    let error = "http://user:hunter2@app".parse::<UpstreamUrl>().unwrap_err();
    assert_eq!(error, address::AddressError::Credentials);
    assert!(!error.to_string().contains("hunter2"));
}

#[test]
fn settings_are_recognised_by_their_schema() {
    let of = |text: &str| recognises(&document::parse("x", text.as_bytes()).unwrap().root);
    assert!(of(SOUND));
    assert!(of("schema = 'reeve.settings/2'"));
    assert!(!of("schema = 'reeve.policy/1'"));
    assert!(!of("policy = 'policy.toml'"));
}

/// Sound settings with a certificate that is asked for, and this beside it.
#[track_caller]
fn asked_for(listen: &str, acme: &str, expected: &[(&str, &str)]) {
    let asking = "acme = ['www.example.com']";
    let text = SOUND.replace("local = [\"localhost\"]", asking).replace("[tls]", &format!("{listen}\n[tls]"));
    let directory = "directory = 'https://ca.example.com/dir'";
    let text = format!("{text}[acme]\n{directory}\n{acme}");
    let (source, faults) = match super::check("reeve.toml", text.as_bytes(), &around()) {
        Ok(loaded) => (loaded.source, loaded.warnings),
        Err(refused) => (refused.source, refused.faults),
    };
    let place =
        |fault: &Diagnostic| fault.labels.first().map(|label| at(&source, &label.span)).unwrap_or_default().to_owned();
    let found: Vec<_> = faults.iter().map(|fault| (fault.code, place(fault))).collect();
    let found: Vec<_> = found.iter().map(|(code, place)| (*code, place.as_str())).collect();
    assert_eq!(found, expected, "{acme}");
}

const PLAIN: &str = "http = ['127.0.0.1:8080']";

#[test]
fn a_certificate_is_asked_for_with_what_the_challenge_needs() {
    asked_for(PLAIN, "terms_agreed = true", &[]);
    asked_for(PLAIN, "terms_agreed = true\ncontact = ['mailto:admin@example.com']\nretry = '10s'", &[]);
    asked_for("", "terms_agreed = true\nchallenge = 'tls-alpn-01'", &[]);
    asked_for("", "terms_agreed = true\nchallenge = 'dns-01'\ndns_hook = ['dns']\ndns_wait = '2m'", &[]);
}

#[test]
fn what_a_challenge_lacks_is_pointed_at() {
    let directory = "'https://ca.example.com/dir'";
    asked_for("", "terms_agreed = true", &[("settings::acme-http", directory)]);
    asked_for("", "terms_agreed = true\nchallenge = 'dns-01'", &[("settings::acme-hook", "'dns-01'")]);
    asked_for("", "terms_agreed = true\nchallenge = 'dns-01'\ndns_hook = []", &[("document::wrong-value", "[]")]);
    asked_for(PLAIN, "terms_agreed = true\ndns_hook = ['dns']", &[("settings::unused-hook", "['dns']")]);
    asked_for(PLAIN, "terms_agreed = false", &[("settings::terms", "false")]);
    asked_for(
        PLAIN,
        "terms_agreed = true\ncontact = ['mailto:a@b,c@d']",
        &[("document::wrong-value", "'mailto:a@b,c@d'")],
    );
    asked_for(PLAIN, "terms_agreed = true\nretry = '9s'", &[("settings::out-of-range", "'9s'")]);
    asked_for(PLAIN, "terms_agreed = true\ndns_wait = '121s'", &[("settings::out-of-range", "'121s'")]);
}

#[test]
fn a_certificate_comes_from_one_place_and_from_somebody() {
    let local = "local = [\"localhost\"]";
    check(local, "acme = ['a.test']", &[("settings::no-acme", "'a.test'")]);
    check(local, "acme = []\n", &[("settings::no-certificate", "acme")]);
    check(local, "local = ['localhost']\nacme = ['a.test']", &[("settings::two-certificates", "local")]);
    check(
        local,
        "certificate = 'c'\nkey = 'k'\nacme = ['a.test']",
        &[("settings::two-certificates", "acme"), ("settings::no-acme", "'a.test'")],
    );
    check(local, "local = ['localhost']\n[[tls.site]]\ncertificate = 'c'", &[("settings::no-key", "certificate")]);
    check(
        local,
        "local = ['localhost']\n[[tls.site]]\nlocal = ['localhost']",
        &[("settings::name-twice", "'localhost'")],
    );
    check(local, "local = ['localhost']\nunknown = 'never'", &[("document::wrong-value", "'never'")]);
}

#[test]
fn several_sites_keep_their_order_and_their_paths() {
    let several = "local = ['localhost']\nunknown = 'refuse'\n[[tls.site]]\ncertificate = 'a.pem'\nkey = 'a.key'\n\
                   [[tls.site]]\nlocal = ['b.test']";
    let settings = sound(&SOUND.replace("local = [\"localhost\"]", several));
    assert_eq!(settings.sites.unknown, Unknown::Refuse);
    let [Tls::Files { certificate, .. }, Tls::Local(names)] = settings.sites.others.as_slice() else {
        panic!("two sites were written: {:?}", settings.sites.others)
    };
    assert_eq!((certificate.value.as_path(), names[0].value.as_str()), (Path::new("/site/a.pem"), "b.test"));
}

#[test]
fn pins_need_a_spare_and_tls() {
    let url = "url = \"http://127.0.0.1:3000\"";
    let (one, two) =
        ("sha256/47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=", "sha256/AAAAQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");
    let secure = "url = 'https://127.0.0.1:3000'";
    check(url, &format!("{secure}\npins = ['{one}', '{two}']"), &[]);
    let quoted = format!("'{one}'");
    check(url, &format!("{secure}\npins = ['{one}']"), &[("settings::no-spare-pin", &quoted)]);
    check(url, &format!("{secure}\npins = ['{one}', '{one}']"), &[("settings::no-spare-pin", &quoted)]);
    check(url, &format!("{url}\npins = ['{one}', '{two}']"), &[("settings::no-upstream-tls", &quoted)]);
    check(url, &format!("{secure}\npins = ['sha256/x']"), &[("document::wrong-value", "'sha256/x'")]);
    check(url, &format!("{secure}\ncertificate = 'c'\nkey = 'k'"), &[]);
    check(url, &format!("{secure}\ncertificate = 'c'"), &[("settings::no-key", "certificate")]);
    check(url, &format!("{secure}\nkey = 'k'"), &[("settings::no-certificate", "key")]);
}

#[test]
fn several_servers_come_with_a_circuit_and_one_without() {
    let url = "url = \"http://127.0.0.1:3000\"";
    assert_eq!(sound(SOUND).upstream.circuit, None);
    let settings = sound(&SOUND.replace(url, "urls = ['http://127.0.0.1:1', 'http://127.0.0.1:2']"));
    assert_eq!(settings.upstream.urls().count(), 2);
    let circuit = settings.upstream.circuit.unwrap();
    assert_eq!((circuit.failures, circuit.window, circuit.errors), (5, Period::seconds(10), None));
}

#[test]
fn routes_lead_to_upstreams_that_there_are() {
    let more = |more: &str| format!("{SOUND}[[upstreams]]\nname = 'api'\nurl = 'http://127.0.0.1:1'\n{more}");
    let settings = sound(&more("[[route]]\npath = '/api/'\nupstream = 'api'"));
    assert_eq!(settings.routes[0].path.value, "/api");
    let settings = sound(&more("[[route]]\nhost = 'API.example.com'\nupstream = 'api'"));
    assert_eq!(settings.routes[0].path.value, "");
    let found = |text: &str| match super::check("reeve.toml", text.as_bytes(), &around()) {
        Ok(loaded) => loaded.warnings.iter().map(|fault| fault.code).collect::<Vec<_>>(),
        Err(refused) => refused.faults.iter().map(|fault| fault.code).collect(),
    };
    assert_eq!(found(&more("")), ["settings::unused-upstream"]);
    assert_eq!(found(&more("[[route]]\npath = '/'\nupstream = 'api'")), ["settings::unused-upstream"]);
    let unknown = "[[route]]\npath = '/a'\nupstream = 'api'\n[[route]]\npath = '/b'\nupstream = 'apy'";
    assert_eq!(found(&more(unknown)), ["settings::unknown-upstream"]);
    for path in ["api", "/a//b", "/a/../b", "/a;b", "/%61", "/a?b", "/a b"] {
        let route = format!("[[route]]\npath = '{path}'\nupstream = 'api'");
        assert_eq!(found(&more(&route)), ["settings::route-path"], "{path}");
    }
}

#[test]
fn traces_go_to_a_url_and_are_a_share() {
    let url = "url = 'http://127.0.0.1:3000'".replace('\'', "\"");
    let with = |keys: &str| SOUND.replace(&url, &format!("{url}\n[tracing]\n{keys}"));
    let told = |keys: &str| {
        let tracing = sound(&with(keys)).tracing.unwrap();
        (tracing.otlp.value.to_string(), tracing.sample.0, tracing.service)
    };
    let usual = String::from("reeve");
    assert!(sound(SOUND).tracing.is_none());
    assert_eq!(told("otlp = 'http://127.0.0.1:4318'"), ("http://127.0.0.1:4318".to_owned(), 0.1, usual.clone()));
    // As the variable OTEL_EXPORTER_OTLP_TRACES_ENDPOINT writes it.
    let whole = "otlp = 'https://otel.test/a/v1/traces'\nsample = 1\nservice = 'front'";
    assert_eq!(told(whole), ("https://otel.test:443/a".to_owned(), 1.0, String::from("front")));
    assert_eq!(told("otlp = 'http://[::1]:1'\nsample = 0.0"), ("http://[::1]:1".to_owned(), 0.0, usual));
    let wrong = "document::wrong-value";
    for value in ["'grpc://a:1'", "'a:4318'", "'http://a:1?k=v'", "'http://u:p@a:1'", "4318"] {
        check(&url, &format!("{url}\n[tracing]\notlp = {value}"), &[(wrong, value)]);
    }
    for value in ["1.01", "-0.1", "2", "nan", "'10%'"] {
        check(&url, &format!("{url}\n[tracing]\notlp = 'http://a:1'\nsample = {value}"), &[(wrong, value)]);
    }
    check(&url, &format!("{url}\n[tracing]\nsample = 0.1"), &[("document::missing-key", "[tracing]")]);
}

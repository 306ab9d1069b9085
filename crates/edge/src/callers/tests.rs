use std::rc::Rc;

use http::Request;
use reeve_policy::catalogue::{BotSignature, BotUa, Control, EdgeIpAllow};

use super::*;

const CHROME: &str =
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36";
const FIREFOX: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0";

fn client(address: &str) -> Client {
    Client {
        address: address.parse().unwrap(),
        text: Rc::from(address),
        header: address.parse().unwrap(),
        transport: Transport::Tls,
        heads: Arc::default(),
        taking: None,
        ja4: Some(Rc::from("t13d1516h2_8daaf6152771_e5627efa2ab1")),
        forwarded: false,
    }
}

fn callers(settings: &BotSettings) -> Callers {
    let mut controls = Controls::default();
    controls.demand(&Control::BotUa(BotUa::default()));
    controls.demand(&Control::BotSignature(BotSignature::default()));
    controls.demand(&Control::EdgeIpAllow(EdgeIpAllow::default()));
    Callers::new(settings, &controls).unwrap()
}

fn parts(path: &str, headers: &[(&str, &str)]) -> Parts {
    let request = headers.iter().fold(Request::get(path), |request, (name, value)| request.header(*name, *value));
    request.body(()).unwrap().into_parts().0
}

#[track_caller]
fn check(headers: &[(&str, &str)], expected: Option<&str>) {
    let judged = callers(&BotSettings::default()).judge(&parts("/", headers), &client("192.0.2.1"), None);
    assert_eq!(judged.err().map(|refusal| refusal.control()), expected, "{headers:?}");
}

#[test]
fn ordinary_clients_pass() {
    let (site, hints) = (("sec-fetch-site", "none"), ("sec-ch-ua", "\"Chromium\";v=\"142\""));
    check(&[], None);
    for agent in [
        "curl/8.14.1",
        "Wget/1.25.0",
        "python-requests/2.32.5",
        "Python-urllib/3.13",
        "Go-http-client/2.0",
        "okhttp/5.1.0",
        "Java/21.0.4",
        "kube-probe/1.34",
        "GoogleHC/1.0",
        "ELB-HealthChecker/2.0",
        "Prometheus/3.5.0",
        "Mozilla/5.0 (compatible; UptimeRobot/2.0; http://www.uptimerobot.com/)",
        "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
        "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; Googlebot/2.1; +http://www.google.com/bot.html) Chrome/142.0.0.0 Safari/537.36",
        "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.6 Mobile/15E148 Safari/604.1",
        "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.0 Safari/605.1.15",
        "Mozilla/5.0 (Linux; Android 15; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/142.0.0.0 Mobile Safari/537.36",
        "Mozilla/5.0 (Windows NT 6.1) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/70.0.0.0 Safari/537.36",
        "reeve-prove/0.1.0 (security self-assessment)",
    ] {
        check(&[("user-agent", agent)], None);
    }
    check(&[("user-agent", CHROME), site, hints], None);
    check(&[("user-agent", CHROME), hints], None);
    check(&[("user-agent", FIREFOX), site], None);
    check(&[("user-agent", CHROME), ("upgrade", "websocket")], None);
    check(&[("user-agent", CHROME), ("via", "1.1 office")], None);
}

#[test]
fn attack_tools_are_refused_by_their_name() {
    for agent in [
        "sqlmap/1.9.10#stable (https://sqlmap.org)",
        "Mozilla/5.00 (Nikto/2.5.0) (Evasions:None) (Test:Port Check)",
        "Mozilla/5.0 (compatible; Nmap Scripting Engine; https://nmap.org/book/nse.html)",
        "masscan/1.3",
        "Mozilla/5.0 zgrab/0.x",
        "gobuster/3.8",
        "Mozilla/4.0 (Hydra)",
        "HTTrack/3.49",
        "WPScan v3.8.28 (https://wpscan.com)",
    ] {
        check(&[("user-agent", agent)], Some("bot.ua"));
    }
}

#[test]
fn contradictions_are_refused() {
    let hints = ("sec-ch-ua", "\"Chromium\";v=\"142\"");
    check(&[("user-agent", "")], Some("bot.signature"));
    check(&[("user-agent", " \t")], Some("bot.signature"));
    check(&[("user-agent", "curl/8"), ("user-agent", "curl/9")], Some("bot.signature"));
    check(&[("sec-fetch-mode", "navigate")], Some("bot.signature"));
    check(&[("user-agent", FIREFOX), ("sec-fetch-site", "none"), hints], Some("bot.signature"));
    check(&[("user-agent", CHROME), ("accept", "*/*")], Some("bot.signature"));
    check(&[("user-agent", FIREFOX), ("accept-language", "en")], Some("bot.signature"));
}

#[test]
fn headers_that_a_proxy_may_have_taken_away_are_not_missed() {
    let lists = callers(&BotSettings::default());
    let bare = parts("/", &[("user-agent", CHROME)]);
    for (transport, forwarded, passes) in
        [(Transport::Tls, false, false), (Transport::Tls, true, true), (Transport::Plain, false, true)]
    {
        let client = Client { transport, forwarded, ..client("192.0.2.1") };
        assert_eq!(lists.judge(&bare, &client, None).is_ok(), passes, "{transport:?} {forwarded}");
    }
}

#[test]
fn the_settings_lists_deny_and_allow() {
    let settings = BotSettings {
        deny: vec![String::from("python-requests")],
        allow: vec![String::from("our-scanner")],
        fingerprints: vec![String::from("11ge03_0123456789abcdef")],
    };
    let lists = callers(&settings);
    let judged = |agent: &str, order| {
        let judged = lists.judge(&parts("/", &[("user-agent", agent)]), &client("192.0.2.1"), order);
        judged.err().map(|refusal| refusal.control())
    };
    assert_eq!(judged("python-requests/2.32.5", None), Some("bot.ua"));
    assert_eq!(judged("nikto for our-scanner", None), None);
    assert_eq!(judged("nikto", None), Some("bot.ua"));
    assert_eq!(judged("curl/8", Some("11ge03_0123456789abcdef")), Some("bot.signature"));
    assert_eq!(judged("curl/8", Some("11ge03_0123456789abcdee")), None);
    let only_settings = Callers::new(&settings, &Controls::default()).unwrap();
    let judged = |agent: &str| only_settings.judge(&parts("/", &[("user-agent", agent)]), &client("192.0.2.1"), None);
    assert!(judged("python-requests/2.32.5").is_err() && judged("nikto").is_ok() && judged(CHROME).is_ok());
}

#[test]
fn restricted_routes_answer_their_networks_only() {
    let lists = callers(&BotSettings::default());
    let judged = |path: &str, address: &str| lists.judge(&parts(path, &[]), &client(address), None);
    for path in ["/admin", "/admin/", "/admin/users", "//admin", "/%61dmin", "/a/../admin", "/ADMIN/x", "/admin;v=1/x"]
    {
        assert_eq!(judged(path, "192.0.2.1"), Err(Refusal::Elsewhere), "{path}");
        for inside in ["10.1.2.3", "127.0.0.1", "fd00::1"] {
            assert_eq!(judged(path, inside), Ok(()), "{path} {inside}");
        }
    }
    for path in ["/", "/administrator", "/a/admin"] {
        assert_eq!(judged(path, "192.0.2.1"), Ok(()), "{path}");
    }
}

#[test]
fn the_shipped_list_is_dated_sorted_by_group_and_of_patterns_that_hit_nobody_else() {
    assert!(list_date(SHIPPED_AGENTS).is_ok());
    let patterns: Vec<_> = SHIPPED_AGENTS
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#') && !line.starts_with("version "))
        .collect();
    assert!(patterns.len() > 100);
    for pattern in patterns {
        assert!(pattern.len() >= 4 && pattern.to_lowercase() == pattern && pattern.trim() == pattern, "{pattern}");
    }
}

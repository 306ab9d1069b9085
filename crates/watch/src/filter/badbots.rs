//! Access logs: clients that call themselves what harvesters of mail addresses and old scanners call themselves.

use super::cursor::Cursor;
use super::host::host;
use super::{Failure, at_once};
use crate::stamp::Stamp;

/// `192.0.2.7 - - [21/Nov/2026:10:00:00 +0000] "GET / HTTP/1.1" 200 5 "-" "EmailSiphon"`
pub(super) fn badbots(line: &[u8]) -> Option<Failure<'_>> {
    // The name is the last thing on the line, so most lines are done with here.
    let (before, agent) = Cursor(line.strip_suffix(b"\"")?).until_last("\"")?;
    let agent = std::str::from_utf8(agent.0).ok()?;
    if !is_bad(agent) {
        return None;
    }
    let (host, rest) = host(Cursor(before))?;
    let rest = rest.text(" -")?;
    let stamp = rest.until("[").and_then(|(_, rest)| rest.until("]")).map(|(time, _)| Stamp::common(time))?;
    let asked = ["\"GET", "\"POST", "\"HEAD"];
    let asked = asked.iter().any(|method| rest.until(method).is_some_and(|(_, rest)| rest.holds("HTTP")));
    asked.then(|| at_once(host, stamp)).flatten()
}

fn is_bad(agent: &str) -> bool {
    let jorgee = || {
        let version = agent.strip_prefix("Mozilla/")?.strip_suffix(" Jorgee")?;
        let (major, minor) = version.split_once('.')?;
        let number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        Some(number(major) && number(minor))
    };
    AGENTS.binary_search(&agent).is_ok() || jorgee().unwrap_or(false)
}

/// Names under which such programs are known (user-agents.org), sorted by their bytes.
#[rustfmt::skip]
const AGENTS: &[&str] = &[
    "Atomic_Email_Hunter/4.0",
    "China Local Browse 2.6",
    "ContactBot/0.2",
    "ContentSmartz",
    "DBrowse 1.4b",
    "DBrowse 1.4d",
    "DSurf15a 01",
    "DSurf15a 71",
    "DSurf15a 81",
    "DSurf15a VA",
    "DataCha0s/2.0",
    "Demo Bot DOT 16b",
    "Demo Bot Z 16b",
    "EBrowse 1.4b",
    "ESurf15a 15",
    "Educate Search VxB",
    "EmailCollector",
    "EmailSiphon",
    "EmailSpider",
    "EmailWolf 1.00",
    "ExtractorPro",
    "FSurf15a 01",
    "Franklin Locator 1.8",
    "Full Web Bot 0416B",
    "Full Web Bot 0516B",
    "Full Web Bot 2816B",
    "Guestbook Auto Submitter",
    "ISC Systems iRc Search 2.1",
    "IUPUI Research Bot v 1.9a",
    "Industry Program 1.0.x",
    "Jorgee",
    "LARBIN-EXPERIMENTAL (efp@gmx.net)",
    "LMQueueBot/0.2",
    "LWP::Simple/5.803",
    "LetsCrawl.com/1.0 +http://letscrawl.com/",
    "Lincoln State Web Browser",
    "MFC Foundation Class Library 4.0",
    "MVAClient",
    "Mac Finder 1.0.xx",
    "Microsoft URL Control - 6.00.8xxx",
    "Missauga Locate 1.0.0",
    "Missigua Locator 1.9",
    "Missouri College Browse",
    "Mizzu Labs 2.2",
    "Mo College 1.9",
    "Mozilla/2.0 (compatible; NEWT ActiveX; Win32)",
    "Mozilla/3.0 (compatible; Indy Library)",
    "Mozilla/3.0 (compatible; scan4mail (advanced version) http://www.peterspages.net/scan4mail)",
    "Mozilla/3.0 (compatible; scan4mail (advanced version) http://www.peterspages.netscan4mail)",
    "Mozilla/4.0 (compatible; Advanced Email Extractor v2.xx)",
    "Mozilla/4.0 (compatible; Iplexx Spider/1.0 http://www.iplexx.at)",
    "Mozilla/4.0 (compatible; MSIE 5.0; Windows NT; DigExt; DTS Agent",
    "Mozilla/4.0 efp@gmx.net",
    "Mozilla/5.0 (Version: xxxx Type:xx)",
    "NASA Search 1.0",
    "NameOfAgent (CMS Spider)",
    "Nsauditor/1.x",
    "PBrowse 1.4b",
    "PEval 1.4b",
    "PSurf15a 11",
    "PSurf15a 51",
    "PSurf15a VA",
    "Poirot",
    "Port Huron Labs",
    "Production Bot 0116B",
    "Production Bot 2016B",
    "Production Bot DOT 3016B",
    "Program Shareware 1.0.2",
    "RSurf15a 41",
    "RSurf15a 51",
    "RSurf15a 81",
    "SSurf15a 11 ",
    "ShablastBot 1.0",
    "Snapbot/1.0",
    "Snapbot/1.0 (Snap Shots&#44; +http://www.snap.com)",
    "Sogou Orion spider/3.0(+http://www.sogou.com/docs/help/webmasters.htm#07)",
    "Sogou web spider/3.0(+http://www.sogou.com/docs/help/webmasters.htm#07)",
    "TSurf15a 11",
    "TrackBack/1.02",
    "Under the Rainbow 2.2",
    "User-Agent: Mozilla/4.0 (compatible; MSIE 6.0; Windows NT 5.1)",
    "VadixBot",
    "WEP Search 00",
    "WebEMailExtrac",
    "WebVulnCrawl.unknown/1.0 libwww-perl/5.803",
    "Wells Search II",
    "atSpider/1.0",
    "autoemailspider",
    "bwh3_user_agent",
    "psycheclone",
    "searchbot admin@google.com",
    "snap.com beta crawler v0",
    "sogou develop spider",
    "sogou music spider",
    "sogou spider",
    "sohu agent",
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filter::Host;

    #[test]
    fn the_names_are_sorted() {
        assert!(AGENTS.is_sorted());
    }

    #[track_caller]
    fn check(agent: &str, expected: bool) {
        let line = format!("192.0.2.7 - - [21/Nov/2026:10:00:00 +0000] \"GET /a HTTP/1.1\" 200 5 \"-\" \"{agent}\"");
        let found = badbots(line.as_bytes()).map(|failure| failure.host);
        assert_eq!(found, expected.then(|| Host::Address("192.0.2.7".parse().unwrap())), "{agent}");
    }

    #[test]
    fn a_name_counts_as_a_whole() {
        check("EmailSiphon", true);
        check("Mozilla/5.0 Jorgee", true);
        check("Jorgee", true);
        check("Mozilla/5.0 (X11) EmailSiphon", false);
        check("EmailSiphon/2", false);
        check("Mozilla/5 Jorgee", false);
    }
}

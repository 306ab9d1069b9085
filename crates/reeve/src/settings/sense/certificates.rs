//! Certificates that are each readable and do not fit together with the rest.

use std::net::IpAddr;

use reeve_base::Diagnostic;
use reeve_base::document::Faults;

use super::covers;
use crate::settings::{Acme, Challenge, HostName, Located, Settings, Tls};

/// Records what contradicts itself.
pub(super) fn check(settings: &Settings, faults: &mut Faults) {
    let asked: Vec<_> = certificates(settings).filter(|tls| matches!(tls, Tls::Acme(_))).collect();
    let names = || asked.iter().flat_map(|tls| tls.names());
    match (&settings.sites.acme, asked.as_slice()) {
        (None, []) => {}
        // That no name is written is a fault of its own.
        (None, [first, ..]) if first.names().is_empty() => {}
        (None, [first, ..]) => faults.push(nobody_to_ask(first.names())),
        (Some(acme), []) => faults.push(
            Diagnostic::warning("settings::unused-acme", "`[acme]` does nothing")
                .at(acme.directory.span.clone(), "no certificate is asked for there")
                .help("write `acme = [\"www.example.com\"]` into `[tls]` or a `[[tls.site]]`, or remove `[acme]`"),
        ),
        (Some(acme), _) => {
            names().for_each(|name| unaskable(name, acme, faults));
            too_many(&asked, faults);
            unanswerable(settings, acme, faults);
        }
    }
    named_twice(settings, faults);
}

fn certificates(settings: &Settings) -> impl Iterator<Item = &Tls> {
    std::iter::once(&settings.tls).chain(&settings.sites.others)
}

fn nobody_to_ask(names: &[Located<HostName>]) -> Diagnostic {
    let span = names.first().map_or(0, |name| name.span.start)..names.last().map_or(0, |name| name.span.end);
    Diagnostic::error("settings::no-acme", "a certificate is asked for, and nobody is named who issues it")
        .at(span, "for these names")
        .help(
            "add `[acme]` with `directory = \"https://acme-v02.api.letsencrypt.org/directory\"` and `terms_agreed = true`",
        )
}

/// Names that no authority issues for in this way.
fn unaskable(name: &Located<HostName>, acme: &Acme, faults: &mut Faults) {
    let text = name.value.as_str();
    if text.parse::<IpAddr>().is_ok() {
        let fault = Diagnostic::error("settings::acme-name", format!("`{text}` is an address, and a name is needed"));
        faults.push(fault.at(name.span.clone(), "this one").help("write the name that clients use"));
    }
    if text.starts_with("*.") && acme.challenge.value != Challenge::Dns {
        let fault =
            Diagnostic::error("settings::acme-wildcard", format!("`{text}` can only be shown to be ours in the DNS"));
        let help = "write `challenge = \"dns-01\"` with a `dns_hook`, or list the names one by one";
        let fault = fault.at(name.span.clone(), "a wildcard");
        let fault =
            if acme.challenge.span.is_empty() { fault } else { fault.at(acme.challenge.span.clone(), "not so") };
        faults.push(fault.help(help));
    }
}

fn too_many(asked: &[&Tls], faults: &mut Faults) {
    for names in asked.iter().map(|tls| tls.names()).filter(|names| names.len() > NAMES_MAX) {
        let span = names.get(NAMES_MAX).map(|name| name.span.clone()).unwrap_or_default();
        let fault =
            Diagnostic::error("settings::acme-names", format!("a certificate is asked for {} names", names.len()));
        faults.push(fault.at(span, "one too many").help(format!("ask for at most {NAMES_MAX}; use several sites")));
    }
}

/// Challenges that nobody here could answer.
fn unanswerable(settings: &Settings, acme: &Acme, faults: &mut Faults) {
    let here = |fault: Diagnostic, what| {
        let span = if acme.challenge.span.is_empty() { &acme.directory.span } else { &acme.challenge.span };
        fault.at(span.clone(), what)
    };
    match (acme.challenge.value, &acme.dns_hook) {
        (Challenge::Http, _) if settings.listen.http.is_empty() => {
            let fault = Diagnostic::error(
                "settings::acme-http",
                "the authority would ask over plain HTTP, and nothing listens there",
            );
            let help = "add `http = [\"0.0.0.0:80\"]` to `[listen]`, or write `challenge = \"tls-alpn-01\"`";
            faults.push(here(fault, "needs a plaintext listener").help(help));
        }
        (Challenge::Dns, None) => {
            let fault = Diagnostic::error(
                "settings::acme-hook",
                "the authority would look into the DNS, and nobody changes it",
            );
            let help = "add `dns_hook = [\"/usr/local/bin/dns-record\"]`, a command that sets and removes TXT records";
            faults.push(here(fault, "needs a `dns_hook`").help(help));
        }
        (Challenge::Dns, Some(hook)) if hook.value.first().is_none_or(String::is_empty) => {
            let fault = Diagnostic::error("document::wrong-value", "`dns_hook` names no command");
            faults.push(fault.at(hook.span.clone(), "this value").help("write the command first, then its arguments"));
        }
        (Challenge::Http | Challenge::TlsAlpn, Some(hook)) => {
            let fault = Diagnostic::warning("settings::unused-hook", "`dns_hook` does nothing");
            faults.push(
                fault
                    .at(hook.span.clone(), "only `dns-01` runs it")
                    .help("write `challenge = \"dns-01\"`, or remove it"),
            );
        }
        (Challenge::Http | Challenge::TlsAlpn, None) | (Challenge::Dns, Some(_)) => {}
    }
}

/// A name in two certificates: only the first would ever be shown for it.
fn named_twice(settings: &Settings, faults: &mut Faults) {
    let mut seen: Vec<&Located<HostName>> = Vec::new();
    for name in certificates(settings).flat_map(Tls::names) {
        match seen.iter().find(|known| known.value == name.value) {
            None => seen.push(name),
            Some(first) => faults.push(
                Diagnostic::warning("settings::name-twice", format!("`{}` stands in two certificates", name.value))
                    .at(name.span.clone(), "never shown for it")
                    .at(first.span.clone(), "because this one is")
                    .help("remove one of them"),
            ),
        }
    }
}

/// A certificate of our own making that does not name the site as clients call it: each of them would be warned.
pub(super) fn unnamed_public(settings: &Settings, faults: &mut Faults) {
    let Some(public) = &settings.listen.public else { return };
    let host = &public.value.host;
    // What stands in files shows only when they are read.
    let named = certificates(settings)
        .any(|tls| matches!(tls, Tls::Files { .. }) || tls.names().iter().any(|name| covers(&name.value, host)));
    let names = settings.tls.names();
    if named || names.is_empty() {
        return;
    }
    let (what, key) = match settings.tls {
        Tls::Acme(_) => ("the certificate that is asked for", "acme"),
        Tls::Local(_) | Tls::Files { .. } => ("the local certificate", "local"),
    };
    let list = names.first().map_or(0, |name| name.span.start)..names.last().map_or(0, |name| name.span.end);
    faults.push(
        Diagnostic::warning("settings::unnamed-public", format!("{what} does not name `{host}`"))
            .at(public.span.clone(), "clients call the site so")
            .at(list, "and the certificate is for these")
            .help(format!("add `\"{host}\"` to `{key}`")),
    );
}

/// What public authorities put into one certificate at most.
const NAMES_MAX: usize = 100;

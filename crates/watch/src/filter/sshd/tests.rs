use super::*;

/// Lines of one log, each with the address and the attempts that it makes a failure of.
#[track_caller]
fn check(lines: &[(&str, Option<(&str, u32)>)]) {
    let mut sshd = Sshd::default();
    for (line, expected) in lines {
        let whole = format!("Nov 21 10:00:00 web sshd[{line}");
        let found = sshd.read(whole.as_bytes()).map(|failure| (failure.host, failure.attempts));
        let expected = expected.map(|(host, attempts)| (Host::Address(host.parse().unwrap()), attempts));
        assert_eq!(found, expected, "{line}");
    }
}

const ONE: Option<(&str, u32)> = Some(("192.0.2.7", 1));

#[test]
fn failures_are_found_where_sshd_writes_the_address() {
    check(&[
        ("1]: Failed password for root from 192.0.2.7 port 40022 ssh2", ONE),
        ("2]: Failed password for invalid user x y from 192.0.2.7 port 40022 ssh2", ONE),
        ("3]: Failed password for invalid user from 203.0.113.1 from 192.0.2.7 port 1 ssh2", ONE),
        ("4]: Failed password for invalid user a from 203.0.113.1 port 5 ssh2 from 192.0.2.7 port 1 ssh2", ONE),
        ("5]: Failed password for user from 192.0.2.7 port 20000 ssh1: ruser from 203.0.113.1", ONE),
        ("6]: Invalid user a from 203.0.113.1 port 1 from 192.0.2.7 port 40022", ONE),
        ("7]: Invalid user  from 192.0.2.7 port 40022", ONE),
        ("8]: error: PAM: Authentication failure for x from 203.0.113.1 from 192.0.2.7", ONE),
        ("9]: Connection closed by authenticating user a 203.0.113.1 192.0.2.7 port 1 [preauth]", None),
        ("10]: Server listening on 192.0.2.7 port 22.", None),
        ("11]: Failed password for root from localhost.localdomain-", None),
    ]);
}

#[test]
fn where_two_addresses_may_be_sshds_own_nobody_is_accused() {
    check(&[
        ("1]: Failed password for invalid user x from 203.0.113.1 port 1 ssh2: RSA from 192.0.2.7 port 1 ssh2", None),
        ("1]: Invalid user x from 203.0.113.1 port 1 ssh2: RSA from 192.0.2.7 port 1", ONE),
        (
            "2]: Failed publickey for invalid user x from 192.0.2.7 port 1 ssh2: CERT ID a from 203.0.113.1 port 1 ssh2",
            None,
        ),
        ("3]: Failed hostbased for root from 192.0.2.7 port 1 ssh2: RSA x from 203.0.113.1 port 1 ssh2", ONE),
        ("4]: Connection closed by invalid user x 203.0.113.1 on 192.0.2.7 port 1 [preauth]", None),
    ]);
}

#[test]
fn offering_several_keys_is_no_failure_if_one_of_them_fits() {
    check(&[
        ("1]: Failed publickey for git from 192.0.2.7 port 1 ssh2: RSA SHA256:x", None),
        ("1]: Failed publickey for git from 192.0.2.7 port 1 ssh2: ECDSA SHA256:y", None),
        ("1]: Accepted publickey for git from 192.0.2.7 port 1 ssh2: ED25519 SHA256:z", None),
        ("1]: Connection closed by 192.0.2.7 port 1", None),
        ("2]: Failed publickey for git from 192.0.2.7 port 1 ssh2: RSA SHA256:x", None),
        ("2]: Failed publickey for git from 192.0.2.7 port 1 ssh2: RSA SHA256:y", None),
        ("2]: Disconnecting: Too many authentication failures for git [preauth]", Some(("192.0.2.7", 3))),
        ("2]: Connection closed by 192.0.2.7 port 1 [preauth]", None),
    ]);
}

#[test]
fn signing_in_as_one_user_does_not_excuse_failing_as_another() {
    let pam = "pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh";
    check(&[
        (&format!("1]: {pam} ruser=root rhost=192.0.2.7"), None),
        (&format!("1]: {pam} ruser=sudoer rhost=192.0.2.7"), Some(("192.0.2.7", 2))),
        ("1]: Accepted password for known from 192.0.2.7 port 1 ssh2", ONE),
        (&format!("2]: {pam} ruser= rhost=192.0.2.7  user=rda"), None),
        ("2]: Accepted password for rda from 192.0.2.7 port 1 ssh2", None),
    ]);
}

#[test]
fn a_failure_without_an_address_waits_for_it() {
    check(&[
        ("1]: User root not allowed because account is locked", None),
        ("1]: Received disconnect from 192.0.2.7: 11: Bye [preauth]", Some(("192.0.2.7", 2))),
        ("2]: Connection from 192.0.2.7 port 1 on 192.0.2.1 port 22", None),
        ("2]: Disconnecting: Too many authentication failures [preauth]", Some(("192.0.2.7", 2))),
        ("3]: User root not allowed because account is locked", None),
        ("4]: Received disconnect from 192.0.2.7: 11: Bye [preauth]", None),
    ]);
}

#[test]
fn a_flood_of_connections_is_bounded() {
    let mut sshd = Sshd::default();
    for pid in 0..20_000 {
        let line = format!("Nov 21 10:00:00 web sshd[{pid}]: User root not allowed because account is locked");
        assert!(sshd.read(line.as_bytes()).is_none());
    }
    let line = b"Nov 21 10:00:01 web sshd[19999]: Connection closed by 192.0.2.7 port 1";
    assert!(sshd.read(line).is_some());
    let line = b"Nov 21 10:00:01 web sshd[3]: Connection closed by 192.0.2.7 port 1";
    assert!(sshd.read(line).is_none());
}

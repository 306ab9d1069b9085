//! Tests.

use super::*;

fn tree(files: &[&str]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for file in files {
        let path = folder.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, *file).unwrap();
    }
    folder
}

#[track_caller]
fn arranged(folder: &tempfile::TempDir, named: &[&str], expected: &[&str], set_up: usize) {
    let named: Vec<_> = named.iter().map(|name| folder.path().join(name)).collect();
    let arranged = arrange(&named).unwrap();
    let root = format!("{}/", folder.path().display());
    let files: Vec<_> = arranged.files.iter().map(|file| file.strip_prefix(&root).unwrap()).collect();
    assert_eq!((files.as_slice(), arranged.set_up), (expected, set_up));
}

#[test]
fn a_rule_folder_has_an_order() {
    let crs = tree(&[
        "crs-setup.conf.example",
        "rules/B.conf",
        "rules/A.conf",
        "rules/A.conf.example",
        "rules/a.data",
        "plugins/x-after.conf",
        "plugins/x-before.conf",
        "plugins/x-config.conf",
    ]);
    let all = [
        "crs-setup.conf.example",
        "plugins/x-config.conf",
        "plugins/x-before.conf",
        "rules/A.conf",
        "rules/B.conf",
        "plugins/x-after.conf",
    ];
    arranged(&crs, &[""], &all, 1);
    fs::write(crs.path().join("crs-setup.conf"), "").unwrap();
    arranged(&crs, &["crs-setup.conf", ""], &[&["crs-setup.conf"], &all[1..]].concat(), 1);
    arranged(&crs, &["rules/B.conf", "rules/A.conf"], &["rules/B.conf", "rules/A.conf"], 0);
    // Rules alone: their set-up is beside them if they are a Core Rule Set.
    arranged(&crs, &["rules"], &["rules/A.conf", "rules/B.conf"], 0);
    fs::write(crs.path().join("rules/REQUEST-901-INITIALIZATION.conf"), "").unwrap();
    let rules = ["crs-setup.conf", "rules/A.conf", "rules/B.conf", "rules/REQUEST-901-INITIALIZATION.conf"];
    arranged(&crs, &["rules"], &rules, 1);
    assert!(arrange(&[crs.path().join("plugins/none")]).is_ok_and(|arranged| arranged.files.len() == 1));
    assert!(arrange(&[tree(&["a.txt"]).path().to_owned()]).is_err());
}

#[test]
fn files_are_read_from_where_they_are_named() {
    let folder = tree(&["rules/a.conf", "rules/b.data", "rules/.c.data"]);
    let mut files = RuleFiles::default();
    files.put("<own>", String::from("text"));
    let beside = folder.path().join("rules/a.conf").display().to_string();
    assert_eq!(files.read("b.data", Some(&beside)).unwrap(), b"rules/b.data");
    assert_eq!(files.read("<own>", Some(&beside)).unwrap(), b"text");
    assert_eq!(files.list("<own>", None).unwrap(), ["<own>"]);
    let error = files.read("none.data", Some(&beside)).unwrap_err().to_string();
    assert!(error.starts_with("cannot read `none.data`: "), "{error}");
    let listed = files.list("../*/?.*", Some(&beside)).unwrap();
    assert_eq!(listed.len(), 2);
    for name in listed {
        files.read(&name, None).unwrap();
    }
    assert_eq!(
        files.list("x.conf", Some(&beside)).unwrap(),
        [folder.path().join("rules/x.conf").display().to_string()]
    );
}

#[test]
fn patterns() {
    for (pattern, name, fitting) in [
        ("9421*", "942100-3", true),
        ("9421*", "942200-3", false),
        ("942100-?", "942100-3", true),
        ("942100-?", "942100-33", false),
        ("*-1", "942100-1-1", true),
        ("*a*b*", "xxaxxbxx", true),
        ("", "", true),
        ("a", "", false),
        ("**", "", true),
    ] {
        assert_eq!(fits(pattern, name), fitting, "{pattern} {name}");
    }
}

use std::collections::BTreeMap;
use std::path::Path;

use super::*;
use crate::rule::*;

/// A folder on disk.
struct Folder;

impl Source for Folder {
    fn read(&self, name: &str, beside: Option<&str>) -> Result<Vec<u8>, SourceError> {
        let path = beside.and_then(|beside| Path::new(beside).parent()).map_or(name.into(), |folder| folder.join(name));
        std::fs::read(&path).map_err(|error| SourceError { name: name.to_owned(), cause: error.to_string() })
    }

    fn list(&self, pattern: &str, _beside: Option<&str>) -> Result<Vec<String>, SourceError> {
        let Some((folder, end)) = pattern.split_once("/*") else { return Ok(vec![pattern.to_owned()]) };
        let mut names: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path().to_str().unwrap().to_owned())
            .filter(|name| name.ends_with(end))
            .collect();
        names.sort();
        Ok(names)
    }
}

#[test]
#[ignore = "needs the Core Rule Set: REEVE_CRS is the folder of its rules and crs-setup.conf.example"]
fn the_core_rule_set_loads() {
    let Ok(folder) = std::env::var("REEVE_CRS") else { return };
    let setup = ["/crs-setup.conf.example", "/crs-setup.conf"].map(|name| format!("{folder}{name}"));
    let mut names: Vec<String> = setup.into_iter().filter(|name| Path::new(name).exists()).collect();
    names.push(format!("{folder}/*.conf"));
    names.dedup();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let started = std::time::Instant::now();
    let book = match read(&names, &Folder) {
        Ok(book) => book,
        Err(faults) => {
            for fault in &faults {
                println!("{fault}");
            }
            panic!("{} faults", faults.len());
        }
    };
    println!("read in {:?}", started.elapsed());
    let chains: Vec<&Chain> =
        book.items.iter().filter_map(|item| if let Item::Chain(chain) = item { Some(chain) } else { None }).collect();
    let links: Vec<&Link> = chains.iter().flat_map(|chain| &chain.links).collect();
    let mut phases = BTreeMap::new();
    for chain in &chains {
        *phases.entry(chain.phase).or_insert(0) += 1;
    }
    println!(
        "{} chains, {} links, {} tests, {} markers, phases {phases:?}",
        chains.len(),
        links.len(),
        links.iter().filter(|link| link.test.is_some()).count(),
        book.items.len() - chains.len()
    );
    let started = std::time::Instant::now();
    let mut patterns = 0;
    for link in &links {
        if let Some(Test { operator: Operator::Rx(text), .. }) = &link.test
            && let Some(plain) = text.as_plain()
        {
            crate::pattern::compile(plain).unwrap();
            patterns += 1;
        }
    }
    println!("{patterns} patterns compiled in {:?}", started.elapsed());
    for warning in &book.warnings {
        println!("warning: {warning}");
    }
}

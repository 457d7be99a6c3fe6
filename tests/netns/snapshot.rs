//! What a host looks like from outside a program: rules, routes, settings, raw sockets.

use crate::namespace::Namespace;
use anyhow::{Result, ensure};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

/// Everything that a program might leave behind, by name.
#[derive(PartialEq, Eq, Debug)]
pub(crate) struct Snapshot(BTreeMap<String, String>);

impl Snapshot {
    /// Looks at a namespace.
    pub(crate) fn of(namespace: &Namespace) -> Result<Self> {
        namespace.within(|| {
            let mut facts = BTreeMap::new();
            // Absent programs and files have nothing to show, before and after.
            for (program, arguments) in
                [("nft", &["list", "ruleset"][..]), ("iptables-save", &[]), ("ip6tables-save", &[])]
            {
                let output = Command::new(program).args(arguments).output();
                let text = output.map(|done| done.stdout).unwrap_or_default();
                let text = String::from_utf8_lossy(&text).into_owned();
                let rules = text.lines().filter(|line| !line.starts_with('#')).collect::<Vec<_>>();
                facts.insert(program.to_owned(), rules.join("\n"));
            }
            for name in ["route", "if_inet6", "dev_mcast"] {
                facts.insert(name.to_owned(), own(name));
            }
            facts.insert("ipv6_route".to_owned(), ipv6_routes());
            settings(Path::new("/proc/sys/net"), &mut facts);
            Ok(Self(facts))
        })
    }

    /// Fails, naming the difference, unless both are the same.
    pub(crate) fn ensure_same(&self, later: &Self) -> Result<()> {
        for name in self.0.keys().chain(later.0.keys()) {
            let (before, after) = (self.0.get(name), later.0.get(name));
            ensure!(before == after, "{name} was {before:?} and is {after:?}");
        }
        Ok(())
    }
}

/// How many raw and packet sockets are open in a namespace.
pub(crate) fn raw_sockets(namespace: &Namespace) -> Result<usize> {
    // Each list has a heading.
    let count = |name| own(name).lines().skip(1).count();
    namespace.within(|| Ok(["raw", "raw6", "packet"].map(count).iter().sum()))
}

fn own(name: &str) -> String {
    fs::read_to_string(format!("/proc/thread-self/net/{name}")).unwrap_or_default()
}

/// Routes without their counters of use.
fn ipv6_routes() -> String {
    let mut routes: Vec<String> = own("ipv6_route")
        .lines()
        .map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            let kept = words.iter().enumerate().filter(|(at, _)| !matches!(at, 6..=8));
            kept.map(|(_, word)| *word).collect::<Vec<_>>().join(" ")
        })
        .collect();
    routes.sort_unstable();
    routes.join("\n")
}

/// All readable settings below a directory.
fn settings(directory: &Path, facts: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            settings(&path, facts);
        } else if !path.ends_with("nf_conntrack_count")
            && let Ok(value) = fs::read_to_string(&path)
        {
            facts.insert(path.display().to_string(), value);
        }
    }
}

//! Which targets a sweep has: what the arguments, files and names come to.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufRead, BufReader, IsTerminal, Read};
use std::net::IpAddr;
use std::path::Path;

use anyhow::{Context, anyhow, bail, ensure};

use crate::cli::SweepArgs;
use crate::cmd::file::shown;
use crate::cmd::target::{Family, Host, Services, resolve_host};
use crate::sweep::hosts::{AddrRange, HostList, HostSet};
use crate::sweep::parse::{self, Hosts, Item};
use crate::sweep::ports::PortSet;
use crate::sweep::reserved;
use crate::sweep::space::Space;

/// Bytes of a line at most: whoever writes more in one has lost the line ends.
const LONGEST_LINE: u64 = 1 << 16;
/// Bad lines that are named; the rest are counted.
const NAMED: usize = 5;

/// What was asked for.
#[derive(Debug)]
pub(super) struct Asked {
    /// The targets.
    pub(super) space: Space,
    /// The interface that link-local addresses were written with.
    pub(super) scope: Option<String>,
    /// What the user should know: what was left out, how something was understood.
    pub(super) remarks: Vec<String>,
}

/// Reads hosts, ports and exclusions.
///
/// # Errors
/// One line on what cannot be read, or that nothing is left.
pub(super) fn asked_for(args: &SweepArgs) -> anyhow::Result<Asked> {
    let services = Services::of_host();
    let ports = args
        .space
        .ports
        .as_deref()
        .context("there is no port to sweep: name some, as in -p 443 or -p 22,80,8000-8010")?;
    let ports = PortSet::parse(ports, &|name| crate::cmd::target::port(name, &services).ok())?;
    let mut reader = Reader { family: Family::of(&args.space.family), ..Reader::new() };
    let hosts = reader.hosts(args)?;
    let excluded = reader.excluded(args)?;
    let all = hosts.count();
    ensure!(all > 0, reader.nothing(args));
    let hosts = hosts.without(&excluded);
    ensure!(
        !hosts.is_empty(),
        "no host is left to sweep: every one of the {all} named is excluded"
    );
    let (hosts, cut) = reserved::cut(&hosts);
    let mut remarks = reader.remarks;
    if !cut.is_empty() {
        remarks.push(format!("left out {cut}"));
    }
    let space = Space::new(hosts, ports)?;
    let mut scopes = reader.scopes.into_iter();
    let scope = scopes.next();
    if let (Some(one), Some(other)) = (&scope, scopes.next()) {
        bail!(
            "link-local addresses of {one} and {other}: a sweep has one interface, run one for each"
        );
    }
    if let (Some(scope), Some(interface)) = (&scope, &args.source.interface) {
        ensure!(scope == interface, "addresses at {scope} cannot be reached by -I {interface}");
    }
    Ok(Asked { space, scope, remarks })
}

/// Reads lists of hosts.
struct Reader {
    family: Family,
    remarks: Vec<String>,
    scopes: BTreeSet<String>,
    /// Addresses of the family that was not asked for.
    other_family: u64,
}

/// Hosts to probe, or not to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Purpose {
    Probe,
    Exclude,
}

impl Reader {
    const fn new() -> Self {
        Self { family: Family::Any, remarks: Vec::new(), scopes: BTreeSet::new(), other_family: 0 }
    }

    /// The hosts to probe, from the arguments, a file or standard input.
    fn hosts(&mut self, args: &SweepArgs) -> anyhow::Result<HostSet> {
        let mut list = HostList::new();
        for word in &args.hosts {
            for piece in word.split(',').filter(|piece| !piece.is_empty()) {
                ensure!(piece != "-", "hosts come from standard input by --targets -");
                let item = parse::item(piece)?;
                let is_name = matches!(item, Item::Name(_));
                self.take(item, Purpose::Probe, &mut list).map_err(|error| {
                    let path = Path::new(piece);
                    if is_name && path.is_file() {
                        let file = shown(path);
                        return anyhow!("{error}; {file} is a file: read it by --targets {piece}");
                    }
                    error
                })?;
            }
        }
        let path = match &args.space.target_file {
            Some(path) => Some(path.as_path()),
            None if args.hosts.is_empty() && !io::stdin().is_terminal() => Some(Path::new("-")),
            None => None,
        };
        match path {
            Some(path) => self.file(path, Purpose::Probe, &mut list)?,
            None => ensure!(
                !args.hosts.is_empty(),
                "there is nothing to sweep: name hosts, as in 192.0.2.0/24, or a file with --targets"
            ),
        }
        Ok(list.into_set())
    }

    /// The hosts to leave out.
    fn excluded(&mut self, args: &SweepArgs) -> anyhow::Result<HostSet> {
        let mut list = HostList::new();
        for word in &args.space.exclude {
            let item = parse::item(word).with_context(|| "--exclude".to_owned())?;
            self.take(item, Purpose::Exclude, &mut list)?;
        }
        if let Some(path) = &args.space.exclude_file {
            self.file(path, Purpose::Exclude, &mut list)?;
        }
        Ok(list.into_set())
    }

    /// Reads a list. Every line counts: what cannot be read is named, and nothing is sent, since the
    /// others would not be what was asked for.
    fn file(&mut self, path: &Path, purpose: Purpose, list: &mut HostList) -> anyhow::Result<()> {
        let standard = path.as_os_str() == "-";
        let name = if standard { "standard input".to_owned() } else { shown(path) };
        let mut lines: Box<dyn BufRead> = if standard {
            Box::new(io::stdin().lock())
        } else {
            let file = File::open(path).with_context(|| format!("cannot open {name}"))?;
            Box::new(BufReader::with_capacity(1 << 16, file))
        };
        let mut bad = Vec::new();
        let mut count = 0_u64;
        let mut bytes = Vec::new();
        for number in 1_u64.. {
            bytes.clear();
            let read = (&mut lines).take(LONGEST_LINE).read_until(b'\n', &mut bytes);
            if read.with_context(|| format!("cannot read {name}"))? == 0 {
                break;
            }
            ensure!(
                bytes.len() as u64 != LONGEST_LINE,
                "{name}, line {number} is longer than {LONGEST_LINE} bytes: is it a list of hosts?"
            );
            let mut complain = |line: u64, why: String| {
                count += 1;
                if bad.len() < NAMED {
                    bad.push(format!("line {line}: {why}"));
                }
            };
            for item in parse::line(number, &bytes) {
                match item {
                    Ok(item) => {
                        if let Err(error) = self.take(item, purpose, list) {
                            complain(number, format!("{error:#}"));
                        }
                    }
                    Err(error) => complain(error.line, error.error.to_string()),
                }
            }
        }
        let more = count - bad.len() as u64;
        match more {
            _ if bad.is_empty() => Ok(()),
            0 => Err(anyhow!("{name}, {}", bad.join("; "))),
            _ => Err(anyhow!("{name}, {}; and {more} more", bad.join("; "))),
        }
    }

    /// Takes one item in.
    fn take(
        &mut self,
        item: Item<'_>,
        purpose: Purpose,
        list: &mut HostList,
    ) -> anyhow::Result<()> {
        let item = if purpose == Purpose::Probe { item.to_probe()? } else { item };
        match item {
            Item::Hosts(Hosts { range, scope, host_bits }) => {
                if !self.has_family(range.first()) {
                    self.other_family += 1;
                    return Ok(());
                }
                if purpose == Purpose::Probe {
                    self.scopes.extend(scope.map(str::to_owned));
                }
                if host_bits && self.remarks.len() < NAMED {
                    self.remarks.push(format!("took a network by one of its hosts: {range}"));
                }
                list.push(range);
            }
            Item::Name(name) => {
                let addresses = resolve_host(&Host::Name(name.to_owned()), self.family)?;
                // A name that is probed is one host; one that is left out is all of its addresses.
                let most = if purpose == Purpose::Probe { 1 } else { addresses.len() };
                for address in addresses.iter().take(most) {
                    list.push(AddrRange::single(address.ip()));
                }
            }
        }
        Ok(())
    }

    const fn has_family(&self, address: IpAddr) -> bool {
        match self.family {
            Family::Any => true,
            Family::V4 => address.is_ipv4(),
            Family::V6 => address.is_ipv6(),
        }
    }

    /// Why there is no host.
    fn nothing(&self, args: &SweepArgs) -> String {
        if self.other_family > 0 {
            let (option, other) = match self.family {
                Family::V6 => ("-6", "IPv4"),
                _ => ("-4", "IPv6"),
            };
            return format!("all hosts are {other} addresses: leave out {option}");
        }
        let list = match &args.space.target_file {
            Some(path) if path.as_os_str() != "-" => shown(path),
            _ => "standard input".to_owned(),
        };
        format!("{list} names no host: write them as in 192.0.2.0/24, here or with --targets FILE")
    }
}

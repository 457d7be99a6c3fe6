//! Whom to ask: from arguments, from a file, from standard input.
//!
//! A mistake in the arguments ends the run before it begins. A bad line among many of a file is named
//! by its number and left out.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{self, BufRead, BufReader, IsTerminal, Read};
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, bail};

use crate::cli::RttArgs;
use crate::cmd::complain;
use crate::cmd::ground::Ground;
use crate::cmd::line::escaped;
use crate::cmd::target::{Family, Host, HostPorts, ResolveError, Services, resolve_host};
use crate::net::linux::Route;

/// The longest line of a target file, in bytes.
const LONGEST_LINE: u64 = 4096;
/// Names that are looked up at the same time: most of that is waiting.
const LOOKUPS: usize = 32;

/// What targets behind the same interface share.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Lane {
    /// Our address.
    pub(super) source: IpAddr,
    /// What a packet may have, in bytes.
    pub(super) mtu: u32,
    /// The interface's name.
    pub(super) interface: Rc<str>,
}

/// One port to be asked.
#[derive(Clone, Debug)]
pub(super) struct Aim {
    /// Its address.
    pub(super) remote: SocketAddr,
    /// The way to it.
    pub(super) lane: Rc<Lane>,
    /// How many targets before it have the very same address and port.
    pub(super) copy: u16,
}

/// Everything that was found.
#[derive(Default)]
pub(super) struct Found {
    /// As the user wrote them, with their ports.
    pub(super) names: Vec<String>,
    /// The same, resolved.
    pub(super) aims: Vec<Aim>,
    /// The routes that a wire needs to reach them all.
    pub(super) routes: Vec<Route>,
    /// Whether lines were left out.
    pub(super) incomplete: bool,
}

/// Where a host was named.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Place {
    Argument,
    Line(u64),
}

/// Finds whom the arguments mean.
///
/// # Errors
/// A mistake in the arguments, a file that cannot be read, nobody left to ask.
pub(super) fn find(args: &RttArgs, ground: &Ground) -> anyhow::Result<Found> {
    let services = Services::of_host();
    let ports = args.ports.as_deref();
    let mut hosts: Vec<(Place, HostPorts)> = HostPorts::parse_all(&args.targets, ports, &services)?
        .into_iter()
        .map(|host| (Place::Argument, host))
        .collect();
    let mut found = Found::default();
    let mut name = String::new();
    if let Some(source) = list(args)? {
        name.clone_from(&source.name);
        let mut bad = 0_u64;
        let mut good = |place, host| hosts.push((place, host));
        read_lines(source, ports, &services, &mut good, |number, why| {
            bad += 1;
            complain(&format!("{name}, line {number}: {why}"));
        })?;
        found.incomplete |= bad > 0;
    }
    if hosts.is_empty() {
        bail!("there is no target: write HOST:PORT, or --targets FILE");
    }
    let addresses = look_up(&hosts, Family::of(&args.family));
    let mut lanes = Lanes::default();
    let mut copies: HashMap<SocketAddr, u16> = HashMap::new();
    for ((place, host), addresses) in hosts.iter().zip(addresses) {
        let reached = addresses
            .map_err(anyhow::Error::from)
            .and_then(|addresses| ground.reach(&addresses, &args.source));
        let (address, route) = match (reached, place) {
            (Ok(reached), _) => reached,
            (Err(error), Place::Argument) => return Err(error),
            (Err(error), Place::Line(number)) => {
                complain(&format!("{name}, line {number}: {error:#}"));
                found.incomplete = true;
                continue;
            }
        };
        let lane = lanes.of(route, &mut found.routes);
        for target in host.targets() {
            let mut remote = address;
            remote.set_port(target.port);
            let copy = copies.entry(remote).or_default();
            let name = if args.output.numeric { remote.to_string() } else { target.to_string() };
            found.names.push(name);
            found.aims.push(Aim { remote, lane: Rc::clone(&lane), copy: *copy });
            *copy = copy.saturating_add(1);
        }
    }
    if found.aims.is_empty() {
        bail!("there is no target left");
    }
    found.names.shrink_to_fit();
    found.aims.shrink_to_fit();
    Ok(found)
}

/// The ways out, each once, and the routes that a wire must be told of.
#[derive(Default)]
struct Lanes {
    lanes: HashMap<(IpAddr, u32, bool, u32), Rc<Lane>>,
    /// The first way out of each source address: the wire takes it for whom it was not told of.
    usual: HashMap<IpAddr, (u32, bool)>,
    told: HashSet<IpAddr>,
}

impl Lanes {
    fn of(&mut self, route: Route, routes: &mut Vec<Route>) -> Rc<Lane> {
        let Route { source, mtu, pinned, .. } = route;
        let way = (route.interface.index, pinned);
        let first = !self.usual.contains_key(&source);
        let usual = *self.usual.entry(source).or_insert(way);
        let key = (source, way.0, way.1, mtu);
        let interface = || Rc::from(route.interface.name.as_str());
        let lane = self
            .lanes
            .entry(key)
            .or_insert_with(|| Rc::new(Lane { source, mtu, interface: interface() }));
        let lane = Rc::clone(lane);
        if (first || usual != way) && self.told.insert(route.destination) {
            routes.push(route);
        }
        lane
    }
}

/// A list of targets.
struct List {
    name: String,
    lines: Box<dyn BufRead>,
}

/// The list that the arguments name, or standard input where they name nobody.
fn list(args: &RttArgs) -> anyhow::Result<Option<List>> {
    let path = match &args.target_file {
        Some(path) => path.as_path(),
        None if args.targets.is_empty() && !io::stdin().is_terminal() => Path::new("-"),
        None => return Ok(None),
    };
    if path.as_os_str() == "-" {
        let lines = Box::new(BufReader::new(io::stdin()));
        return Ok(Some(List { name: "standard input".to_owned(), lines }));
    }
    let name = format!("'{}'", escaped(&path.to_string_lossy()));
    let file = File::open(path).with_context(|| format!("cannot open {name}"))?;
    Ok(Some(List { name, lines: Box::new(BufReader::new(file)) }))
}

/// Reads a list: hosts with their ports to `good`, the number of a line and what is wrong with it to
/// `bad`.
fn read_lines(
    list: List,
    ports: Option<&str>,
    services: &Services,
    good: &mut impl FnMut(Place, HostPorts),
    mut bad: impl FnMut(u64, String),
) -> anyhow::Result<()> {
    let List { name, mut lines } = list;
    let mut line = Vec::new();
    for number in 1_u64.. {
        line.clear();
        let read = (&mut lines).take(LONGEST_LINE).read_until(b'\n', &mut line);
        if read.with_context(|| format!("cannot read {name}"))? == 0 {
            break;
        }
        if line.len() as u64 == LONGEST_LINE && line.last() != Some(&b'\n') {
            skip_line(&mut lines).with_context(|| format!("cannot read {name}"))?;
            bad(number, format!("it is longer than {LONGEST_LINE} bytes"));
            continue;
        }
        let Ok(text) = std::str::from_utf8(&line) else {
            bad(number, "it is no text".to_owned());
            continue;
        };
        let text = text.split('#').next().unwrap_or_default();
        let words: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
        if words.is_empty() {
            continue;
        }
        match HostPorts::parse_all(&words, ports, services) {
            Ok(hosts) => hosts.into_iter().for_each(|host| good(Place::Line(number), host)),
            Err(error) => bad(number, error.to_string()),
        }
    }
    Ok(())
}

fn skip_line(lines: &mut impl BufRead) -> io::Result<()> {
    loop {
        let buffer = lines.fill_buf()?;
        if buffer.is_empty() {
            return Ok(());
        }
        let end = buffer.iter().position(|byte| *byte == b'\n');
        let used = end.map_or(buffer.len(), |at| at + 1);
        lines.consume(used);
        if end.is_some() {
            return Ok(());
        }
    }
}

type Addresses = Result<Vec<SocketAddr>, ResolveError>;

/// The addresses of all hosts, in their order. Names are looked up side by side: most of the time that
/// one takes is spent waiting.
fn look_up(hosts: &[(Place, HostPorts)], family: Family) -> Vec<Addresses> {
    let names: HashSet<&Host> = hosts
        .iter()
        .map(|(_, host)| &host.host)
        .filter(|host| matches!(host, Host::Name(_)))
        .collect();
    let names: Vec<&Host> = names.into_iter().collect();
    let found: Mutex<HashMap<&Host, Addresses>> = Mutex::default();
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..LOOKUPS.min(names.len()) {
            scope.spawn(|| {
                while let Some(host) = names.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let addresses = resolve_host(host, family);
                    found.lock().unwrap_or_else(PoisonError::into_inner).insert(host, addresses);
                }
            });
        }
    });
    let found = found.into_inner().unwrap_or_else(PoisonError::into_inner);
    hosts
        .iter()
        .map(|(_, host)| match found.get(&host.host) {
            Some(Ok(addresses)) => Ok(addresses.clone()),
            Some(Err(ResolveError::Lookup { name, why })) => {
                Err(ResolveError::Lookup { name: name.clone(), why: why.clone() })
            }
            // Literal addresses, and the rare name whose answer is of the wrong kind: asked again,
            // since errors cannot be copied.
            Some(Err(_)) | None => resolve_host(&host.host, family),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &[u8], ports: Option<&str>) -> (Vec<String>, Vec<(u64, String)>) {
        let (mut hosts, mut bad) = (Vec::new(), Vec::new());
        let list =
            List { name: "list".to_owned(), lines: Box::new(io::Cursor::new(text.to_vec())) };
        let services = Services::of_host();
        let mut good = |place, host: HostPorts| {
            let Place::Line(number) = place else { panic!("no line") };
            hosts.extend(host.targets().map(|target| format!("{number} {target}")));
        };
        read_lines(list, ports, &services, &mut good, |number, why| bad.push((number, why)))
            .expect("read");
        (hosts, bad)
    }

    #[test]
    fn every_bad_line_is_named_and_the_others_count() {
        let text = b"# hosts\n192.0.2.1:80 # the first\n\n  192.0.2.2 22,80  \nno port\n\
                     \xff\xfe\n192.0.2.999:1\n[2001:db8::1]:443\nlast:7";
        let (hosts, bad) = read(text, None);
        assert_eq!(
            hosts,
            [
                "2 192.0.2.1:80",
                "4 192.0.2.2:22",
                "4 192.0.2.2:80",
                "8 [2001:db8::1]:443",
                "9 last:7"
            ]
        );
        let numbers: Vec<u64> = bad.iter().map(|(number, _)| *number).collect();
        assert_eq!(numbers, [5, 6, 7]);
        assert!(bad[2].1.contains("no IPv4 address"), "{}", bad[2].1);
    }

    #[test]
    fn a_line_without_end_neither_fills_the_memory_nor_shifts_the_count() {
        let mut text = vec![b'a'; 100_000];
        text.extend(b"\nhost:1\n");
        let (hosts, bad) = read(&text, None);
        assert_eq!(hosts, ["2 host:1"]);
        assert_eq!(bad, [(1, "it is longer than 4096 bytes".to_owned())]);
    }

    #[test]
    fn shared_ports_are_for_lines_that_name_none() {
        let (hosts, bad) = read(b"a\nb:1\n", Some("80,443"));
        assert_eq!((hosts, bad), (vec!["1 a:80".into(), "1 a:443".into(), "2 b:1".into()], vec![]));
    }
}

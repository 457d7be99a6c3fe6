//! Whether all targets leave the same way.
//!
//! A frame goes where its link header says, whatever the routing table has for its destination:
//! past a VPN, if need be. So the table is asked for all of the targets before. Between two
//! neighbouring boundaries of its prefixes, and of the policy's, it has one answer, so that asking
//! once for each such cell settles every address.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use netlink_packet_route::route::{RouteAttribute, RouteMessage};
use netlink_packet_route::rule::{RuleAttribute, RuleMessage};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use nix::net::if_::if_nametoindex;

use super::link::NoFrames;
use super::netlink::dump;
use crate::net::linux::RouteOptions;
use crate::net::linux::route::{ask_kernel, ip};
use crate::net::linux::sys::interface_name;

/// Questions to the kernel at most: half a second's worth. A host with the whole Internet's table
/// has more cells than this.
const QUESTIONS: usize = 1 << 16;
/// Ranges that are remembered of each way.
const REMEMBERED: usize = 8;

/// Where the routing table sends packets.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Way {
    /// Out of an interface.
    Out {
        /// Its name.
        interface: String,
        /// Its index.
        index: u32,
        /// The next router; `None` for neighbours.
        gateway: Option<IpAddr>,
        /// The address that the table prefers for us.
        source: Option<IpAddr>,
    },
    /// To this host itself.
    Local,
    /// To everybody on a network: no target.
    Broadcast,
    /// Forbidden by the table.
    Prohibited,
    /// Nowhere.
    Unreachable,
}

/// All targets that go one way.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Branch {
    /// Where to.
    pub way: Way,
    /// The first eight ranges of them, both ends included.
    pub ranges: Vec<(IpAddr, IpAddr)>,
    /// How many addresses they are in all.
    pub addresses: u128,
}

/// The ways of all targets, the one of most first.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Survey {
    /// Every way with what goes there.
    pub branches: Vec<Branch>,
    /// Whether all targets were looked at: the table has too many entries else.
    pub complete: bool,
}

/// Asks the routing table about every address of `ranges`, both ends included.
///
/// # Errors
/// The kernel does not list its routes.
pub fn survey(
    ranges: impl IntoIterator<Item = (IpAddr, IpAddr)>,
    options: &RouteOptions,
) -> io::Result<Survey> {
    let interface = match &options.interface {
        Some(name) => if_nametoindex(name.as_str())?,
        None => options.scope_id,
    };
    let mut tables: BTreeMap<bool, BTreeSet<u128>> = BTreeMap::new();
    let mut known = BTreeMap::new();
    let mut tally = Tally::default();
    let mut complete = true;
    for (first, last) in ranges {
        let v6 = first.is_ipv6();
        if let std::collections::btree_map::Entry::Vacant(table) = tables.entry(v6) {
            table.insert(boundaries(v6)?);
        }
        let Some(boundaries) = tables.get(&v6) else { continue };
        for (cell, low, high) in cells(boundaries, number(first), number(last)) {
            if known.len() >= QUESTIONS && !known.contains_key(&(v6, cell)) {
                complete = false;
                continue;
            }
            let way = known
                .entry((v6, cell))
                .or_insert_with(|| way(address(v6, low), options.source, interface));
            tally.add(way, v6, low, high);
        }
    }
    let mut branches: Vec<_> = tally.0.into_values().collect();
    branches.sort_by_key(|branch| std::cmp::Reverse(branch.addresses));
    Ok(Survey { branches, complete })
}

impl Survey {
    /// One line for targets that leave by another interface than most, or from another address:
    /// they are to be swept by themselves.
    #[must_use]
    pub fn astray(&self) -> Option<String> {
        let mut out = self.branches.iter().filter_map(|branch| match &branch.way {
            Way::Out { interface, source, .. } => Some((branch, interface, source)),
            _ => None,
        });
        let (most, usual, usual_source) = out.next()?;
        let family = |branch: &Branch| branch.ranges.first().map(|(first, _)| first.is_ipv6());
        out.find_map(|(branch, interface, source)| {
            let which = ranges(branch);
            if interface != usual {
                let verb = if branch.ranges.len() == 1 { "leaves" } else { "leave" };
                return Some(format!(
                    "{which} {verb} by {interface}, the rest by {usual}: sweep them separately"
                ));
            }
            let (source, usual) = (source.as_ref()?, usual_source.as_ref()?);
            (source != usual && family(branch) == family(most)).then(|| {
                format!(
                    "{which} would be sent from {source}, the rest from {usual}: \
                     sweep them separately, or choose one with --source"
                )
            })
        })
    }

    /// What of the targets goes to this host, to everybody, or nowhere.
    pub fn lost(&self) -> impl Iterator<Item = &Branch> {
        self.branches.iter().filter(|branch| !matches!(branch.way, Way::Out { .. }))
    }

    /// Whether one link header per IP version fits all targets; there is a single one where
    /// `single`.
    ///
    /// # Errors
    /// [`NoFrames`].
    pub fn one_station(&self, single: bool) -> Result<(), NoFrames> {
        if !self.complete {
            return Err(NoFrames::Several);
        }
        let mut stations: BTreeMap<bool, (u32, Option<IpAddr>)> = BTreeMap::new();
        for branch in &self.branches {
            let v6 = branch.ranges.first().is_some_and(|(first, _)| first.is_ipv6());
            match &branch.way {
                Way::Local => return Err(NoFrames::Loopback),
                // What goes nowhere by the table must not go by a frame.
                Way::Prohibited | Way::Unreachable | Way::Broadcast => {
                    return Err(NoFrames::NoWay(ranges(branch)));
                }
                Way::Out { interface, index, gateway, .. } => {
                    if gateway.is_none() && !single && has_header(*index) {
                        return Err(NoFrames::OnLink(interface.clone()));
                    }
                    let station = (*index, *gateway);
                    if *stations.entry(v6).or_insert(station) != station {
                        return Err(NoFrames::Several);
                    }
                }
            }
        }
        Ok(())
    }
}

/// Whether frames on an interface begin with a link header.
fn has_header(index: u32) -> bool {
    use crate::net::linux::{Interface, LinkKind};
    Interface::by_index(index).map_or(true, |it| it.link != LinkKind::RawIp)
}

/// The ranges of a branch as people write them.
fn ranges(branch: &Branch) -> String {
    let listed: Vec<_> = branch.ranges.iter().map(|&(a, b)| Range(a, b).to_string()).collect();
    let more = if branch.ranges.len() == REMEMBERED { " …" } else { "" };
    format!("{}{more}", listed.join(", "))
}

/// `10.8.0.0/16`, `10.8.0.1`, or `10.8.0.1-10.8.0.9`.
struct Range(IpAddr, IpAddr);

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (first, last) = (number(self.0), number(self.1));
        let bits = if self.0.is_ipv4() { 32 } else { 128 };
        let size = (last - first).wrapping_add(1);
        if first == last {
            write!(f, "{}", self.0)
        } else if size.is_power_of_two() && first & (size - 1) == 0 {
            write!(f, "{}/{}", self.0, bits - size.trailing_zeros())
        } else {
            write!(f, "{}-{}", self.0, self.1)
        }
    }
}

/// Branches by their way.
#[derive(Default)]
struct Tally(BTreeMap<(bool, Way), Branch>);

impl Tally {
    fn add(&mut self, way: &Way, v6: bool, low: u128, high: u128) {
        let empty = || Branch { way: way.clone(), ranges: Vec::new(), addresses: 0 };
        let branch = self.0.entry((v6, way.clone())).or_insert_with(empty);
        branch.addresses = branch.addresses.saturating_add((high - low).saturating_add(1));
        let room = branch.ranges.len() < REMEMBERED;
        match branch.ranges.last_mut() {
            Some((_, last)) if number(*last).checked_add(1) == Some(low) => {
                *last = address(v6, high);
            }
            _ if room => branch.ranges.push((address(v6, low), address(v6, high))),
            _ => {}
        }
    }
}

/// The parts of a range between boundaries: where the cell begins that they are of, and the part.
fn cells(
    boundaries: &BTreeSet<u128>,
    first: u128,
    last: u128,
) -> impl Iterator<Item = (u128, u128, u128)> + '_ {
    let mut next = (first <= last).then_some(first);
    std::iter::from_fn(move || {
        let low = next?;
        let cell = boundaries.range(..=low).next_back().copied().unwrap_or(0);
        let after = low.checked_add(1).and_then(|after| boundaries.range(after..).next());
        let high = after.map_or(last, |&after| (after - 1).min(last));
        next = high.checked_add(1).filter(|&next| next <= last);
        Some((cell, low, high))
    })
}

/// Where the answers of one IP version's table may change.
fn boundaries(v6: bool) -> io::Result<BTreeSet<u128>> {
    let family = if v6 { AddressFamily::Inet6 } else { AddressFamily::Inet };
    let mut boundaries = BTreeSet::new();
    let mut routes = RouteMessage::default();
    routes.header.address_family = family;
    let mut rules = RuleMessage::default();
    rules.header.family = family;
    let listed = dump(RouteNetlinkMessage::GetRoute(routes))?;
    // Kernels without policy routing have no rules.
    let policy = dump(RouteNetlinkMessage::GetRule(rules)).unwrap_or_default();
    for message in listed.into_iter().chain(policy) {
        let prefix = match &message {
            RouteNetlinkMessage::NewRoute(route) => {
                let to = route.attributes.iter().find_map(|attribute| match attribute {
                    RouteAttribute::Destination(address) => ip(address),
                    _ => None,
                });
                to.map(|to| (to, route.header.destination_prefix_length))
            }
            RouteNetlinkMessage::NewRule(rule) => {
                let to = rule.attributes.iter().find_map(|attribute| match attribute {
                    RuleAttribute::Destination(address) => Some(*address),
                    _ => None,
                });
                to.map(|to| (to, rule.header.dst_len))
            }
            _ => None,
        };
        if let Some((to, length)) = prefix.filter(|(to, _)| to.is_ipv6() == v6) {
            let bits = if v6 { 128 } else { 32 };
            let host = bits - u32::from(length).min(bits);
            let mask = 1_u128.checked_shl(host).map_or(u128::MAX, |size| size - 1);
            let first = number(to) & !mask;
            boundaries.insert(first);
            boundaries.extend((first | mask).checked_add(1));
        }
    }
    Ok(boundaries)
}

fn way(to: IpAddr, source: Option<IpAddr>, interface: u32) -> Way {
    match ask_kernel(to, source, interface) {
        Ok(found) if found.is_local => Way::Local,
        Ok(found) => Way::Out {
            interface: interface_name(found.interface).unwrap_or_default(),
            index: found.interface,
            gateway: found.gateway,
            source: found.source,
        },
        Err(error) => match error.raw_os_error() {
            Some(libc::EPROTOTYPE) => Way::Broadcast,
            Some(libc::EACCES | libc::EPERM) => Way::Prohibited,
            _ => Way::Unreachable,
        },
    }
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => v4.to_bits().into(),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

fn address(v6: bool, number: u128) -> IpAddr {
    if v6 {
        Ipv6Addr::from_bits(number).into()
    } else {
        Ipv4Addr::from_bits(u32::try_from(number).unwrap_or(u32::MAX)).into()
    }
}

#[cfg(test)]
#[path = "routes_tests.rs"]
mod tests;

//! Hosts as they are written: on the command line, in a file, on standard input.
//!
//! | written | stands for |
//! |---|---|
//! | `192.0.2.1`, `2001:db8::1`, `[2001:db8::1]` | this address |
//! | `192.0.2.0/24`, `2001:db8::/112` | every address of the network, its first and last included |
//! | `192.0.2.1-192.0.2.9`, `2001:db8::1-2001:db8::9` | both ends and what lies between |
//! | `192.0.2.1-9` | the same, in the last number |
//! | `fe80::1%eth0`, `fe80::%eth0/120` | link-local addresses, at an interface |
//! | `example.org` | a name, which is the caller's to look up |
//!
//! `192.0.2.5/24` stands for the network that the address is in, as `ip addr` prints it and as every
//! other scanner reads it; [`Hosts::host_bits`] lets the caller say so.
//!
//! In files, blanks and commas separate and `#` starts a comment, to the end of the line.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::hosts::AddrRange;
use super::reserved::{self, Block};

/// One piece of a list of hosts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Item<'a> {
    /// Addresses.
    Hosts(Hosts<'a>),
    /// What may be the name of a host.
    Name(&'a str),
}

/// Addresses as they were written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Hosts<'a> {
    /// From the first to the last.
    pub range: AddrRange,
    /// The interface that link-local addresses were written with.
    pub scope: Option<&'a str>,
    /// The address before the `/` was not the first one of its network: the network was taken.
    pub host_bits: bool,
}

/// What is wrong with the way in which hosts are written, and what to write instead, in one line.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum HostError {
    #[error(
        "there is no host where one belongs: write an address, a range, or a network as in 192.0.2.0/24"
    )]
    Empty,
    #[error("'{0}' is no IPv4 address: it has four numbers from 0 to 255, without leading zeros")]
    BadIpv4(String),
    #[error("'{0}' is no IPv6 address: write it as in 2001:db8::1")]
    BadIpv6(String),
    #[error("'{text}' has a port: write {host}, and the port with -p {port}")]
    Port { text: String, host: String, port: String },
    #[error("'{0}' is a URL: write its host alone, and the port with -p")]
    Url(String),
    #[error(
        "'{text}' has no prefix length from 0 to {most} after the '/': write it as in {example}"
    )]
    BadPrefix { text: String, most: u8, example: &'static str },
    #[error("'{text}' has a netmask: write {instead}")]
    Netmask { text: String, instead: String },
    #[error(
        "'{0}' is a name with a prefix length: write the network by its address, as in 192.0.2.0/24"
    )]
    NamePrefix(String),
    #[error("'{text}' has a placeholder: write {instead}")]
    Placeholder { text: String, instead: String },
    #[error(
        "'{text}' is two ways to write a range at once: write it as in 192.0.2.0/24 or 192.0.2.0-192.0.2.255"
    )]
    PrefixAndRange { text: String },
    #[error("'{0}' needs two ends without blanks between, as in 192.0.2.1-192.0.2.9")]
    OpenRange(String),
    #[error("'{text}' is no range: write both ends as whole addresses, as in {example}")]
    BadRange { text: String, example: &'static str },
    #[error("the range {first}-{last} runs backwards: write {last}-{first}")]
    Backwards { first: IpAddr, last: IpAddr },
    #[error("'{0}' goes from one address family to the other: write a range for each")]
    Mixed(String),
    #[error("'{0}' names two interfaces: sweep them one by one")]
    TwoScopes(String),
    #[error(
        "'{text}' names the interface {scope}, which only link-local addresses need: leave out '%{scope}'"
    )]
    NeedlessScope { text: String, scope: String },
    #[error("'{0}' ends where its interface belongs: write it as in fe80::1%eth0")]
    EmptyScope(String),
    #[error("'{text}' is no host name and no address: it contains '{char}'")]
    BadCharacter { text: String, char: String },
    #[error("'{0}' is not in ASCII: write the name as DNS has it, with xn--")]
    NotAscii(String),
    #[error("a host name has 253 characters at most, and this one has {0}")]
    TooLong(usize),
    #[error("it is no text: write addresses in UTF-8 or ASCII, one to a line")]
    NotText,
    #[error("'{text}' has no host that could answer: {block} is no place for hosts; leave it out")]
    Reserved { text: String, block: &'static Block },
    #[error("'{text}' is an IPv4 address in IPv6 clothes: write {instead}")]
    Mapped { text: String, instead: Ipv4Addr },
}

/// What is wrong in a file of hosts, and where.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("line {line}: {error}")]
pub struct LineError {
    /// Counted from 1.
    pub line: u64,
    /// What is wrong there.
    pub error: HostError,
}

impl Item<'_> {
    /// The same, if something can be sent there; for what is to be left out it need not be asked.
    ///
    /// # Errors
    /// All its addresses are [reserved].
    pub fn to_probe(self) -> Result<Self, HostError> {
        let Self::Hosts(Hosts { range, .. }) = self else { return Ok(self) };
        let Some(block) = reserved::wholly(range) else { return Ok(self) };
        match range.first() {
            IpAddr::V6(addr) if range.last() == range.first() => match addr.to_ipv4_mapped() {
                Some(instead) => Err(HostError::Mapped { text: addr.to_string(), instead }),
                None => Err(HostError::Reserved { text: range.to_string(), block }),
            },
            _ => Err(HostError::Reserved { text: range.to_string(), block }),
        }
    }
}

/// The items of one line of a file, of which `number` is the place counted from 1. The line may end
/// as lines end on any system.
pub fn line(number: u64, bytes: &[u8]) -> impl Iterator<Item = Result<Item<'_>, LineError>> {
    // Comments may be in any encoding.
    let bytes = bytes.split(|byte| *byte == b'#').next().unwrap_or_default();
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let (text, wrong) = match std::str::from_utf8(bytes) {
        // What other systems call text may be in UTF-16.
        Ok(text) if !text.contains('\0') => (text, None),
        _ => ("", Some(Err(HostError::NotText))),
    };
    let pieces = text.split(|char: char| char.is_whitespace() || char == ',');
    let items = pieces.filter(|piece| !piece.is_empty()).map(item).chain(wrong);
    items.map(move |item| item.map_err(|error| LineError { line: number, error }))
}

/// Reads one piece: an address, a network, a range, or what may be a name.
///
/// # Errors
/// [`HostError`], for what cannot be any of them.
pub fn item(text: &str) -> Result<Item<'_>, HostError> {
    // By far the most frequent piece of a long list.
    if let Ok(addr) = text.parse() {
        return Ok(hosts(AddrRange::single(addr), None, false));
    }
    if text.is_empty() {
        return Err(HostError::Empty);
    }
    if text.contains("://") {
        return Err(HostError::Url(shown(text)));
    }
    if let Some(rest) = text.strip_prefix('[') {
        return match rest.split_once(']') {
            Some((inside, "")) if inside.contains(':') => item(inside),
            Some((host, rest)) => match rest.strip_prefix(':') {
                Some(port) => Err(with_port(text, host, port)),
                None => Err(HostError::BadIpv6(shown(text))),
            },
            None => Err(HostError::BadIpv6(shown(text))),
        };
    }
    if let Some((addr, prefix)) = text.split_once('/') {
        return network(text, addr, prefix);
    }
    if let Some(found) = range(text) {
        return found;
    }
    if let Some((addr, scope)) = text.split_once('%')
        && let Ok(addr) = addr.parse::<Ipv6Addr>()
    {
        return scoped(text, AddrRange::single(addr.into()), Some(scope), false);
    }
    match text.split_once(':') {
        Some((_, rest)) if rest.contains(':') => Err(HostError::BadIpv6(shown(text))),
        Some((host, port)) => Err(with_port(text, host, port)),
        None => name(text),
    }
}

const fn hosts(range: AddrRange, scope: Option<&str>, host_bits: bool) -> Item<'_> {
    Item::Hosts(Hosts { range, scope, host_bits })
}

/// Refuses a scope that is empty or of no use.
fn scoped<'a>(
    text: &str,
    range: AddrRange,
    scope: Option<&'a str>,
    host_bits: bool,
) -> Result<Item<'a>, HostError> {
    match scope {
        Some("") => Err(HostError::EmptyScope(shown(text))),
        Some(scope) if !range.needs_scope() => {
            Err(HostError::NeedlessScope { text: shown(text), scope: shown(scope) })
        }
        _ => Ok(hosts(range, scope, host_bits)),
    }
}

fn with_port(text: &str, host: &str, port: &str) -> HostError {
    let host = if host.is_empty() { "the host" } else { host };
    HostError::Port { text: shown(text), host: shown(host), port: shown(port) }
}

/// An address, with the interface that may stand behind it.
fn end(text: &str) -> Option<(IpAddr, Option<&str>)> {
    let (addr, scope) = match text.split_once('%') {
        Some((addr, scope)) if addr.contains(':') => (addr, Some(scope)),
        _ => (text, None),
    };
    Some((addr.parse().ok()?, scope))
}

/// Reads `addr/prefix`.
fn network<'a>(text: &str, addr: &'a str, prefix: &str) -> Result<Item<'a>, HostError> {
    let Some((addr, scope)) = end(addr) else {
        return Err(match item(addr) {
            Ok(Item::Name(_)) => HostError::NamePrefix(shown(text)),
            Ok(Item::Hosts(_)) => HostError::PrefixAndRange { text: shown(text) },
            Err(error) => error,
        });
    };
    let (most, example) = match addr {
        IpAddr::V4(_) => (32, "192.0.2.0/24"),
        IpAddr::V6(_) => (128, "2001:db8::/112"),
    };
    if let (IpAddr::V4(_), Ok(mask)) = (addr, prefix.parse::<Ipv4Addr>()) {
        let ones = mask.to_bits().leading_ones();
        let instead = match mask.to_bits().checked_shl(ones).unwrap_or(0) {
            0 => format!("{addr}/{ones}"),
            _ => "a prefix length, as in 192.0.2.0/24".to_owned(),
        };
        return Err(HostError::Netmask { text: shown(text), instead });
    }
    let digits = !prefix.is_empty() && prefix.bytes().all(|byte| byte.is_ascii_digit());
    let length = prefix.parse().ok().filter(|_| digits);
    match length.and_then(|length| AddrRange::network(addr, length)) {
        Some(range) => scoped(text, range, scope, range.first() != addr),
        None => Err(HostError::BadPrefix { text: shown(text), most, example }),
    }
}

/// Reads `first-last`; absent where `text` is no range. A hyphen may also belong to a name, and to
/// that of an interface.
fn range(text: &str) -> Option<Result<Item<'_>, HostError>> {
    let mut hyphens = text.match_indices('-').map(|(at, _)| (&text[..at], &text[at + 1..]));
    let whole = hyphens.clone().find_map(|(first, last)| Some((end(first)?, end(last)?)));
    if let Some(((first, one), (last, other))) = whole {
        return Some(match (one, other) {
            (Some(one), Some(other)) if one != other => Err(HostError::TwoScopes(shown(text))),
            _ => between(text, first, last)
                .and_then(|range| scoped(text, range, one.or(other), false)),
        });
    }
    let (first, last) = hyphens.next()?;
    if text.contains('%') {
        return None;
    }
    if first.is_empty() || last.is_empty() {
        let addresses = end(first).or_else(|| end(last)).is_some() || text == "-";
        return addresses.then(|| Err(HostError::OpenRange(shown(text))));
    }
    match first.parse::<IpAddr>() {
        Ok(IpAddr::V4(addr)) => {
            let digits = last.bytes().all(|byte| byte.is_ascii_digit());
            let Some(octet) = last.parse::<u8>().ok().filter(|_| digits) else {
                return Some(Err(bad_range(text, "192.0.2.1-192.0.2.9")));
            };
            let [a, b, c, _] = addr.octets();
            let last = Ipv4Addr::new(a, b, c, octet);
            let range = between(text, addr.into(), last.into());
            Some(range.map(|range| hosts(range, None, false)))
        }
        Ok(IpAddr::V6(_)) => Some(Err(bad_range(text, "2001:db8::1-2001:db8::9"))),
        Err(_) if text.contains(':') && end(last).is_some() => {
            Some(Err(bad_range(text, "2001:db8::1-2001:db8::9")))
        }
        // As in 10.0.0-3.1-254, which some tools read.
        Err(_) if is_numeric(text) => Some(Err(bad_range(text, "192.0.2.1-192.0.2.9"))),
        Err(_) => None,
    }
}

fn bad_range(text: &str, example: &'static str) -> HostError {
    HostError::BadRange { text: shown(text), example }
}

fn between(text: &str, first: IpAddr, last: IpAddr) -> Result<AddrRange, HostError> {
    if first.is_ipv4() != last.is_ipv4() {
        return Err(HostError::Mixed(shown(text)));
    }
    AddrRange::new(first, last).ok_or(HostError::Backwards { first, last })
}

/// Whether `text` consists of what only addresses and ranges of IPv4 consist of.
fn is_numeric(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit() || b".-*".contains(&byte))
}

/// Takes what is neither address nor range nor network for a name, if it may be one.
fn name(text: &str) -> Result<Item<'_>, HostError> {
    if let Some(instead) = placeholder(text) {
        return Err(HostError::Placeholder { text: shown(text), instead });
    }
    if is_numeric(text) {
        return Err(HostError::BadIpv4(shown(text)));
    }
    let allowed = |char: char| char.is_ascii_alphanumeric() || ".-_".contains(char);
    match text.chars().find(|char| !allowed(*char)) {
        Some(char) if char.is_alphanumeric() => Err(HostError::NotAscii(shown(text))),
        Some(char) => Err(HostError::BadCharacter {
            text: shown(text),
            char: shown(char.encode_utf8(&mut [0; 4])),
        }),
        None if text.len() > 253 => Err(HostError::TooLong(text.len())),
        None => Ok(Item::Name(text)),
    }
}

/// The network that `10.0.*` or `10.0.0.*` means.
fn placeholder(text: &str) -> Option<String> {
    let (known, _) = text.split_once('*')?;
    let mut octets = [0_u8; 4];
    let mut prefix = 0;
    for part in known.strip_suffix('.').filter(|_| is_numeric(text))?.split('.') {
        *octets.get_mut(prefix / 8)? = part.parse().ok()?;
        prefix += 8;
    }
    (prefix < 32).then(|| format!("{}/{prefix}", Ipv4Addr::from(octets)))
}

/// What the user wrote, so that it keeps to its line and does not fill the screen.
pub(super) fn shown(text: &str) -> String {
    const MOST: usize = 80;
    let mut shown = String::new();
    for (count, char) in text.chars().enumerate() {
        if count == MOST {
            shown.push('…');
            break;
        }
        match char {
            // Directions change how a line reads as a control character does.
            '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
                shown.extend(char.escape_unicode());
            }
            _ if char.is_control() => shown.extend(char.escape_unicode()),
            _ => shown.push(char),
        }
    }
    shown
}

#[cfg(test)]
#[path = "parse_tests.rs"]
mod tests;

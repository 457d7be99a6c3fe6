//! The peer kernel's socket table and counters, as /proc shows them inside a namespace.

use crate::namespace::Namespace;
use anyhow::{Context, Result};
use std::fs;

/// One line of `/proc/net/tcp` or `/proc/net/tcp6`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Entry {
    pub(crate) local_port: u16,
    pub(crate) remote_port: u16,
    pub(crate) state: KernelState,
}

/// Linux's states, by the names of `include/net/tcp_states.h`. `NEW_SYN_RECV`, the state of a
/// request socket, is shown to users as `SYN_RECV`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum KernelState {
    Established = 1,
    SynSent,
    SynRecv,
    FinWait1,
    FinWait2,
    TimeWait,
    Close,
    CloseWait,
    LastAck,
    Listen,
    Closing,
}

impl KernelState {
    const ALL: [Self; 11] = [
        Self::Established,
        Self::SynSent,
        Self::SynRecv,
        Self::FinWait1,
        Self::FinWait2,
        Self::TimeWait,
        Self::Close,
        Self::CloseWait,
        Self::LastAck,
        Self::Listen,
        Self::Closing,
    ];

    fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|state| *state as u8 == number)
    }

    /// From the name in a trace: `TCP_FIN_WAIT1`.
    pub(crate) fn from_trace(name: &str) -> Option<Self> {
        Some(match name {
            "TCP_ESTABLISHED" => Self::Established,
            "TCP_SYN_SENT" => Self::SynSent,
            "TCP_SYN_RECV" | "TCP_NEW_SYN_RECV" => Self::SynRecv,
            "TCP_FIN_WAIT1" => Self::FinWait1,
            "TCP_FIN_WAIT2" => Self::FinWait2,
            "TCP_TIME_WAIT" => Self::TimeWait,
            "TCP_CLOSE" => Self::Close,
            "TCP_CLOSE_WAIT" => Self::CloseWait,
            "TCP_LAST_ACK" => Self::LastAck,
            "TCP_LISTEN" => Self::Listen,
            "TCP_CLOSING" => Self::Closing,
            _ => return None,
        })
    }

    /// The name of RFC 9293.
    pub(crate) const fn rfc(self) -> &'static str {
        match self {
            Self::Established => "ESTABLISHED",
            Self::SynSent => "SYN-SENT",
            Self::SynRecv => "SYN-RECEIVED",
            Self::FinWait1 => "FIN-WAIT-1",
            Self::FinWait2 => "FIN-WAIT-2",
            Self::TimeWait => "TIME-WAIT",
            Self::Close => "CLOSED",
            Self::CloseWait => "CLOSE-WAIT",
            Self::LastAck => "LAST-ACK",
            Self::Listen => "LISTEN",
            Self::Closing => "CLOSING",
        }
    }
}

/// Both socket tables of a namespace.
pub(crate) fn table(namespace: &Namespace) -> Result<Vec<Entry>> {
    namespace.within(own_table)
}

/// Both socket tables of this thread's namespace.
pub(crate) fn own_table() -> Result<Vec<Entry>> {
    let mut entries = Vec::new();
    for name in ["tcp", "tcp6"] {
        // A kernel without IPv6 has no tcp6.
        let text = fs::read_to_string(format!("/proc/thread-self/net/{name}")).unwrap_or_default();
        entries.extend(text.lines().skip(1).filter_map(parse));
    }
    Ok(entries)
}

fn parse(line: &str) -> Option<Entry> {
    let mut words = line.split_whitespace().skip(1);
    let port = |word: &str| u16::from_str_radix(word.rsplit_once(':')?.1, 16).ok();
    let local_port = port(words.next()?)?;
    let remote_port = port(words.next()?)?;
    let state = KernelState::from_number(u8::from_str_radix(words.next()?, 16).ok()?)?;
    Some(Entry { local_port, remote_port, state })
}

/// The state of the server's end of one connection: `None` where the kernel knows nothing of it.
pub(crate) fn state_of(
    namespace: &Namespace,
    server_port: u16,
    client_port: u16,
) -> Result<Option<KernelState>> {
    Ok(table(namespace)?
        .into_iter()
        .find(|entry| entry.local_port == server_port && entry.remote_port == client_port)
        .map(|entry| entry.state))
}

/// A counter of `/proc/net/netstat` or `/proc/net/snmp`, by group and name: `TcpExt`,
/// `EmbryonicRsts`.
pub(crate) fn counter(namespace: &Namespace, group: &str, name: &str) -> Result<u64> {
    namespace.within(|| {
        let file = if group.ends_with("Ext") { "netstat" } else { "snmp" };
        let text = fs::read_to_string(format!("/proc/thread-self/net/{file}"))?;
        let mut lines = text.lines().filter_map(|line| line.strip_prefix(group)?.strip_prefix(':'));
        let names = lines.next().with_context(|| format!("no counters of {group}"))?;
        let values = lines.next().with_context(|| format!("no values of {group}"))?;
        let position = names.split_whitespace().position(|word| word == name);
        position
            .and_then(|index| values.split_whitespace().nth(index)?.parse().ok())
            .with_context(|| format!("no counter {group}.{name}"))
    })
}

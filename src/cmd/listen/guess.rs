//! What system a client may be, by its SYN. A suspicion: all of it can be set by hand, and a proxy,
//! a NAT or a firewall writes its own.

use crate::event::Answerer;
use crate::wire::{Packet, TcpOption};

/// The kinds of option in a SYN, as p0f and its family write them down.
fn order(options: &[TcpOption]) -> String {
    let names = options.iter().map(|option| match option {
        TcpOption::Mss(_) => "M",
        TcpOption::WindowScale(_) => "W",
        TcpOption::SackPermitted => "S",
        TcpOption::Timestamps { .. } => "T",
        TcpOption::Nop => "N",
        TcpOption::EndOfList(_) => "E",
        TcpOption::FastOpen(_) => "F",
        _ => "?",
    });
    names.collect()
}

/// Orders of options with the initial TTL that goes with them. Where a system asks for a Fast Open
/// cookie, the option stands at the end.
const KNOWN: &[(&str, u8, &str)] = &[
    ("MSTNW", 64, "Linux or Android"),
    ("MNNSNW", 64, "Linux without timestamps"),
    ("MNWNNS", 128, "Windows"),
    ("MNWSNN", 128, "Windows"),
    ("MNWNNTNNS", 128, "Windows"),
    ("MNWST", 128, "Windows"),
    ("MNWNNTSE", 64, "macOS or iOS"),
    ("MNWNNTSEE", 64, "macOS or iOS"),
    ("MNWST", 64, "FreeBSD"),
    ("MNNSNWNNT", 64, "OpenBSD"),
    ("MNWSTNN", 64, "NetBSD"),
    ("STMNW", 255, "Solaris or illumos"),
    ("MS", 255, "lwIP"),
    ("M", 255, "lwIP"),
];

/// What sent this SYN, maybe.
pub(super) fn suspect(syn: &Packet) -> Option<&'static str> {
    let segment = &syn.segment;
    let initial = Answerer::new(syn.ip.src, syn.ip.ttl).initial_ttl;
    let order = order(&segment.options);
    // No system of today opens like these; scanners that build their SYNs by hand do.
    match (order.as_str(), segment.window) {
        ("", 65_535) => return Some("a scanner like ZMap"),
        ("", _) => return Some("a SYN made by hand: it has no options"),
        ("M", 1024) => return Some("a scanner like Nmap or masscan"),
        _ => {}
    }
    let order = order.trim_end_matches(['F', 'N', 'E']);
    let matches = |(known, ttl, _): &&(&str, u8, &str)| {
        known.trim_end_matches(['N', 'E']) == order && *ttl == initial
    };
    KNOWN.iter().find(matches).map(|(_, _, name)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Flags, IpHeader, Segment};

    const TS: TcpOption = TcpOption::Timestamps { value: 1, echo: 0 };

    fn syn(ttl: u8, window: u16, options: Vec<TcpOption>) -> Packet {
        let (src, dst) = ("192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap());
        let ip = IpHeader { src, dst, ttl, tos: 0, id: 1, dont_fragment: true, flow_label: 0 };
        Packet { ip, segment: Segment { flags: Flags::SYN, window, options, ..Segment::default() } }
    }

    #[test]
    fn order_and_ttl_make_a_suspicion() {
        use TcpOption::{Mss, Nop, SackPermitted, WindowScale};
        let linux = || vec![Mss(1460), SackPermitted, TS, Nop, WindowScale(7)];
        assert_eq!(suspect(&syn(64, 64240, linux())), Some("Linux or Android"));
        assert_eq!(suspect(&syn(53, 64240, linux())), Some("Linux or Android"), "11 hops away");
        assert_eq!(suspect(&syn(128, 64240, linux())), None, "it does not fit together");
        let mut asks = linux();
        asks.extend([TcpOption::FastOpen(vec![]), Nop, Nop]);
        assert_eq!(suspect(&syn(64, 64240, asks)), Some("Linux or Android"));
        let windows = vec![Mss(1460), Nop, WindowScale(8), Nop, Nop, SackPermitted];
        assert_eq!(suspect(&syn(128, 64240, windows)), Some("Windows"));
    }

    #[test]
    fn what_no_system_sends_is_a_scanner_and_the_unknown_stays_unknown() {
        assert_eq!(suspect(&syn(255, 65_535, vec![])), Some("a scanner like ZMap"));
        let nmap = vec![TcpOption::Mss(1460)];
        assert_eq!(suspect(&syn(55, 1024, nmap)), Some("a scanner like Nmap or masscan"));
        assert_eq!(suspect(&syn(64, 1, vec![TS, TcpOption::Mss(9)])), None);
    }
}

//! The Internet checksum over a TCP segment and its pseudo-header (RFC 9293 §3.1).

use std::net::IpAddr;

use pnet::packet::ip::IpNextHeaderProtocols::Tcp;
use pnet::util;

/// Where the checksum lies in a TCP header, in 16-bit words.
const CHECKSUM_WORD: usize = 8;

/// The checksum that a TCP segment from `src` to `dst` must carry.
///
/// The checksum field's own two bytes are taken as zero, whatever they hold. Addresses of two
/// families have no common pseudo-header: for them the sum is over the segment alone, which no
/// receiver accepts.
#[must_use]
pub fn tcp(src: IpAddr, dst: IpAddr, segment: &[u8]) -> u16 {
    match (src, dst) {
        (IpAddr::V4(src), IpAddr::V4(dst)) => {
            util::ipv4_checksum(segment, CHECKSUM_WORD, &[], &src, &dst, Tcp)
        }
        (IpAddr::V6(src), IpAddr::V6(dst)) => {
            util::ipv6_checksum(segment, CHECKSUM_WORD, &[], &src, &dst, Tcp)
        }
        _ => util::checksum(segment, CHECKSUM_WORD),
    }
}

/// Whether the segment's checksum field holds what it must (MUST-3).
#[must_use]
pub fn tcp_is_right(src: IpAddr, dst: IpAddr, segment: &[u8]) -> bool {
    segment.len() >= 2 * CHECKSUM_WORD + 2
        && segment[2 * CHECKSUM_WORD..2 * CHECKSUM_WORD + 2] == tcp(src, dst, segment).to_be_bytes()
}

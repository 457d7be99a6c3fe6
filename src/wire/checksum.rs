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
///
/// In one's complement 0xffff is zero as well (RFC 1071 §2), and Linux writes it where the sum is zero:
/// whoever compares bit by bit loses one segment of 65,536.
#[must_use]
pub fn tcp_is_right(src: IpAddr, dst: IpAddr, segment: &[u8]) -> bool {
    let Some(&[high, low]) = segment.get(2 * CHECKSUM_WORD..2 * CHECKSUM_WORD + 2) else {
        return false;
    };
    let zero = |sum: u16| if sum == 0xffff { 0 } else { sum };
    zero(u16::from_be_bytes([high, low])) == zero(tcp(src, dst, segment))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_zeros_of_ones_complement_are_right_where_the_sum_is_zero() {
        for (src, dst) in [("192.0.2.1", "192.0.2.2"), ("2001:db8::1", "2001:db8::2")] {
            let (src, dst) = (src.parse().unwrap(), dst.parse().unwrap());
            let mut segment = vec![7; 24];
            // What is missing to zero goes into the last word.
            segment[22..].fill(0);
            let rest = tcp(src, dst, &segment);
            segment[22..].copy_from_slice(&rest.to_be_bytes());
            assert_eq!(tcp(src, dst, &segment), 0);
            for (field, right) in [(0, true), (0xffff, true), (1, false), (0xfffe, false)] {
                segment[16..18].copy_from_slice(&u16::to_be_bytes(field));
                assert_eq!(tcp_is_right(src, dst, &segment), right, "{field:#06x} from {src}");
            }
        }
    }
}

//! What must hold for any bytes whatever: shared by the property tests, the corpus and the fuzz
//! targets.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // they are what fails a test
#![allow(dead_code)] // not every user of this file uses all of it

pub(crate) mod listener;
pub(crate) mod sweep;

use std::net::IpAddr;

use shakedown::wire::{
    IcmpError, IpHeader, IpPayload, Segment, TcpOption, checksum, emit_options, parse_ip,
    parse_options,
};

/// An IP header from `src` to `dst`.
pub(crate) fn header(src: &str, dst: &str) -> IpHeader {
    let (src, dst): (IpAddr, IpAddr) = (src.parse().unwrap(), dst.parse().unwrap());
    let dont_fragment = true;
    IpHeader { src, dst, ttl: 64, tos: 0, id: 0, dont_fragment, flow_label: 0 }
}

/// A header of each family.
pub(crate) fn headers() -> [IpHeader; 2] {
    [header("192.0.2.1", "198.51.100.7"), header("2001:db8::1", "2001:db8::2")]
}

/// Options read and written again are the same bytes, padded with zeros to whole words.
pub(crate) fn options(bytes: &[u8]) -> Vec<TcpOption> {
    let options = parse_options(bytes);
    let emitted = emit_options(&options);
    let (same, padding) = emitted.split_at(bytes.len());
    assert_eq!(same, bytes);
    assert!(padding.len() < 4 && padding.iter().all(|byte| *byte == 0), "{padding:?}");
    assert_eq!(options.iter().map(TcpOption::len).sum::<usize>(), bytes.len());
    for option in &options {
        assert!(!option.to_string().is_empty());
    }
    options
}

/// A segment read and written again is the same bytes, but for a checksum that is now right.
pub(crate) fn segment(bytes: &[u8], header: &IpHeader) -> Result<Segment, String> {
    let segment = Segment::parse(bytes).map_err(|error| error.to_string())?;
    let emitted = segment.emit(header.src, header.dst).unwrap();
    assert!(checksum::tcp_is_right(header.src, header.dst, &emitted));
    let mut expected = bytes.to_vec();
    expected[16..18].copy_from_slice(&emitted[16..18]);
    assert_eq!(emitted, expected);
    assert!(segment.to_string().contains(" win "));
    Ok(segment)
}

/// An ICMP message is an error about a segment, something else, or cut short; reading it says which.
pub(crate) fn icmp(bytes: &[u8], header: &IpHeader) -> Result<Option<IcmpError>, String> {
    let error = IcmpError::parse(header, bytes).map_err(|error| error.to_string())?;
    if let Some(error) = &error {
        assert!(error.to_string().contains(error.describe()));
        assert_eq!(error.quote.src.is_ipv4(), error.quote.dst.is_ipv4());
    }
    Ok(error)
}

/// A packet is read without a panic down to its last layer; the result in one line.
pub(crate) fn packet(bytes: &[u8]) -> String {
    let (header, payload) = match parse_ip(bytes) {
        Ok(read) => read,
        Err(error) => return format!("refused: {error}"),
    };
    let within = match payload {
        IpPayload::Tcp(inner) => {
            let sum = checksum::tcp_is_right(header.src, header.dst, inner);
            match segment(inner, &header) {
                Ok(segment) if sum => segment.to_string(),
                Ok(segment) => format!("{segment} (bad checksum)"),
                Err(error) => format!("TCP refused: {error}"),
            }
        }
        IpPayload::Icmp(inner) => match icmp(inner, &header) {
            Ok(Some(error)) => format!(
                "{error} {:?} about {}:{} > {}:{} seq {}",
                error.kind,
                error.quote.src,
                error.quote.src_port,
                error.quote.dst,
                error.quote.dst_port,
                error.quote.seq
            ),
            Ok(None) => "ICMP of no concern".to_owned(),
            Err(error) => format!("ICMP refused: {error}"),
        },
        IpPayload::Fragment => "fragment".to_owned(),
        IpPayload::Other(protocol) => format!("protocol {protocol}"),
    };
    format!("{} > {} ttl {}: {within}", header.src, header.dst, header.ttl)
}

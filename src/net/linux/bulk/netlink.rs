//! Asks the kernel about routes and neighbours.

use std::io;

use netlink_packet_core::{
    NLM_F_DUMP, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload,
};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};

/// Everything that the kernel lists in answer to `request`.
pub(super) fn dump(request: RouteNetlinkMessage) -> io::Result<Vec<RouteNetlinkMessage>> {
    let mut header = NetlinkHeader::default();
    header.flags = NLM_F_REQUEST | NLM_F_DUMP;
    let mut message = NetlinkMessage::new(header, request.into());
    message.finalize();
    let mut bytes = vec![0; message.buffer_len()];
    message.serialize(&mut bytes);
    let socket = Socket::new(NETLINK_ROUTE)?;
    socket.connect(&SocketAddr::new(0, 0))?;
    socket.send(&bytes, 0)?;
    let mut listed = Vec::new();
    loop {
        let (part, _) = socket.recv_from_full()?;
        if unpack(&part, &mut listed)? {
            return Ok(listed);
        }
    }
}

/// Appends the messages of one datagram to `listed`; says whether the list ends with it.
///
/// A message that cannot be read is left out: a newer kernel may list what is not known here.
pub(super) fn unpack(mut bytes: &[u8], listed: &mut Vec<RouteNetlinkMessage>) -> io::Result<bool> {
    const HEADER: usize = 16;
    while let Some(length) = bytes.first_chunk().map(|word| u32::from_ne_bytes(*word)) {
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        if length < HEADER || length > bytes.len() {
            break;
        }
        if let Ok(message) = NetlinkMessage::<RouteNetlinkMessage>::deserialize(&bytes[..length]) {
            match message.payload {
                NetlinkPayload::InnerMessage(inner) => listed.push(inner),
                NetlinkPayload::Done(_) => return Ok(true),
                NetlinkPayload::Error(error) if error.code.is_some() => {
                    return Err(io::Error::from_raw_os_error(error.raw_code().saturating_abs()));
                }
                _ => {}
            }
        }
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use netlink_packet_route::link::LinkMessage;

    use super::*;

    #[test]
    fn every_host_lists_its_interfaces() {
        let request = RouteNetlinkMessage::GetLink(LinkMessage::default());
        let listed = dump(request).unwrap();
        assert!(
            listed.iter().any(
                |it| matches!(it, RouteNetlinkMessage::NewLink(link) if link.header.index == 1)
            )
        );
    }

    #[test]
    fn what_is_cut_ends_the_reading() {
        let mut listed = Vec::new();
        for bytes in [&[][..], &[1, 0, 0, 0], &[255; 20], &[0; 40]] {
            assert!(!unpack(bytes, &mut listed).unwrap());
        }
        assert!(listed.is_empty());
    }
}

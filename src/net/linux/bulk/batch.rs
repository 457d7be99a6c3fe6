//! Frames that wait for one `sendmmsg`: their bytes, their destinations, and the arrays that the
//! system call reads, all allocated once.
#![allow(unsafe_code)]

use std::io;
use std::mem::{size_of, zeroed};
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr;

use crate::net::bulk::SLOT;

/// Where a frame goes, beside what it says itself.
#[derive(Clone, Copy, Debug)]
pub(super) enum Destination {
    /// Where the socket is bound to.
    Bound,
    /// An address, whose way the kernel finds.
    Address(SocketAddr),
    /// Through the interface with this index, as a packet of this `ETH_P_*` protocol.
    Link(u32, u16),
}

#[derive(Clone, Copy)]
#[repr(C)]
union Address {
    v4: libc::sockaddr_in,
    v6: libc::sockaddr_in6,
    link: libc::sockaddr_ll,
}

/// A queue of frames: filled at the tail, sent from the head, and begun anew when it is empty.
pub(super) struct Batch {
    slots: Box<[u8]>,
    parts: Box<[libc::iovec]>,
    addresses: Box<[Address]>,
    messages: Box<[libc::mmsghdr]>,
    head: usize,
    tail: usize,
}

// SAFETY: the pointers of `parts` and `messages` lead into the other boxes of the same value, whose
// contents do not move with it, and nobody else has them.
unsafe impl Send for Batch {}

impl Batch {
    /// Room for `frames` of them.
    pub(super) fn new(frames: usize) -> Self {
        let mut slots = vec![0; frames * SLOT].into_boxed_slice();
        let part = |slot: &mut [u8]| libc::iovec { iov_base: slot.as_mut_ptr().cast(), iov_len: 0 };
        let mut parts: Box<[_]> = slots.chunks_exact_mut(SLOT).map(part).collect();
        // SAFETY: integers, for which zero is a value.
        let mut addresses = vec![unsafe { zeroed::<Address>() }; frames].into_boxed_slice();
        let message = |(part, address): (&mut libc::iovec, &mut Address)| {
            // SAFETY: integers and pointers, for which zero is a value.
            let mut message: libc::mmsghdr = unsafe { zeroed() };
            message.msg_hdr.msg_iov = ptr::from_mut(part);
            message.msg_hdr.msg_iovlen = 1;
            message.msg_hdr.msg_name = ptr::from_mut(address).cast();
            message
        };
        let messages = parts.iter_mut().zip(&mut addresses).map(message).collect();
        Self { slots, parts, addresses, messages, head: 0, tail: 0 }
    }

    /// Frames that wait.
    pub(super) const fn len(&self) -> usize {
        self.tail - self.head
    }

    /// Room for the next frame, unless there is none.
    pub(super) fn slot(&mut self) -> Option<&mut [u8]> {
        let at = self.tail * SLOT;
        self.slots.get_mut(at..at + SLOT)
    }

    /// Queues what the slot begins with.
    pub(super) fn commit(&mut self, len: usize, to: Destination) {
        let index = self.tail;
        let Some(message) = self.messages.get_mut(index) else { return };
        self.parts[index].iov_len = len.min(SLOT);
        message.msg_hdr.msg_namelen = write(&mut self.addresses[index], to);
        // No name at all where the length is zero: a packet socket takes an empty one amiss.
        message.msg_hdr.msg_name = match message.msg_hdr.msg_namelen {
            0 => ptr::null_mut(),
            _ => ptr::from_mut(&mut self.addresses[index]).cast(),
        };
        self.tail += 1;
    }

    /// The frame that goes `nth` from now.
    pub(super) fn frame(&self, nth: usize) -> &[u8] {
        let index = self.head + nth;
        if index >= self.tail {
            return &[];
        }
        &self.slots[index * SLOT..][..self.parts[index].iov_len]
    }

    /// Hands the next `count` frames to the socket, without waiting, and says how many it took: one
    /// or more. What it did not take stays.
    pub(super) fn send(&mut self, fd: BorrowedFd<'_>, count: usize) -> io::Result<usize> {
        let end = self.head.saturating_add(count).min(self.tail);
        let waiting = &mut self.messages[self.head..end];
        let length = libc::c_uint::try_from(waiting.len()).unwrap_or(libc::c_uint::MAX);
        // SAFETY: `waiting` is that many headers; each points at one part and an address in boxes
        // of ours, and the part at `iov_len` bytes or fewer of a slot. The kernel writes nothing
        // but the headers' `msg_len`.
        let sent = unsafe {
            libc::sendmmsg(fd.as_raw_fd(), waiting.as_mut_ptr(), length, libc::MSG_DONTWAIT)
        };
        let Ok(sent) = usize::try_from(sent) else { return Err(io::Error::last_os_error()) };
        self.advance(sent);
        Ok(sent)
    }

    /// Gives up the frame at the head.
    pub(super) fn skip(&mut self) {
        self.advance(1);
    }

    fn advance(&mut self, by: usize) {
        self.head = (self.head + by).min(self.tail);
        if self.head == self.tail {
            (self.head, self.tail) = (0, 0);
        }
    }
}

/// Writes a destination; says how long it is.
fn write(address: &mut Address, to: Destination) -> libc::socklen_t {
    let length = match to {
        Destination::Bound => 0,
        Destination::Address(SocketAddr::V4(v4)) => {
            // SAFETY: integers, for which zero is a value.
            let mut name: libc::sockaddr_in = unsafe { zeroed() };
            name.sin_family = libc::AF_INET as libc::sa_family_t;
            name.sin_addr.s_addr = u32::from_ne_bytes(v4.ip().octets());
            address.v4 = name;
            size_of::<libc::sockaddr_in>()
        }
        Destination::Address(SocketAddr::V6(v6)) => {
            // SAFETY: integers, for which zero is a value.
            let mut name: libc::sockaddr_in6 = unsafe { zeroed() };
            name.sin6_family = libc::AF_INET6 as libc::sa_family_t;
            name.sin6_addr.s6_addr = v6.ip().octets();
            name.sin6_scope_id = v6.scope_id();
            address.v6 = name;
            size_of::<libc::sockaddr_in6>()
        }
        Destination::Link(index, protocol) => {
            // SAFETY: integers, for which zero is a value.
            let mut name: libc::sockaddr_ll = unsafe { zeroed() };
            name.sll_family = libc::AF_PACKET as u16;
            name.sll_protocol = protocol.to_be();
            name.sll_ifindex = index.cast_signed();
            address.link = name;
            size_of::<libc::sockaddr_ll>()
        }
    };
    libc::socklen_t::try_from(length).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;
    use std::os::fd::AsFd;

    use super::*;

    fn put(batch: &mut Batch, bytes: &[u8], to: Destination) {
        batch.slot().unwrap()[..bytes.len()].copy_from_slice(bytes);
        batch.commit(bytes.len(), to);
    }

    #[test]
    fn frames_leave_in_order_each_to_its_address() {
        let [one, other] = [(); 2].map(|()| UdpSocket::bind("127.0.0.1:0").unwrap());
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        // The port comes from the name; raw sockets take none, so the test writes it by hand.
        let mut batch = Batch::new(3);
        for (text, to) in [("a", &one), ("bb", &other), ("ccc", &one)] {
            let to = to.local_addr().unwrap();
            put(&mut batch, text.as_bytes(), Destination::Address(to));
            let index = batch.tail - 1;
            batch.addresses[index].v4.sin_port = to.port().to_be();
        }
        assert!(batch.slot().is_none(), "full");
        assert_eq!((batch.len(), batch.frame(1), batch.frame(3)), (3, &b"bb"[..], &[][..]));
        assert_eq!(batch.send(socket.as_fd(), 2).unwrap(), 2);
        assert_eq!(batch.len(), 1);
        assert!(batch.slot().is_none(), "no room before all have left");
        // As many as there are, also when the first have left already.
        assert_eq!(batch.send(socket.as_fd(), usize::MAX).unwrap(), 1);
        assert!(batch.slot().is_some());
        let mut buffer = [0; 8];
        for (receiver, text) in [(&one, "a"), (&other, "bb"), (&one, "ccc")] {
            let len = receiver.recv(&mut buffer).unwrap();
            assert_eq!(&buffer[..len], text.as_bytes());
        }
    }

    #[test]
    fn what_is_refused_stays_until_it_is_skipped() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let mut batch = Batch::new(2);
        put(&mut batch, b"no address", Destination::Bound);
        assert_eq!(
            batch.send(socket.as_fd(), 1).unwrap_err().raw_os_error(),
            Some(libc::EDESTADDRREQ)
        );
        assert_eq!(batch.frame(0), b"no address");
        batch.skip();
        assert_eq!(batch.len(), 0);
    }
}

//! The control messages that come with a packet: its stamps, its checksum's status, its key.
//!
//! Read as bytes in the kernel's own layout, so that no pointer is followed.

use std::mem::size_of;

/// `struct cmsghdr`: its whole length, level and type.
const HEADER: usize = size_of::<usize>() + 8;
/// `SO_EE_ORIGIN_TIMESTAMPING`: an error that is none, but a stamp.
const ORIGIN_TIMESTAMPING: u8 = 4;
/// `SCM_TSTAMP_SND`: the stamp of leaving, by the driver or the hardware.
const STAMP_OF_SENDING: u32 = 0;

/// One control message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Message<'a> {
    /// `cmsg_level`.
    pub(super) level: i32,
    /// `cmsg_type`.
    pub(super) kind: i32,
    /// What it says.
    pub(super) data: &'a [u8],
}

/// The control messages in what `recvmsg` has filled in.
pub(super) struct Messages<'a>(pub(super) &'a [u8]);

impl<'a> Iterator for Messages<'a> {
    type Item = Message<'a>;

    fn next(&mut self) -> Option<Message<'a>> {
        let rest = self.0;
        let length = usize::from_ne_bytes(*rest.first_chunk()?);
        let word = |at: usize| Some(i32::from_ne_bytes(*rest.get(at..)?.first_chunk()?));
        let (level, kind) = (word(size_of::<usize>())?, word(size_of::<usize>() + 4)?);
        // One that was cut for want of room ends the list.
        let data = rest.get(HEADER..length)?;
        self.0 = rest.get(length.next_multiple_of(size_of::<usize>())..).unwrap_or_default();
        Some(Message { level, kind, data })
    }
}

/// The stamps in an `SCM_TIMESTAMPING`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Stamps {
    /// Nanoseconds of `CLOCK_REALTIME`.
    pub(super) software: Option<u64>,
    /// Nanoseconds of the interface's own clock.
    pub(super) hardware: Option<u64>,
}

impl Stamps {
    /// Three `timespec`: software, one that is no longer used, hardware.
    pub(super) fn read(data: &[u8]) -> Self {
        let stamp = |index| nanos(data.get(index * size_of::<libc::timespec>()..)?);
        Self { software: stamp(0), hardware: stamp(2) }
    }
}

/// The kernel leaves a stamp that it did not take at zero.
fn nanos(timespec: &[u8]) -> Option<u64> {
    let word = |at: usize| {
        let bytes = timespec.get(at..)?.first_chunk()?;
        u64::try_from(libc::c_long::from_ne_bytes(*bytes)).ok()
    };
    let (seconds, nanos) = (word(0)?, word(size_of::<libc::c_long>())?);
    (seconds != 0 || nanos != 0).then(|| seconds.saturating_mul(1_000_000_000) + nanos)
}

/// The key of the packet that a stamp in an error queue belongs to, by the `sock_extended_err` that
/// comes with it. `None` for an error that is no stamp of sending.
pub(super) fn key(message: Message<'_>) -> Option<u32> {
    match (message.level, message.kind) {
        (libc::SOL_IP, libc::IP_RECVERR) | (libc::SOL_IPV6, libc::IPV6_RECVERR) => {}
        _ => return None,
    }
    let word = |at: usize| Some(u32::from_ne_bytes(*message.data.get(at..)?.first_chunk()?));
    let is_stamp = word(0)? == libc::ENOMSG.cast_unsigned()
        && *message.data.get(4)? == ORIGIN_TIMESTAMPING
        && word(8)? == STAMP_OF_SENDING;
    is_stamp.then_some(word(12)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A control message as the kernel lays it out, with its padding.
    fn message(level: i32, kind: i32, data: &[u8]) -> Vec<u8> {
        let mut bytes = (HEADER + data.len()).to_ne_bytes().to_vec();
        bytes.extend(level.to_ne_bytes());
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(data);
        bytes.resize(bytes.len().next_multiple_of(size_of::<usize>()), 0xee);
        bytes
    }

    fn times(times: [(libc::c_long, libc::c_long); 3]) -> Vec<u8> {
        times.iter().flat_map(|(s, ns)| [s.to_ne_bytes(), ns.to_ne_bytes()].concat()).collect()
    }

    fn error(errno: i32, origin: u8, info: u32, key: u32) -> Vec<u8> {
        let mut bytes = errno.to_ne_bytes().to_vec();
        bytes.extend([origin, 0, 0, 0]);
        bytes.extend(info.to_ne_bytes());
        bytes.extend(key.to_ne_bytes());
        // The address of whoever caused it, which nobody did.
        bytes.extend([0; 16]);
        bytes
    }

    #[test]
    fn each_message_is_found_whatever_the_length_of_those_before_it() {
        let bytes = [message(1, 2, &[9]), message(3, 4, &[]), message(5, 6, &[7; 13])].concat();
        let found: Vec<_> = Messages(&bytes).collect();
        let expected = [(1, 2, &[9][..]), (3, 4, &[]), (5, 6, &[7; 13])]
            .map(|(level, kind, data)| Message { level, kind, data });
        assert_eq!(found, expected);
    }

    #[test]
    fn cut_or_senseless_lengths_end_the_list() {
        let whole = [message(1, 2, &[9; 8]), message(3, 4, &[8; 8])].concat();
        for cut in 0..whole.len() {
            let found = Messages(&whole[..cut]).count();
            assert_eq!(found, usize::from(cut >= HEADER + 8), "cut to {cut}");
        }
        for length in [0, HEADER - 1, usize::MAX] {
            let mut bytes = whole.clone();
            bytes[..size_of::<usize>()].copy_from_slice(&length.to_ne_bytes());
            assert_eq!(Messages(&bytes).count(), 0, "a length of {length}");
        }
    }

    #[test]
    fn a_stamp_that_was_not_taken_is_absent_and_not_1970() {
        let both = times([(1, 2), (0, 0), (3, 4)]);
        let stamps = Stamps { software: Some(1_000_000_002), hardware: Some(3_000_000_004) };
        assert_eq!(Stamps::read(&both), stamps);
        assert_eq!(Stamps::read(&times([(0, 0); 3])), Stamps::default());
        let software = Stamps { hardware: None, ..stamps };
        assert_eq!(Stamps::read(&times([(1, 2), (0, 0), (0, 0)])), software);
        assert_eq!(Stamps::read(&both[..20]), software, "too short for three");
        assert_eq!(Stamps::read(&times([(-1, 2), (0, 0), (0, 0)])), Stamps::default());
        // A free-running clock begins at zero.
        let early = times([(0, 0), (0, 0), (0, 5)]);
        assert_eq!(Stamps::read(&early).hardware, Some(5));
    }

    #[test]
    fn a_key_comes_with_a_stamp_of_sending_and_with_nothing_else() {
        let of =
            |level, kind, data: &[u8]| Messages(&message(level, kind, data)).next().and_then(key);
        let stamp = error(libc::ENOMSG, 4, 0, 0xfeed_beef);
        assert_eq!(of(libc::SOL_IP, libc::IP_RECVERR, &stamp), Some(0xfeed_beef));
        assert_eq!(of(libc::SOL_IPV6, libc::IPV6_RECVERR, &stamp), Some(0xfeed_beef));
        assert_eq!(of(libc::SOL_IP, libc::IP_TTL, &stamp), None);
        let icmp = error(libc::ECONNREFUSED, 2, 0, 1);
        assert_eq!(of(libc::SOL_IP, libc::IP_RECVERR, &icmp), None);
        let queued = error(libc::ENOMSG, 4, 1, 1);
        assert_eq!(of(libc::SOL_IP, libc::IP_RECVERR, &queued), None, "SCM_TSTAMP_SCHED");
        assert_eq!(of(libc::SOL_IP, libc::IP_RECVERR, &stamp[..15]), None);
    }
}

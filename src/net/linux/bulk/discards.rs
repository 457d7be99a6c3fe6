//! What an interface dropped of what it was given to send.
//!
//! Past the queueing discipline a driver may take a frame and drop it without a word to whoever sent
//! it, as veth does when the far end's ring is full. Only its counter tells. It is read from
//! `/proc/net/dev`, which needs no privilege, no lock of the kernel's that others wait for, and shows
//! the network namespace of whoever opened it.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use crate::net::bulk::Discards;

/// Lines of some 120 bytes: 500 interfaces.
const ROOM: usize = 1 << 16;
/// Columns before that of what was dropped in sending: eight of receiving, and bytes, packets, errors.
const COLUMN: usize = 11;

/// The counter of an interface.
#[derive(Debug)]
pub struct TxDropped {
    table: File,
    interface: String,
}

impl TxDropped {
    /// The counter of the interface of this name.
    ///
    /// # Errors
    /// There is no such table, or the interface is not in it.
    pub fn open(interface: &str) -> io::Result<Self> {
        let table = File::open("/proc/thread-self/net/dev")?;
        let found = Self { table, interface: interface.to_owned() };
        match found.discarded() {
            Some(_) => Ok(found),
            None => Err(io::Error::new(io::ErrorKind::NotFound, "the kernel does not count")),
        }
    }
}

impl Discards for TxDropped {
    fn discarded(&self) -> Option<u64> {
        let mut text = [0; ROOM];
        let length = self.table.read_at(&mut text, 0).ok()?;
        dropped(std::str::from_utf8(text.get(..length)?).ok()?, &self.interface)
    }
}

/// The counter in the kernel's table.
fn dropped(table: &str, interface: &str) -> Option<u64> {
    table
        .lines()
        .find_map(|line| {
            let (name, columns) = line.rsplit_once(':')?;
            (name.trim_start() == interface)
                .then(|| columns.split_ascii_whitespace().nth(COLUMN))?
        })?
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_counter_is_that_of_the_interface_and_of_sending() {
        let table = "\
Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo:       1       2    3    4    5     6          7         8        9      10   11   12   13    14      15         16
 eth0.7: 21 22 23 24 25 26 27 28 29 30 31 32 33 34 35 36
eth0:0: 1 1 1 1 1 1 1 1 1 1 1 77 1 1 1 1
";
        assert_eq!(dropped(table, "lo"), Some(12));
        assert_eq!(dropped(table, "eth0.7"), Some(32));
        assert_eq!(dropped(table, "eth0:0"), Some(77));
        assert_eq!(dropped(table, "eth0"), None);
        assert_eq!(dropped("lo: 1 2", "lo"), None);
    }

    #[test]
    fn the_loopback_is_counted_and_what_is_not_there_is_not() {
        assert!(TxDropped::open("lo").unwrap().discarded().is_some());
        assert!(TxDropped::open("no such one").is_err());
    }
}

//! Names of services: `https` is 443.

use std::cell::OnceCell;

/// The names that `/etc/services` knows, and a few that every host should.
///
/// The file is read when a name is first asked for, so that a run with a port number does not pay
/// for it.
#[derive(Debug)]
pub struct Services {
    path: &'static str,
    table: OnceCell<String>,
}

/// For hosts without the file, which is common in containers.
const FALLBACK: &[(&str, u16)] = &[
    ("ftp", 21),
    ("ssh", 22),
    ("telnet", 23),
    ("smtp", 25),
    ("domain", 53),
    ("http", 80),
    ("pop3", 110),
    ("imap", 143),
    ("bgp", 179),
    ("ldap", 389),
    ("https", 443),
    ("submissions", 465),
    ("submission", 587),
    ("ldaps", 636),
    ("imaps", 993),
    ("pop3s", 995),
    ("mysql", 3306),
    ("postgresql", 5432),
    ("redis", 6379),
    ("http-alt", 8080),
];

impl Services {
    /// Those of this host.
    #[must_use]
    pub const fn of_host() -> Self {
        Self { path: "/etc/services", table: OnceCell::new() }
    }

    /// Those of a table in the format of `/etc/services`.
    #[must_use]
    pub fn from_table(table: &str) -> Self {
        Self { path: "", table: OnceCell::from(table.to_owned()) }
    }

    /// The TCP port of the service called `name`, in any case.
    #[must_use]
    pub fn port(&self, name: &str) -> Option<u16> {
        // A file that is missing or unreadable leaves the fallback; bytes that are no text only
        // occur in comments.
        let table = self.table.get_or_init(|| {
            let bytes = std::fs::read(self.path).unwrap_or_default();
            String::from_utf8_lossy(&bytes).into_owned()
        });
        let fallback = FALLBACK.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        table.lines().find_map(|line| port_in(line, name)).or(fallback.map(|(_, port)| *port))
    }
}

/// The port in a line `https  443/tcp  alias  # comment`, where `name` is its name or an alias.
fn port_in(line: &str, name: &str) -> Option<u16> {
    let line = line.split('#').next()?;
    let mut words = line.split_ascii_whitespace();
    let official = words.next()?;
    let (port, protocol) = words.next()?.split_once('/')?;
    let named = std::iter::once(official).chain(words).any(|word| word.eq_ignore_ascii_case(name));
    let port = port.parse().ok().filter(|port| *port != 0)?;
    (named && protocol == "tcp").then_some(port)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "\
# comment
http\t\t80/tcp\t\twww\t# WorldWideWeb HTTP
snmp 161/udp
broken
worse x/tcp
zero 0/tcp
ssh 2222/tcp";

    #[test]
    fn names_and_aliases_give_their_tcp_port() {
        let services = Services::from_table(TABLE);
        assert_eq!(services.port("http"), Some(80));
        assert_eq!(services.port("WWW"), Some(80));
        assert_eq!(services.port("ssh"), Some(2222), "the table comes before the fallback");
        assert_eq!(services.port("https"), Some(443), "the fallback fills the gaps");
        for unknown in ["snmp", "worse", "zero", "comment", "WorldWideWeb", ""] {
            assert_eq!(services.port(unknown), None, "{unknown}");
        }
    }
}

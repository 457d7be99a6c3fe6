//! Signs of a firewall on this host. Whether a rule of it concerns us only a packet can tell.

use std::fs;
use std::io;

use netlink_sys::{Socket, SocketAddr};

use super::{Finding, told_by};

/// Where rules may be kept, and how they are listed.
const IPTABLES: [(&str, &str); 2] =
    [("ip_tables", "sudo iptables-save"), ("ip6_tables", "sudo ip6tables-save")];
const NFTABLES: (&str, &str) = ("nf_tables", "sudo nft list ruleset");

/// Netlink's protocol for the packet filter, and what is asked of it; `linux/netfilter/nfnetlink.h`,
/// `nf_tables.h`.
const NETLINK_NETFILTER: isize = 12;
const NEW_TABLE: u16 = 10 << 8;
const GET_TABLE: u16 = 10 << 8 | 1;

/// What can be known of rules.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Signs {
    /// There are none.
    None,
    /// None that an ordinary user can see.
    Hidden,
    /// These may hold some: what, and how they are listed.
    Some(Vec<(&'static str, &'static str)>),
}

/// What can be seen.
pub(super) fn findings() -> Vec<Finding> {
    let mut signs: Vec<(&str, &str)> = IPTABLES.into_iter().filter(|(of, _)| in_use(of)).collect();
    let tables = nf_tables();
    match tables {
        Ok(0) => {}
        Ok(_) => signs.push(NFTABLES),
        // Only an administrator may ask; a module that is loaded is somebody's, though.
        Err(_) if is_loaded(NFTABLES.0) => signs.push(NFTABLES),
        Err(_) => {}
    }
    let signs = match (signs.is_empty(), tables) {
        (false, _) => Signs::Some(signs),
        (true, Ok(_)) => Signs::None,
        (true, Err(_)) => Signs::Hidden,
    };
    let count = |what: &str| {
        told_by(&format!("/proc/sys/net/netfilter/nf_conntrack_{what}"))?.parse::<u64>().ok()
    };
    let mut findings = vec![rules(&signs)];
    // The kernel counts from the first rule on that needs it: none counted, none needed.
    let tracked = count("count").filter(|now| *now > 0);
    findings.extend(tracked.map(|now| tracking(now, count("max"))));
    findings
}

/// Whether a module is loaded, or built in and has parameters.
fn is_loaded(module: &str) -> bool {
    fs::exists(format!("/sys/module/{module}")).unwrap_or(false)
}

/// Whether tables of iptables' are registered in this network namespace. An ordinary user may not
/// read the list, and sees only whether the module is loaded.
fn in_use(module: &str) -> bool {
    match fs::read_to_string(format!("/proc/self/net/{module}_names")) {
        Ok(names) => !names.trim().is_empty(),
        Err(_) => is_loaded(module),
    }
}

/// The tables of nftables' in this network namespace.
///
/// # Errors
/// We may not ask.
fn nf_tables() -> io::Result<usize> {
    let Ok(socket) = Socket::new(NETLINK_NETFILTER) else { return Ok(0) };
    socket.connect(&SocketAddr::new(0, 0))?;
    let mut request = Vec::new();
    let flags = libc::NLM_F_REQUEST | libc::NLM_F_DUMP;
    request.extend(20_u32.to_ne_bytes());
    request.extend(GET_TABLE.to_ne_bytes());
    request.extend(u16::try_from(flags).unwrap_or_default().to_ne_bytes());
    // Sequence number and sender; then the family (all), a version and a number of resource.
    request.extend([0; 8 + 4]);
    socket.send(&request, 0)?;
    let mut tables = 0;
    loop {
        let (answer, _) = socket.recv_from_full()?;
        let Some(found) = count_tables(&answer)? else { return Ok(tables) };
        tables += found;
        if ends(&answer) {
            return Ok(tables);
        }
    }
}

/// The messages of one answer: type and what follows the header.
fn messages(answer: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    let mut rest = answer;
    std::iter::from_fn(move || {
        let length = u32::from_ne_bytes(rest.get(..4)?.try_into().ok()?);
        let length = usize::try_from(length).ok().filter(|length| *length >= 16)?;
        let kind = u16::from_ne_bytes(rest.get(4..6)?.try_into().ok()?);
        let body = rest.get(16..length)?;
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, body))
    })
}

/// The tables in one answer; `None` where it holds nothing that is known.
fn count_tables(answer: &[u8]) -> io::Result<Option<usize>> {
    let mut known = None;
    for (kind, body) in messages(answer) {
        match (i32::from(kind), body.first_chunk()) {
            (libc::NLMSG_ERROR, Some(code)) => {
                let errno = i32::from_ne_bytes(*code).saturating_abs();
                // A kernel without nftables does not know the question.
                let error = io::Error::from_raw_os_error(errno);
                return if errno == libc::EPERM { Err(error) } else { Ok(None) };
            }
            _ => known = Some(known.unwrap_or(0) + usize::from(kind == NEW_TABLE)),
        }
    }
    Ok(known)
}

fn ends(answer: &[u8]) -> bool {
    messages(answer).any(|(kind, _)| i32::from(kind) == libc::NLMSG_DONE)
}

fn rules(signs: &Signs) -> Finding {
    let topic = "firewall";
    let signs = match signs {
        Signs::None => return Finding::good(topic, "no rules on this host"),
        Signs::Hidden => {
            return Finding::info(topic, "no sign of one; nftables shows its rules to root alone");
        }
        Signs::Some(signs) => signs,
    };
    let names: Vec<&str> = signs.iter().map(|(name, _)| *name).collect();
    let lists: Vec<&str> = signs.iter().map(|(_, list)| *list).collect();
    Finding::info(
        topic,
        format!(
            "there may be rules ({}): what comes in is seen before them, what goes out passes them",
            names.join(", ")
        ),
    )
    .remedied(format!("to see the rules: {}", lists.join("; ")))
}

fn tracking(now: u64, max: Option<u64>) -> Finding {
    let topic = "conntrack";
    let share = max.map(|max| format!(" of at most {max}")).unwrap_or_default();
    // At nine tenths, new connections, and ours among them, are close to being dropped.
    if max.is_some_and(|max| now.saturating_mul(10) >= max.saturating_mul(9)) {
        return Finding::limited(
            topic,
            format!(
                "this host tracks {now} connections{share}: packets of new ones may be dropped"
            ),
        )
        .remedied("raise net.netfilter.nf_conntrack_max");
    }
    Finding::info(
        topic,
        format!(
            "this host tracks {now} connections{share}: rules on 'invalid' may drop odd segments"
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::super::Status;
    use super::*;

    /// A netlink message with a body.
    fn message(kind: u16, body: &[u8]) -> Vec<u8> {
        let length = u32::try_from(16 + body.len()).unwrap();
        let mut bytes = length.to_ne_bytes().to_vec();
        bytes.extend(kind.to_ne_bytes());
        bytes.extend([0; 10]);
        bytes.extend(body);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    #[test]
    fn tables_are_counted_and_a_refusal_is_no_absence() {
        let table = message(NEW_TABLE, &[2, 0, 0, 0, 5]);
        let done = message(libc::NLMSG_DONE as u16, &[0; 4]);
        let both = [table.clone(), table, done.clone()].concat();
        assert_eq!(count_tables(&both).unwrap(), Some(2));
        assert!(ends(&both) && !ends(&both[..24]));
        assert_eq!(count_tables(&done).unwrap(), Some(0));
        let error = |errno: i32| message(libc::NLMSG_ERROR as u16, &(-errno).to_ne_bytes());
        assert!(count_tables(&error(libc::EPERM)).is_err());
        assert_eq!(count_tables(&error(libc::EINVAL)).unwrap(), None);
        assert_eq!(count_tables(&[1, 2, 3]).unwrap(), None, "cut short");
    }

    #[test]
    fn rules_are_a_sign_and_never_a_verdict() {
        assert_eq!(rules(&Signs::None).status, Status::Good);
        assert_eq!(rules(&Signs::Hidden).status, Status::Info);
        let both = rules(&Signs::Some(vec![IPTABLES[0], NFTABLES]));
        assert_eq!(both.status, Status::Info);
        assert_eq!(
            both.remedy.as_deref(),
            Some("to see the rules: sudo iptables-save; sudo nft list ruleset")
        );
    }

    #[test]
    fn a_full_table_is_a_limit() {
        assert_eq!(tracking(10, Some(65536)).status, Status::Info);
        assert_eq!(tracking(10, None).status, Status::Info);
        assert_eq!(tracking(59_000, Some(65536)).status, Status::Limited);
    }
}

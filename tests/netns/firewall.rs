//! nftables in the peer's namespace: drops chosen segments, or answers for a firewall.

use crate::namespace::Namespace;
use anyhow::{Context, Result, ensure};
use std::io::Write;
use std::process::{Command, Stdio};

/// Feeds a rule set to nft inside a namespace.
pub(crate) fn load(namespace: &Namespace, rules: &str) -> Result<()> {
    namespace.within(|| {
        let mut child = Command::new("nft")
            .args(["-f", "-"])
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("nft")?;
        child.stdin.take().context("nft's stdin")?.write_all(rules.as_bytes())?;
        let output = child.wait_with_output()?;
        let complaint = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "nft refused {rules}: {complaint}");
        Ok(())
    })
}

/// What happens to arriving TCP segments that match an nft expression.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fate {
    /// The first one is lost.
    FirstLost,
    /// All are lost.
    AllLost,
    /// Rejected as a firewall does, by ICMP "administratively prohibited".
    Prohibited,
}

/// Lays a rule for segments that arrive at `port` and match.
pub(crate) fn on_arrival(
    namespace: &Namespace,
    port: u16,
    matching: &str,
    fate: Fate,
) -> Result<()> {
    let verdict = match fate {
        // The bucket holds one token and the next comes tomorrow.
        Fate::FirstLost => "limit rate 1/day burst 1 packets drop",
        Fate::AllLost => "drop",
        Fate::Prohibited => "reject with icmpx type admin-prohibited",
    };
    // nft wants an end of line after each closing brace but the last.
    let rules = format!(
        "table inet trial {{\n chain arrival {{\n type filter hook input priority 0;\n \
         tcp dport {port} {matching} counter {verdict}\n }}\n }}\n"
    );
    load(namespace, &rules)
}

/// The packets that a named counter of the table `trial` has counted.
pub(crate) fn counted(namespace: &Namespace, counter: &str) -> Result<u64> {
    namespace.within(|| {
        let arguments = ["list", "counter", "inet", "trial", counter];
        let output = Command::new("nft").args(arguments).output().context("nft")?;
        let text = String::from_utf8_lossy(&output.stdout);
        let mut words = text.split_whitespace().skip_while(|word| *word != "packets");
        let number = words.nth(1).and_then(|word| word.parse().ok());
        number.with_context(|| format!("no count in {text}"))
    })
}

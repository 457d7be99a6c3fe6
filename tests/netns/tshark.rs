//! A second opinion on every byte: tshark's analysis of what the sniffer saw.

use crate::sniffer::Sniffer;
use anyhow::{Context, Result, ensure};
use std::net::IpAddr;
use std::process::Command;

/// What tshark finds wrong with all that the sniffer saw, one line each. A retransmission counts if
/// the client sent it: the peer's kernel repeats itself after some milliseconds, which a busy machine
/// may take to answer.
pub(crate) fn complaints(sniffer: &mut Sniffer, client: IpAddr) -> Result<Vec<String>> {
    const REPEATED: &str = "tcp.analysis.retransmission || tcp.analysis.fast_retransmission \
        || tcp.analysis.spurious_retransmission || tcp.analysis.out_of_order \
        || tcp.analysis.lost_segment || tcp.analysis.ack_lost_segment";
    const WRONG: &str = "_ws.malformed || tcp.checksum.status == 0 || ip.checksum.status == 0 \
        || _ws.expert.severity == 0x00800000";
    let source = if client.is_ipv4() { "ip.src" } else { "ipv6.src" };
    let directory = tempfile::tempdir()?;
    let capture = directory.path().join("capture.pcap");
    sniffer.write_pcap(&capture)?;
    let tshark = |filter: &str| -> Result<Vec<String>> {
        let output = Command::new("tshark")
            // Nobody's personal settings.
            .env("HOME", directory.path())
            .env_remove("XDG_CONFIG_HOME")
            .args(["-o", "tcp.check_checksum:TRUE", "-o", "ip.check_checksum:TRUE"])
            .args(["-Y", filter, "-r"])
            .arg(&capture)
            .output()
            .context("tshark")?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect())
    };
    ensure!(!tshark("tcp.checksum.status == 1")?.is_empty(), "tshark saw no good segment at all");
    tshark(&format!("{WRONG} || ({source} == {client} && ({REPEATED}))"))
}

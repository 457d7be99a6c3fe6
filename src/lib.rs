//! shakedown: a raw-socket TCP handshake probe.
//!
//! The rooms, and the one direction in which they may use each other, top to bottom:
//!
//! | room | what lives there | may use |
//! |---|---|---|
//! | [`cli`] | clap structs and help texts | |
//! | [`cmd`] | one file per subcommand: arguments → plan → run | everything below |
//! | [`report`] | consumers of the event stream | stats, event, wire, tcp::state, time |
//! | [`check`] | the conformance battery: scripts, the lab that they work in, the engine | net, event, wire, time |
//! | [`sweep`] | many targets, statelessly: the space, its order, cookies, the ledger | net, event, wire, time |
//! | [`http`] | HTTP and TLS over bytes that somebody else carries | event |
//! | [`driver`] | the loop that joins machine, wire and event sink | tcp, net, wire, event, time |
//! | [`net`] | the kernel, and a simulated network | wire, time |
//! | [`tcp`] | the pure TCP machine | wire, time |
//! | [`event`] | the vocabulary of everything that is reported | tcp::state, net's value types, stats, wire, time |
//! | [`wire`] | bytes ⇄ meaning | time |
//! | [`stats`] | intervals, losses and schedules of repeated probes, as pure arithmetic | time |
//! | [`time`] | our own instants and clocks | |

pub mod check;
pub mod cli;
pub mod cmd;
pub mod driver;
pub mod event;
pub mod http;
pub mod net;
pub mod report;
pub mod stats;
pub mod sweep;
pub mod tcp;
pub mod time;
pub mod wire;

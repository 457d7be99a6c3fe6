//! Reports of a sweep: for programs, for pipes, for analysts, for people.
//!
//! # The schema
//!
//! What `sweep` prints with `--json` follows [`crate::report::json`]: one object a line, `v` 1, in
//! ASCII; what is absent is left out. There is no `flow`.
//!
//! **`run`**, first, and again where a later run continues in the same file: `command` `sweep`;
//! `version`; `unix_ns` (when it began; absent in virtual time); `hosts`, `ports`, `targets` of the
//! whole space; `positions` {`first`, `end`: the first behind it} of this run; `shard` {`index` from 0,
//! `count`}, absent where the space is not split; `seed` (decimal) and `fingerprint` of the space
//! (hexadecimal), both as strings, for many readers know no integers of 64 bits; `method`
//! (`half-open`, `full`, `banner`); `passes`; `rate` {`auto`, `per_second`: at most}; `source` {`addrs`,
//! `ports`}; `interface`; `transmit` (`af_xdp`, `af_packet`, `raw`) and `transmit_choice` (why);
//! `receive` (`af_packet`, `xdp`, `xdp_generic`; absent in reports of 0.1.0 and before); `guard`; `options` {name: value} in which shards must agree; `resumed`; `united` (of how many
//! reports of shards; absent where it is a run of its own).
//!
//! **`target`**, one for each that answered:
//!
//! | field | |
//! |---|---|
//! | `addr`, `port` | who |
//! | `outcome` | `open`, `refused`, `unreachable`, `prohibited` (by a firewall); of a whole handshake `closed` (by FIN from both ends), `still-open` (our FIN was acknowledged, theirs never came), `fin-ignored`, `reset` (after the handshake), or `open` where it was not followed to its end |
//! | `rtt_ns` | from the SYN to its answer |
//! | `rtt_by` | how the SYN's time was known: it came back in the `timestamp` option, or from the `log` |
//! | `rtt_error_ns` | by how much `rtt_ns` may be wrong |
//! | `pass` | in which the first answer came, from 1 |
//! | `ttl` | with which it arrived |
//! | `win`, `mss`, `wscale`, `sack`, `timestamps` | what the SYN-ACK said; `win` unscaled, `sack` and `timestamps` true or false |
//! | `icmp_type`, `icmp_code`, `icmp_kind`, `icmp_from` | the ICMP error that answered, in the words of an `icmp` record |
//! | `handshake_ns`, `ack_of_fin_ns`, `fin_ns` | of a whole handshake: to the SYN-ACK, from our FIN to its acknowledgment, from our FIN to theirs |
//! | `banner` | the first bytes that it sent, where they are UTF-8 |
//! | `banner_hex` | the same where they are not |
//! | `unix_ns` | when the first answer came, on the wall clock; absent in virtual time |
//!
//! The same names are the columns of the [CSV](SweepCsv) and of the [Parquet file](SweepParquet) and
//! are what `--fields` takes. A reader takes a target that stands twice for one: a run that was killed
//! and continued may repeat a few.
//!
//! **`notice`** as elsewhere, `at_ns` from the beginning of the run.
//!
//! **`summary`**, last, also after SIGINT: `outcome` (the best that was found: `open`, `refused`,
//! `unreachable`, `filtered`; or `interrupted`); `interrupted`; `resumed`: the counts include those of
//! earlier runs; `elapsed_ns`; `sending_ns` (how long SYNs left); `sent` SYNs; `syns_per_second`;
//! `account` {`targets`, and the classes whose sum it is: `open`, `refused`, `unreachable`, `silent`,
//! `not_probed`; `prohibited` of the unreachable; `closes` of the open {`closed`, `still_open`,
//! `fin_ignored`, `reset`, `banners`}, absent where only ports were asked for}; `passes` [{`sent` SYNs,
//! `answered` targets}]; `rejected` {reason: packets}; `duplicates`; `late` (answers of targets that had
//! been given up); `drops` (packets lost between the kernel and us);
//! `discarded` (frames that the interface dropped meanwhile, whoever sent them) and `mended` (SYNs sent
//! once more for that); `send_troubles` {reason: number};
//! `loss` {`ppm`, `error_ppm`: the standard error}, in millionths, absent where one pass cannot tell;
//! `loss_back` likewise, of SYN-ACKs only; `rtt` {`count`, `min_ns`, `avg_ns`, `max_ns`, `mdev_ns`,
//! `p50_ns`, `p90_ns`, `p95_ns`, `p99_ns`, `p999_ns`, `percentile_error_ppm`, `by_timestamp`, `by_log`,
//! `timestamp_error_ns`, `log_error_ns`: the largest error of each}.

mod account;
mod columns;
mod csv;
mod fan;
mod fields;
mod ink;
mod json;
pub mod merge;
mod plain;
mod progress;
mod records;
mod summary;
#[cfg(test)]
mod testkit;
#[cfg(test)]
mod tests;
mod whole;

pub use columns::SweepParquet;
pub use csv::SweepCsv;
pub use fan::{OpenOnly, SweepFan};
pub use fields::{Field, Fields, FieldsError};
pub use json::SweepJson;
pub use plain::{SweepPlain, SweepRows};
pub use progress::SweepWithProgress;
pub use summary::SweepSummary;
pub use whole::WholeFile;

/// Bytes that a report keeps before it writes them by itself: whole lines, more than a thousand.
const BUFFER: usize = 1 << 16;

//! Every state against every class of segment: what is answered, what is said of it, and what state
//! follows.

use shakedown::tcp::{Connection, End, State, Transmit, TransmitKind, Verdict};
use shakedown::wire::{Flags, Segment, SeqNum};

use crate::lone::{IRS, ISS, NOW, drain, in_state, segment};

/// One row: class | states | answer | verdict | next state (= for the same) | clause.
///
/// Answers: `-` none, `.` ACK, `?` challenge ACK, `S.` SYN-ACK, `R` RST with SEQ = SEG.ACK and no
/// ACK, `R.` RST with SEQ = 0 and ACK = SEG.SEQ + SEG.LEN. `open` stands for ESTABLISHED,
/// FIN-WAIT-1, FIN-WAIT-2, CLOSE-WAIT, CLOSING and LAST-ACK; SYN-RECEIVED/A is the one that an
/// active opener gets to when both open at once.
const TABLE: &str = "
SYN           | CLOSED                         | R. | NoConnection       | =            | 9293 3.10.7.1
SYN           | LISTEN                         | S. | accepted           | SYN-RECEIVED | 9293 3.10.7.2 third
SYN           | SYN-SENT                       | S. | accepted           | SYN-RECEIVED | 9293 3.10.7.3 fourth
SYN           | SYN-RECEIVED SYN-RECEIVED/A    | S. | duplicate          | =            | 9293 3.10.7.4 first
SYN           | open TIME-WAIT                 | .  | duplicate          | =            | 5961 4.2

SYN-new       | CLOSED                         | R. | NoConnection       | =            | 9293 3.10.7.1
SYN-new       | LISTEN                         | S. | accepted           | SYN-RECEIVED | 9293 3.10.7.2 third
SYN-new       | SYN-SENT                       | S. | accepted           | SYN-RECEIVED | 9293 3.10.7.3 fourth
SYN-new       | SYN-RECEIVED                   | -  | accepted           | LISTEN       | 9293 3.10.7.4 fourth
SYN-new       | SYN-RECEIVED/A                 | ?  | SynOfSynchronized  | =            | 5961 4.2
SYN-new       | open TIME-WAIT                 | ?  | SynOfSynchronized  | =            | 5961 4.2

SYN-beyond    | CLOSED                         | R. | NoConnection       | =            | 9293 3.10.7.1
SYN-beyond    | LISTEN                         | S. | accepted           | SYN-RECEIVED | 9293 3.10.7.2 third
SYN-beyond    | SYN-SENT                       | S. | accepted           | SYN-RECEIVED | 9293 3.10.7.3 fourth
SYN-beyond    | SYN-RECEIVED SYN-RECEIVED/A    | .  | BeyondWindow       | =            | 9293 3.10.7.4 first
SYN-beyond    | open TIME-WAIT                 | ?  | SynOfSynchronized  | =            | 5961 4.2

SYN-ACK       | CLOSED                         | R  | NoConnection       | =            | 9293 3.10.7.1
SYN-ACK       | LISTEN                         | R  | AckOfListener      | =            | 9293 3.10.7.2 second
SYN-ACK       | SYN-SENT                       | .  | accepted           | ESTABLISHED  | 9293 3.10.7.3 fourth
SYN-ACK       | SYN-RECEIVED                   | .  | duplicate          | =            | 9293 3.10.7.4 first
SYN-ACK       | SYN-RECEIVED/A                 | .  | accepted           | ESTABLISHED  | 9293 3.5 figure 7
SYN-ACK       | open TIME-WAIT                 | .  | duplicate          | =            | 5961 4.2

SYN-ACK-unsent| CLOSED                         | R  | NoConnection       | =            | 9293 3.10.7.1
SYN-ACK-unsent| LISTEN                         | R  | AckOfListener      | =            | 9293 3.10.7.2 second
SYN-ACK-unsent| SYN-SENT                       | R  | AckNotOfSyn        | =            | 9293 3.10.7.3 first
SYN-ACK-unsent| SYN-RECEIVED                   | .  | duplicate          | =            | 9293 3.10.7.4 first
SYN-ACK-unsent| SYN-RECEIVED/A                 | R  | HandshakeAck       | =            | 9293 3.10.7.4 fifth
SYN-ACK-unsent| open TIME-WAIT                 | .  | duplicate          | =            | 5961 4.2

ACK           | CLOSED                         | R  | NoConnection       | =            | 9293 3.10.7.1
ACK           | LISTEN                         | R  | AckOfListener      | =            | 9293 3.10.7.2 second
ACK           | SYN-SENT                       | -  | NeitherSynNorReset | =            | 9293 3.10.7.3 fifth
ACK           | SYN-RECEIVED SYN-RECEIVED/A    | -  | accepted           | ESTABLISHED  | 9293 3.10.7.4 fifth
ACK           | ESTABLISHED FIN-WAIT-2         | -  | accepted           | =            | 9293 3.10.7.4 fifth
ACK           | CLOSE-WAIT TIME-WAIT           | -  | accepted           | =            | 9293 3.10.7.4 fifth
ACK           | FIN-WAIT-1                     | -  | accepted           | FIN-WAIT-2   | 9293 3.10.7.4 fifth
ACK           | CLOSING                        | -  | accepted           | TIME-WAIT    | 9293 3.10.7.4 fifth
ACK           | LAST-ACK                       | -  | accepted           | CLOSED       | 9293 3.10.7.4 fifth

ACK-unsent    | CLOSED                         | R  | NoConnection       | =            | 9293 3.10.7.1
ACK-unsent    | LISTEN                         | R  | AckOfListener      | =            | 9293 3.10.7.2 second
ACK-unsent    | SYN-SENT                       | R  | AckNotOfSyn        | =            | 9293 3.10.7.3 first
ACK-unsent    | SYN-RECEIVED SYN-RECEIVED/A    | R  | HandshakeAck       | =            | 9293 3.10.7.4 fifth
ACK-unsent    | open TIME-WAIT                 | ?  | AckOfUnsent        | =            | 9293 3.10.7.4 fifth

ACK-ancient   | CLOSED                         | R  | NoConnection       | =            | 9293 3.10.7.1
ACK-ancient   | LISTEN                         | R  | AckOfListener      | =            | 9293 3.10.7.2 second
ACK-ancient   | SYN-SENT                       | R  | AckNotOfSyn        | =            | 9293 3.10.7.3 first
ACK-ancient   | SYN-RECEIVED SYN-RECEIVED/A    | R  | HandshakeAck       | =            | 9293 3.10.7.4 fifth
ACK-ancient   | open TIME-WAIT                 | ?  | AckAncient         | =            | 5961 5.2

ACK-before    | CLOSED                         | R  | NoConnection       | =            | 9293 3.10.7.1
ACK-before    | LISTEN                         | R  | AckOfListener      | =            | 9293 3.10.7.2 second
ACK-before    | SYN-SENT                       | -  | NeitherSynNorReset | =            | 9293 3.10.7.3 fifth
ACK-before    | SYN-RECEIVED SYN-RECEIVED/A    | ?  | BeforeWindow       | =            | 9293 3.10.7.4 first
ACK-before    | open TIME-WAIT                 | ?  | BeforeWindow       | =            | 9293 3.10.7.4 first

ACK-beyond    | CLOSED                         | R  | NoConnection       | =            | 9293 3.10.7.1
ACK-beyond    | LISTEN                         | R  | AckOfListener      | =            | 9293 3.10.7.2 second
ACK-beyond    | SYN-SENT                       | -  | NeitherSynNorReset | =            | 9293 3.10.7.3 fifth
ACK-beyond    | SYN-RECEIVED SYN-RECEIVED/A    | ?  | BeyondWindow       | =            | 9293 3.10.7.4 first
ACK-beyond    | open TIME-WAIT                 | ?  | BeyondWindow       | =            | 9293 3.10.7.4 first

text          | CLOSED                         | R  | NoConnection       | =            | 9293 3.10.7.1
text          | LISTEN                         | R  | AckOfListener      | =            | 9293 3.10.7.2 second
text          | SYN-SENT                       | -  | NeitherSynNorReset | =            | 9293 3.10.7.3 fifth
text          | SYN-RECEIVED SYN-RECEIVED/A    | .  | accepted           | ESTABLISHED  | 9293 3.10.7.4 seventh
text          | ESTABLISHED FIN-WAIT-2         | .  | accepted           | =            | 9293 3.10.7.4 seventh
text          | FIN-WAIT-1                     | .  | accepted           | FIN-WAIT-2   | 9293 3.10.7.4 seventh
text          | CLOSE-WAIT TIME-WAIT           | -  | TextAfterFin       | =            | 9293 3.10.7.4 seventh
text          | CLOSING                        | -  | TextAfterFin       | TIME-WAIT    | 9293 3.10.7.4 seventh
text          | LAST-ACK                       | -  | accepted           | CLOSED       | 9293 3.10.7.4 fifth

text-again    | CLOSED                         | R  | NoConnection       | =            | 9293 3.10.7.1
text-again    | LISTEN                         | R  | AckOfListener      | =            | 9293 3.10.7.2 second
text-again    | SYN-SENT                       | -  | NeitherSynNorReset | =            | 9293 3.10.7.3 fifth
text-again    | SYN-RECEIVED SYN-RECEIVED/A    | .  | duplicate          | =            | 9293 3.10.7.4 first
text-again    | open TIME-WAIT                 | .  | duplicate          | =            | 9293 3.10.7.4 first

text-ahead    | CLOSED                         | R  | NoConnection       | =            | 9293 3.10.7.1
text-ahead    | LISTEN                         | R  | AckOfListener      | =            | 9293 3.10.7.2 second
text-ahead    | SYN-SENT                       | -  | NeitherSynNorReset | =            | 9293 3.10.7.3 fifth
text-ahead    | SYN-RECEIVED SYN-RECEIVED/A    | .  | out of order       | ESTABLISHED  | 9293 3.10.7.4 SHLD-31
text-ahead    | ESTABLISHED FIN-WAIT-2         | .  | out of order       | =            | 9293 3.10.7.4 SHLD-31
text-ahead    | FIN-WAIT-1                     | .  | out of order       | FIN-WAIT-2   | 9293 3.10.7.4 SHLD-31
text-ahead    | CLOSE-WAIT TIME-WAIT           | -  | TextAfterFin       | =            | 9293 3.10.7.4 seventh
text-ahead    | CLOSING                        | -  | TextAfterFin       | TIME-WAIT    | 9293 3.10.7.4 seventh
text-ahead    | LAST-ACK                       | -  | accepted           | CLOSED       | 9293 3.10.7.4 fifth

text-beyond   | CLOSED                         | R  | NoConnection       | =            | 9293 3.10.7.1
text-beyond   | LISTEN                         | R  | AckOfListener      | =            | 9293 3.10.7.2 second
text-beyond   | SYN-SENT                       | -  | NeitherSynNorReset | =            | 9293 3.10.7.3 fifth
text-beyond   | SYN-RECEIVED SYN-RECEIVED/A    | .  | BeyondWindow       | =            | 9293 3.10.7.4 first
text-beyond   | open TIME-WAIT                 | .  | BeyondWindow       | =            | 9293 3.10.7.4 first

text-noack    | CLOSED                         | R. | NoConnection       | =            | 9293 3.10.7.1
text-noack    | LISTEN                         | -  | NoSyn              | =            | 9293 3.10.7.2 fourth
text-noack    | SYN-SENT                       | -  | NeitherSynNorReset | =            | 9293 3.10.7.3 fifth
text-noack    | SYN-RECEIVED SYN-RECEIVED/A    | -  | NoAck              | =            | 9293 3.10.7.4 fifth
text-noack    | open TIME-WAIT                 | -  | NoAck              | =            | 9293 3.10.7.4 fifth

nothing       | CLOSED                         | R. | NoConnection       | =            | 9293 3.10.7.1
nothing       | LISTEN                         | -  | NoSyn              | =            | 9293 3.10.7.2 fourth
nothing       | SYN-SENT                       | -  | NeitherSynNorReset | =            | 9293 3.10.7.3 fifth
nothing       | SYN-RECEIVED SYN-RECEIVED/A    | -  | NoAck              | =            | 9293 3.10.7.4 fifth
nothing       | open TIME-WAIT                 | -  | NoAck              | =            | 9293 3.10.7.4 fifth

FIN           | CLOSED                         | R  | NoConnection       | =            | 9293 3.10.7.1
FIN           | LISTEN                         | R  | AckOfListener      | =            | 9293 3.10.7.2 second
FIN           | SYN-SENT                       | -  | NeitherSynNorReset | =            | 9293 3.10.7.3 fifth
FIN           | SYN-RECEIVED SYN-RECEIVED/A    | .  | accepted           | CLOSE-WAIT   | 9293 3.10.7.4 eighth
FIN           | ESTABLISHED                    | .  | accepted           | CLOSE-WAIT   | 9293 3.10.7.4 eighth
FIN           | FIN-WAIT-1 FIN-WAIT-2          | .  | accepted           | TIME-WAIT    | 9293 3.10.7.4 eighth
FIN           | CLOSE-WAIT TIME-WAIT           | -  | TextAfterFin       | =            | 9293 3.10.7.4 eighth
FIN           | CLOSING                        | -  | TextAfterFin       | TIME-WAIT    | 9293 3.10.7.4 fifth
FIN           | LAST-ACK                       | -  | accepted           | CLOSED       | 9293 3.10.7.4 fifth

FIN-crossing  | CLOSED                         | R  | NoConnection       | =            | 9293 3.10.7.1
FIN-crossing  | LISTEN                         | R  | AckOfListener      | =            | 9293 3.10.7.2 second
FIN-crossing  | SYN-SENT                       | R  | AckNotOfSyn        | =            | 9293 3.10.7.3 first
FIN-crossing  | SYN-RECEIVED SYN-RECEIVED/A    | R  | HandshakeAck       | =            | 9293 3.10.7.4 fifth
FIN-crossing  | ESTABLISHED                    | .  | accepted           | CLOSE-WAIT   | 9293 3.10.7.4 eighth
FIN-crossing  | FIN-WAIT-1                     | .  | accepted           | CLOSING      | 9293 3.10.7.4 eighth
FIN-crossing  | FIN-WAIT-2                     | .  | accepted           | TIME-WAIT    | 9293 3.10.7.4 eighth
FIN-crossing  | CLOSE-WAIT CLOSING LAST-ACK    | -  | TextAfterFin       | =            | 9293 3.10.7.4 eighth
FIN-crossing  | TIME-WAIT                      | -  | TextAfterFin       | =            | 9293 3.10.7.4 eighth

FIN-again     | CLOSED                         | R  | NoConnection       | =            | 9293 3.10.7.1
FIN-again     | LISTEN                         | R  | AckOfListener      | =            | 9293 3.10.7.2 second
FIN-again     | SYN-SENT                       | -  | NeitherSynNorReset | =            | 9293 3.10.7.3 fifth
FIN-again     | SYN-RECEIVED SYN-RECEIVED/A    | .  | duplicate          | =            | 9293 3.10.7.4 first
FIN-again     | open TIME-WAIT                 | .  | duplicate          | =            | 9293 3.10.7.4 first

FIN-ahead     | CLOSED                         | R  | NoConnection       | =            | 9293 3.10.7.1
FIN-ahead     | LISTEN                         | R  | AckOfListener      | =            | 9293 3.10.7.2 second
FIN-ahead     | SYN-SENT                       | -  | NeitherSynNorReset | =            | 9293 3.10.7.3 fifth
FIN-ahead     | SYN-RECEIVED SYN-RECEIVED/A    | .  | out of order       | ESTABLISHED  | 9293 3.10.7.4 SHLD-31
FIN-ahead     | ESTABLISHED FIN-WAIT-2         | .  | out of order       | =            | 9293 3.10.7.4 SHLD-31
FIN-ahead     | FIN-WAIT-1                     | .  | out of order       | FIN-WAIT-2   | 9293 3.10.7.4 SHLD-31
FIN-ahead     | CLOSE-WAIT TIME-WAIT           | -  | TextAfterFin       | =            | 9293 3.10.7.4 eighth
FIN-ahead     | CLOSING                        | -  | TextAfterFin       | TIME-WAIT    | 9293 3.10.7.4 fifth
FIN-ahead     | LAST-ACK                       | -  | accepted           | CLOSED       | 9293 3.10.7.4 fifth

FIN-beyond    | CLOSED                         | R  | NoConnection       | =            | 9293 3.10.7.1
FIN-beyond    | LISTEN                         | R  | AckOfListener      | =            | 9293 3.10.7.2 second
FIN-beyond    | SYN-SENT                       | -  | NeitherSynNorReset | =            | 9293 3.10.7.3 fifth
FIN-beyond    | SYN-RECEIVED SYN-RECEIVED/A    | .  | BeyondWindow       | =            | 9293 3.10.7.4 first
FIN-beyond    | open TIME-WAIT                 | .  | BeyondWindow       | =            | 9293 3.10.7.4 first

FIN-noack     | CLOSED                         | R. | NoConnection       | =            | 9293 3.10.7.1
FIN-noack     | LISTEN                         | -  | NoSyn              | =            | 9293 3.10.7.2 fourth
FIN-noack     | SYN-SENT                       | -  | NeitherSynNorReset | =            | 9293 3.10.7.3 fifth
FIN-noack     | SYN-RECEIVED SYN-RECEIVED/A    | -  | NoAck              | =            | 9293 3.10.7.4 fifth
FIN-noack     | open TIME-WAIT                 | -  | NoAck              | =            | 9293 3.10.7.4 fifth

RST           | CLOSED                         | -  | NoConnection       | =            | 9293 3.10.7.1
RST           | LISTEN                         | -  | ResetOfListener    | =            | 9293 3.10.7.2 first
RST           | SYN-SENT                       | -  | ResetNotOfSyn      | =            | 9293 3.10.7.3 second
RST           | SYN-RECEIVED                   | -  | accepted           | LISTEN       | 9293 3.10.7.4 second
RST           | SYN-RECEIVED/A                 | -  | accepted           | CLOSED       | 9293 3.10.7.4 second
RST           | open                           | -  | accepted           | CLOSED       | 5961 3.2
RST           | TIME-WAIT                      | -  | ResetInTimeWait    | =            | 1337 3

RST-inside    | CLOSED                         | -  | NoConnection       | =            | 9293 3.10.7.1
RST-inside    | LISTEN                         | -  | ResetOfListener    | =            | 9293 3.10.7.2 first
RST-inside    | SYN-SENT                       | -  | ResetNotOfSyn      | =            | 9293 3.10.7.3 second
RST-inside    | SYN-RECEIVED SYN-RECEIVED/A    | ?  | ResetInsideWindow  | =            | 5961 3.2
RST-inside    | open                           | ?  | ResetInsideWindow  | =            | 5961 3.2
RST-inside    | TIME-WAIT                      | -  | ResetInTimeWait    | =            | 1337 3

RST-outside   | CLOSED                         | -  | NoConnection       | =            | 9293 3.10.7.1
RST-outside   | LISTEN                         | -  | ResetOfListener    | =            | 9293 3.10.7.2 first
RST-outside   | SYN-SENT                       | -  | ResetNotOfSyn      | =            | 9293 3.10.7.3 second
RST-outside   | SYN-RECEIVED SYN-RECEIVED/A    | -  | ResetOutsideWindow | =            | 5961 3.2
RST-outside   | open                           | -  | ResetOutsideWindow | =            | 5961 3.2
RST-outside   | TIME-WAIT                      | -  | ResetInTimeWait    | =            | 1337 3

RST-ACK       | CLOSED                         | -  | NoConnection       | =            | 9293 3.10.7.1
RST-ACK       | LISTEN                         | -  | ResetOfListener    | =            | 9293 3.10.7.2 first
RST-ACK       | SYN-SENT                       | -  | accepted           | CLOSED       | 9293 3.10.7.3 second
RST-ACK       | SYN-RECEIVED                   | -  | accepted           | LISTEN       | 9293 3.10.7.4 second
RST-ACK       | SYN-RECEIVED/A                 | -  | accepted           | CLOSED       | 9293 3.10.7.4 second
RST-ACK       | open                           | -  | accepted           | CLOSED       | 5961 3.2
RST-ACK       | TIME-WAIT                      | -  | ResetInTimeWait    | =            | 1337 3

RST-ACK-iss   | CLOSED                         | -  | NoConnection       | =            | 9293 3.10.7.1
RST-ACK-iss   | LISTEN                         | -  | ResetOfListener    | =            | 9293 3.10.7.2 first
RST-ACK-iss   | SYN-SENT                       | -  | accepted           | CLOSED       | some stacks; see the code
RST-ACK-iss   | SYN-RECEIVED                   | -  | accepted           | LISTEN       | 9293 3.10.7.4 second
RST-ACK-iss   | SYN-RECEIVED/A                 | -  | accepted           | CLOSED       | 9293 3.10.7.4 second
RST-ACK-iss   | open                           | -  | accepted           | CLOSED       | 5961 3.2
RST-ACK-iss   | TIME-WAIT                      | -  | ResetInTimeWait    | =            | 1337 3

RST-ACK-unsent| CLOSED                         | -  | NoConnection       | =            | 9293 3.10.7.1
RST-ACK-unsent| LISTEN                         | -  | ResetOfListener    | =            | 9293 3.10.7.2 first
RST-ACK-unsent| SYN-SENT                       | -  | ResetNotOfSyn      | =            | 9293 3.10.7.3 first
RST-ACK-unsent| SYN-RECEIVED                   | -  | accepted           | LISTEN       | 9293 3.10.7.4 second
RST-ACK-unsent| SYN-RECEIVED/A                 | -  | accepted           | CLOSED       | 9293 3.10.7.4 second
RST-ACK-unsent| open                           | -  | accepted           | CLOSED       | 5961 3.2
RST-ACK-unsent| TIME-WAIT                      | -  | ResetInTimeWait    | =            | 1337 3
";

const CLASSES: usize = 28;
const STARTS: [&str; 12] = [
    "CLOSED",
    "LISTEN",
    "SYN-SENT",
    "SYN-RECEIVED",
    "SYN-RECEIVED/A",
    "ESTABLISHED",
    "FIN-WAIT-1",
    "FIN-WAIT-2",
    "CLOSE-WAIT",
    "CLOSING",
    "LAST-ACK",
    "TIME-WAIT",
];
const OPEN: [&str; 6] =
    ["ESTABLISHED", "FIN-WAIT-1", "FIN-WAIT-2", "CLOSE-WAIT", "CLOSING", "LAST-ACK"];

fn arrival(class: &str, connection: &Connection) -> Segment {
    const FIN: Flags = Flags::FIN.union(Flags::ACK);
    const SYN_ACK: Flags = Flags::SYN.union(Flags::ACK);
    const TEXT: Flags = Flags::PSH.union(Flags::ACK);
    const RST_ACK: Flags = Flags::RST.union(Flags::ACK);
    let (una, nxt, rcv) = (connection.snd_una(), connection.snd_nxt(), connection.rcv_nxt());
    let none = SeqNum(0);
    let (flags, seq, ack, length) = match class {
        "SYN" => (Flags::SYN, IRS, none, 0),
        "SYN-new" => (Flags::SYN, rcv + 10, none, 0),
        "SYN-beyond" => (Flags::SYN, rcv + 100_000, none, 0),
        "SYN-ACK" => (SYN_ACK, IRS, nxt, 0),
        "SYN-ACK-unsent" => (SYN_ACK, IRS, nxt + 1, 0),
        "ACK" => (Flags::ACK, rcv, nxt, 0),
        "ACK-unsent" => (Flags::ACK, rcv, nxt + 1, 0),
        "ACK-ancient" => (Flags::ACK, rcv, una - 100_000, 0),
        "ACK-before" => (Flags::ACK, rcv - 1, nxt, 0),
        "ACK-beyond" => (Flags::ACK, rcv + 100_000, nxt, 0),
        "text" => (TEXT, rcv, nxt, 10),
        "text-again" => (TEXT, rcv - 10, nxt, 10),
        "text-ahead" => (TEXT, rcv + 10, nxt, 10),
        "text-beyond" => (TEXT, rcv + 100_000, nxt, 10),
        "text-noack" => (Flags::PSH, rcv, none, 10),
        "nothing" => (Flags::NONE, rcv, none, 0),
        "FIN" => (FIN, rcv, nxt, 0),
        "FIN-crossing" => (FIN, rcv, una, 0),
        "FIN-again" => (FIN, rcv - 1, nxt, 0),
        "FIN-ahead" => (FIN, rcv + 10, nxt, 0),
        "FIN-beyond" => (FIN, rcv + 100_000, nxt, 0),
        "FIN-noack" => (Flags::FIN, rcv, none, 0),
        "RST" => (Flags::RST, rcv, none, 0),
        "RST-inside" => (Flags::RST, rcv + 1, none, 0),
        "RST-outside" => (Flags::RST, rcv - 1, none, 0),
        "RST-ACK" => (RST_ACK, rcv, nxt, 0),
        "RST-ACK-iss" => (RST_ACK, rcv, ISS, 0),
        "RST-ACK-unsent" => (RST_ACK, rcv, nxt + 1, 0),
        _ => panic!("no such class: {class}"),
    };
    segment(flags, seq, ack, length)
}

fn start(name: &str) -> Connection {
    let (name, end) = match name {
        "LISTEN" | "SYN-RECEIVED" => (name, End::Server),
        "SYN-RECEIVED/A" => ("SYN-RECEIVED", End::Client),
        _ => (name, End::Client),
    };
    in_state(state_named(name), end)
}

fn state_named(name: &str) -> State {
    State::ALL.into_iter().find(|state| state.name() == name).unwrap()
}

fn verdict_text(verdict: Verdict) -> String {
    match verdict {
        Verdict::Accepted => "accepted".to_owned(),
        Verdict::Duplicate => "duplicate".to_owned(),
        Verdict::OutOfOrder => "out of order".to_owned(),
        Verdict::Rejected(rejection) => format!("{rejection:?}"),
    }
}

/// The answer in the table's notation, its numbers checked against the RFC's formulas.
fn answer_text(sent: &[Transmit], arrived: &Segment, connection: &Connection) -> &'static str {
    let [Transmit { segment, kind }] = sent else {
        assert!(sent.is_empty(), "more than one answer: {sent:?}");
        return "-";
    };
    let Segment { seq, ack, flags, .. } = *segment;
    let ours = (connection.snd_nxt(), connection.rcv_nxt());
    match (flags.letters().as_str(), kind) {
        (".", TransmitKind::First) if (seq, ack) == ours => ".",
        (".", TransmitKind::ChallengeAck) if (seq, ack) == ours => "?",
        ("S.", _) if (seq, ack) == (connection.iss(), arrived.seq + 1) => "S.",
        ("R", TransmitKind::Reset) if seq == arrived.ack => "R",
        ("R.", TransmitKind::Reset) if (seq, ack) == (SeqNum(0), arrived.seq_end()) => "R.",
        _ => panic!("a malformed answer: {segment} ({kind:?})"),
    }
}

#[test]
fn every_state_against_every_segment() {
    let mut covered = Vec::new();
    let mut wrong = Vec::new();
    for row in TABLE.lines().filter(|line| !line.is_empty()) {
        let cells: Vec<_> = row.split('|').map(str::trim).collect();
        let [class, states, answer, verdict, next, clause] = cells[..] else { panic!("{row}") };
        assert!(clause.len() > 3, "no clause: {row}");
        let states = states.split_whitespace();
        for name in states.flat_map(|name| match name {
            "open" => OPEN.to_vec(),
            name => vec![name],
        }) {
            let mut connection = start(name);
            let arrived = arrival(class, &connection);
            let said = verdict_text(connection.handle_segment(&arrived, NOW));
            let sent = drain(&mut connection, NOW);
            let got = answer_text(&sent, &arrived, &connection);
            let then = connection.state();
            let expected = if next == "=" { name.trim_end_matches("/A") } else { next };
            if (got, said.as_str(), then.name()) != (answer, verdict, expected) {
                wrong.push(format!("{class} in {name} ({clause}): {got} | {said} | {then}"));
            }
            assert!(!covered.contains(&(class, name)), "twice: {class} in {name}");
            covered.push((class, name));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    let mut classes: Vec<_> = covered.iter().map(|(class, _)| *class).collect();
    classes.dedup();
    assert_eq!(classes.len(), CLASSES);
    for class in classes {
        for name in STARTS {
            assert!(covered.contains(&(class, name)), "missing: {class} in {name}");
        }
    }
}

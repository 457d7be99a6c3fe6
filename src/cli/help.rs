//! The closing parts of the long helps: examples, exit statuses, privileges.
//!
//! A line that ends in a colon at the margin is a heading, and what belongs to it is indented; the
//! manual pages make sections of it. No line is longer than 78 columns.

/// What a raw socket takes, for every command that opens one.
macro_rules! privileges {
    () => {
        "\
Privileges:
  CAP_NET_RAW and nothing else: run it as root, or give it to the program:
    sudo setcap cap_net_raw+p \"$(command -v shakedown)\"
  No firewall rule is needed. The kernel's own TCP is kept quiet by a socket
  that holds the source port and ends with the process. 'shakedown doctor'
  says what is missing here; 'shakedown demo' needs no privilege.
"
    };
}

pub(super) const ROOT_SHORT: &str = "\
Start with 'shakedown demo', which needs no privilege and no network.
'shakedown COMMAND --help' has the details, with examples.";

pub(super) const ROOT: &str = concat!(
    "\
Examples:
  # all of it against servers in a private network, without root
  shakedown demo
  # every segment and every state of a handshake and its close
  shakedown handshake example.org:443
  # what the peer does when we close first
  shakedown close example.org:443
  # which of these ports are open
  shakedown probe example.org:22,80,443
  # how long a round trip takes, again and again
  shakedown rtt example.org:443
  # how a server opens, closes and aborts connections, by the clauses of TCP
  shakedown check example.org:80 --group fin
  # which hosts of a network have a port open
  shakedown sweep 192.0.2.0/24 -p 443
  # what a client does, when we are the server
  shakedown listen 8080 --echo
  # every step explained below it, in Chinese; what one term means
  shakedown close example.org:443 --explain --lang zh
  shakedown explain time-wait
  # what HTTP does with its connections, and what that costs
  shakedown request https://example.org/ --compare
  # what this host can measure
  shakedown doctor

Targets:
  HOST:PORT, HOST PORT or HOST -p PORT; the port is a number or the name of
  a service. An IPv6 address needs brackets before a colon: [2001:db8::1]:80,
  and a link-local one names its interface: [fe80::1%eth0]:80.

Durations:
  200ms, 50us, 2s or '1m 30s'; a bare number is seconds, as in 0.2. Months and
  years are refused.

Exit status:
  0  the peer did what was asked, or what --expect says
  1  the peer answered otherwise, or not at all
  2  nothing could be measured: a wrong usage, an unknown name, a missing
     privilege, a disturbance by this host itself

Environment:
  NO_COLOR  if set, no colour, unless --color always is given
  COLUMNS   the width of the output
  LC_ALL, LC_CTYPE, LC_MESSAGES, LANG
            whether UTF-8 may be printed, and the language of explanations

Files:
  /etc/services  the names of services

",
    privileges!()
);

pub(super) const HANDSHAKE: &str = concat!(
    "\
Examples:
  # every segment and every state, then a close
  shakedown handshake example.org:443
  # over IPv6, ended by RST
  shakedown handshake -6 example.org https --then rst
  # send a request and show its acknowledgment and the reply
  shakedown handshake example.org:80 --send 'HEAD / HTTP/1.0\\r\\n\\r\\n'
  # a SYN without any option, which some firewalls drop
  shakedown handshake 192.0.2.1:80 --mss none --wscale none --no-sack \\
      --no-timestamps
  # a capture whose packets say what they did, read back by tshark
  shakedown handshake example.org:443 --pcap hs.pcapng
  tshark -r hs.pcapng -T fields -e tcp.flags.str -e frame.comment
  # the same, live
  shakedown handshake example.org:443 --pcap - | wireshark -k -i -
  # what each step means, and each term where it is first used
  shakedown handshake example.org:443 --explain
  # for monitoring: exit with 0 if the port refuses
  shakedown handshake -q 192.0.2.1:23 --expect refused

Exit status:
  0  the handshake completed, or ended as --expect says
  1  the peer answered otherwise, or not at all
  2  nothing could be measured: a wrong usage, an unknown name, a missing
     privilege, a disturbance by this host itself

",
    privileges!()
);

pub(super) const CLOSE: &str = concat!(
    "\
Examples:
  # we close first
  shakedown close example.org:443
  # wait for the server to close: many do so after a request, or when idle
  shakedown close --passive example.org:80 --send 'GET / HTTP/1.0\\r\\n\\r\\n'
  # does the server go on sending after our FIN?
  shakedown close --half example.org:80 --send 'GET / HTTP/1.0\\r\\n\\r\\n'
  # what each step of a close means
  shakedown close example.org:443 --explain
  # both FINs cross, with a patience of 10 seconds
  shakedown close --simultaneous 192.0.2.1:7 -w 10
  # the textbook's sequence diagram of it, with both ends' states
  shakedown close example.org:443 --figure close.svg

Shapes:
  active (default)  we: FIN-WAIT-1, FIN-WAIT-2, TIME-WAIT
                    they: CLOSE-WAIT, LAST-ACK, CLOSED
  --passive         we: CLOSE-WAIT, LAST-ACK, CLOSED
                    they: FIN-WAIT-1, FIN-WAIT-2, TIME-WAIT
  --simultaneous    both: FIN-WAIT-1, CLOSING, TIME-WAIT
  --half            as active, but what comes after our FIN is counted, and it
                    is said whether the peer honoured the half-close

Exit status:
  0  both ends closed in the shape asked for, or it ended as --expect says
  1  the peer answered otherwise, did not close, or did not answer
  2  nothing could be measured: a wrong usage, an unknown name, a missing
     privilege, a disturbance by this host itself

",
    privileges!()
);

pub(super) const PROBE: &str = concat!(
    "\
Examples:
  # one port
  shakedown probe example.org:443
  # several hosts, port lists and ranges
  shakedown probe example.org:22,80,8000-8010 '[2001:db8::1]:https'
  # the same ports of two hosts, for a program to read
  shakedown probe -j -p 22,80,443 192.0.2.1 192.0.2.2
  # the ladder of each probe, explained
  shakedown probe example.org:22,80 --explain
  # one quick try each: no repetition, half a second for the answer
  shakedown probe --retries 0 -W 500ms 192.0.2.1:1-1024

Outcomes:
  open         a SYN-ACK answered; it was reset, the application never saw us
  refused      a RST answered: the port is closed
  filtered     nothing answered through all repetitions
  unreachable  ICMP says that the host, network or port cannot be reached
  prohibited   ICMP says that a firewall forbids it
  invalid      something answered that is no answer to our SYN

Exit status:
  0  every port is open, or answered as --expect says
  1  at least one answered otherwise, or not at all
  2  nothing could be measured: a wrong usage, an unknown name, a missing
     privilege, a disturbance by this host itself

",
    privileges!()
);

pub(super) const RTT: &str = concat!(
    "\
Examples:
  # one probe a second until Ctrl-C; Ctrl-\\ shows how it stands
  shakedown rtt example.org:443
  # ten thousand probes at 1ms, percentiles, a row for each, a picture
  shakedown rtt 192.0.2.1:443 -c 10000 -i 1ms -q --csv rtt.csv --plot rtt.svg
  # the peer's kernel and its application apart
  shakedown rtt example.org:22 --method fin -c 20
  # eight fixed source ports in turn: equal-cost paths seen apart
  shakedown rtt example.org:443 --flows 8 -c 800 -i 10ms
  # many targets, one line for each, in place
  shakedown rtt --targets hosts.txt -p 443
  # for monitoring: one JSON object a line
  shakedown rtt 192.0.2.1:443 -c 5 -i 0.2 --json

What is counted:
  A lost probe has no time, and a probe that is still under way at the end is
  neither lost nor answered. A late answer is credited to its probe. An answer
  to a repeated SYN is timed only where the timestamp option proves which SYN
  it answers (Karn). A refusal (RST) times the host, not the service.

Signals:
  Ctrl-C (SIGINT) ends the run with its summary, Ctrl-\\ (SIGQUIT) prints how
  it stands and goes on.

Exit status:
  0  every target answered at least once as asked, or as --expect says
  1  one of them answered otherwise, or not at all
  2  nothing could be measured: a wrong usage, an unknown name, a missing
     privilege, a disturbance by this host itself

",
    privileges!()
);

pub(super) const CHECK: &str = concat!(
    "\
Examples:
  # how it takes and sends FIN, clause by clause, with what shows it
  shakedown check example.org:80 --group fin
  # everything that is safe and quick, in under a minute
  shakedown check example.org:443
  # one check, with all of its segments
  shakedown check example.org:80 --only fin-hole -v
  # all that there is, and what one of them is about; no target needed
  shakedown check --list
  shakedown check --explain fin-hole
  # retransmission schedules and TIME-WAIT too, which takes minutes
  shakedown check 192.0.2.1:80 --slow --noisy
  # for a regression run: what changed since the last release
  shakedown check 192.0.2.1:80 --json > release-1.jsonl
  shakedown check 192.0.2.1:80 --baseline release-1.jsonl
  # for continuous integration, with a capture of each check
  shakedown check -q 192.0.2.1:80 --junit check.xml --pcap-dir captures

Verdicts:
  PASS  it did what the rule says
  INFO  there is no right and wrong: what was seen
  TOL   it deviates, in a way that is known and harmless
  INC   inconclusive: a silence that the path may explain, or answers that
        differ from run to run
  WARN  a SHOULD is not met
  FAIL  a MUST is broken, four times of four, on new ports each
  N/A   this server or this path cannot be asked

Selection:
  Without options, all checks run that are safe and quick. --only, --group and
  --skip narrow that down, together; names may have * and ?. Noisy and slow
  checks run with --noisy and --slow, or when --only names them exactly;
  intrusive ones with --intrusive only, which asks on a terminal unless there
  is --yes.

Reports:
  --json has every segment of every check, unless --quiet; its schema is in
  the documentation of report::check::json. In TAP a warning is 'not ok' with
  TODO, and what is inconclusive or not applicable is skipped; so it is in
  JUnit XML, where warnings are notes. --baseline compares with an earlier
  --json: a check is worse where it fails or warns and did not, or is
  tolerated and passed. To become inconclusive is shown, and is not worse.

Exit status:
  0  no MUST is broken, as far as it could be decided
  1  a MUST is broken, the target does worse than --baseline says, stopped
     answering, or did not answer at all
  2  nothing could be measured: a wrong usage, an unknown name, a missing
     privilege, a disturbance by this host itself, or an end by Ctrl-C or
     --deadline before the first verdict

",
    privileges!()
);

pub(super) const SWEEP: &str = concat!(
    "\
Examples:
  # which hosts of a network have HTTPS; the rate is 1000 SYNs a second
  shakedown sweep 192.0.2.0/24 -p 443
  # faster, silent targets asked twice, answers to a file
  shakedown sweep 10.0.0.0/16 -p 22,80,443 -r 50k --passes 2 -j -o out.json
  # HOST:PORT of what is open, for the next program
  shakedown sweep 192.0.2.0/24 -p 80 --open-only | head
  # open each connection and close it by FIN: who closes its end, and when
  shakedown sweep 192.0.2.0/24 -p 80 --full
  # the first bytes that servers say, or answer to a request
  shakedown sweep 192.0.2.0/24 -p 22 --banner
  shakedown sweep 192.0.2.0/24 -p 80 --send 'HEAD / HTTP/1.0\\r\\n\\r\\n' -j
  # for the analyst: a column for each field
  shakedown sweep 10.0.0.0/16 -p 443 --rate 50k --parquet sweep.parquet
  # the highest rate without loss
  shakedown sweep --targets hosts.txt --exclude-file never.txt -p 443 -r auto
  # to be continued after a kill, by the same command
  shakedown sweep 10.0.0.0/8 -p 443 --rate 100k -j -o out.json --resume state
  # on four machines, and the proof that together they are all
  shakedown sweep 10.0.0.0/8 -p 443 --seed 7 --shard 0/4 -j -o part0.json
  shakedown sweep --merge part0.json part1.json part2.json part3.json

Outcomes:
  open         a SYN-ACK answered; it was reset, unless --no-rst
  refused      a RST answered: the port is closed
  unreachable  ICMP says that the host, network or port cannot be reached
  prohibited   ICMP says that a firewall forbids it
  With --full, --banner or --send, of connections that were open:
  closed       both ends sent a FIN, and both were acknowledged
  still-open   our FIN was acknowledged, and the server's own never came
  fin-ignored  our FIN was not even acknowledged
  reset        the server reset it

What is counted:
  An answer counts only if its acknowledgment number proves that whoever sent
  it has seen our SYN; others are rejected, counted and named. Every target is
  counted once: open, refused, unreachable, silent or not probed. Silence is
  no proof: one pass cannot tell a lost SYN from a filter, --passes 2 can. A
  time comes with how much it may be wrong. What this host itself dropped is
  said.

Order and pace:
  All ports of all hosts in a pseudo-random order, each once; the rate is of
  SYNs, and --max-per-host and --max-per-net bound it where it hurts. A half
  open connection is reset at once. Sweep what you are allowed to.

Signals:
  Ctrl-C (SIGINT) stops sending, waits for late answers and ends with the
  account. With --resume FILE the same command goes on later, also after
  SIGKILL.

Reports:
  A terminal shows a row for each answer and the account; a pipe gets
  HOST:PORT lines on stdout, and the account on stderr. --json, --csv and
  --parquet have all fields; the schema is in the documentation of
  report::sweep.

Exit status:
  0  the sweep is complete, and somebody answered
  1  nobody answered, it was cut short, or --merge misses a part
  2  nothing could be measured: a wrong usage, an unknown name, a missing
     privilege, a disturbance by this host itself

",
    privileges!()
);

pub(super) const LISTEN: &str = concat!(
    "\
Examples:
  # who connects, with what offer, and how it closes
  shakedown listen 8080
  # the whole ladder of one client
  shakedown listen 8080 --echo -c 1
  # the same, with what each step means
  shakedown listen 8080 --echo -c 1 --explain
  # we close first, half a second after the handshake
  shakedown listen 192.0.2.1:8080 --close-after 500ms -v
  # a file for any client, with its HTTP header or without
  shakedown listen 8080 --reply page.http
  # does the client try again, and how patiently?
  shakedown listen 8080 --drop-syn 3 -v
  # does it notice a reset in the middle of its download?
  shakedown listen 8080 --reply big.bin --rst-after 64KiB
  # its FIN is never acknowledged; for a program to read
  shakedown listen 8080 --no-final-ack --json
  # a sequence diagram of the first client that opens
  shakedown listen 8080 --echo --figure first.svg
  # simultaneous open and simultaneous close, with any client
  shakedown listen 8080 --simultaneous-open --simultaneous-close -v

What is shown:
  On a terminal a table of the clients, elsewhere a line when one has opened
  and a line at its end; with -v, or -c 1, the ladder of every segment. The
  client is on the left, we are on the right: our states are known, those of
  the client are proved, implied or assumed. What system a client may be is
  a suspicion, by its TTL and the order of its options.

Signals:
  Ctrl-C (SIGINT) closes every connection by FIN, and those that do not come
  to their end within half a second by RST, and prints the summary.

Exit status:
  0  clients came, and all opened a connection, or ended as --expect says;
     with -c, N of them
  1  a client did otherwise, or none came
  2  nothing could be measured: a wrong usage, a port in use, a missing
     privilege, a disturbance by this host itself

",
    privileges!()
);

pub(super) const EXPLAIN: &str = "\
Examples:
  # all there is to know of a state
  shakedown explain fin-wait-1
  # a flag, a field, an option, a timer, an idea
  shakedown explain rst
  shakedown explain sequence number
  shakedown explain window scale
  shakedown explain 2MSL
  shakedown explain half-close
  # the header of a segment, drawn bit by bit, in Chinese
  shakedown explain segment --lang zh
  # a check of the battery
  shakedown explain fin-hole
  # everything that can be explained; for a program
  shakedown explain
  shakedown explain time-wait --json

Language:
  That of the locale (LC_ALL, LC_MESSAGES, LANG): Chinese where it begins with
  zh and is UTF-8, English otherwise. --lang en and --lang zh choose.

Exit status:
  0  the term was explained
  2  there is no such term
";
pub(super) const REQUEST_TIMEOUT: &str =
    "Wait this long for the next bytes of a response, and for the answer to the last SYN";

pub(super) const REQUEST: &str = concat!(
    "\
Examples:
  # one page, and where its time went
  shakedown request http://example.org/
  # the same with every segment, and both ends' states
  shakedown request http://example.org/ -v
  # ten requests: ten handshakes, or one
  shakedown request http://example.org/ -c 10 --http 1.0
  shakedown request http://example.org/ -c 10 --http 1.1
  # all versions against the same server: what reuse saves
  shakedown request https://example.org/ --compare --rounds 5
  # how long the server keeps an idle connection
  shakedown request https://example.org/ --http 1.1 --idle
  # a test server with a certificate of its own
  shakedown request https://[::1]:8443/ --cacert ca.pem
  # for a program, and for the developer tools of a browser
  shakedown request https://example.org/ -c 3 --json --har run.har

Connections:
  HTTP/1.0 opens a connection for each request, which the server closes.
  HTTP/1.1 sends one request after the other on one connection, HTTP/2 all of
  them at the same time. Where a server closes earlier, that is said, and what
  is left is asked on another connection. With -g PORT the connections take
  that port and those behind it. TLS sessions are not resumed: each connection
  makes the whole handshake.

Signals:
  Ctrl-C (SIGINT) asks no more, closes every connection by FIN, or by RST if
  that takes longer than half a second, and prints what there is.

Exit status:
  0  every request was answered to the end, whatever its status (but see -f)
  1  one was not: refused, reset, too late, a certificate that is not
     believed, a version that the server does not speak
  2  nothing could be measured: a wrong usage, an unknown name, a missing
     privilege, a disturbance by this host itself

",
    privileges!()
);

pub(super) const DOCTOR: &str = "\
Examples:
  # what this host can do, one line each, with the remedy where it cannot
  shakedown doctor
  # also the route, the interface and its clock towards a target
  shakedown doctor example.org:443

Exit status:
  0  everything that a measurement needs is there
  1  something is missing
  2  this host could not be examined

Privileges:
  None. What the program lacks is what this command is there to say.
";

pub(super) const DEMO: &str = "\
Examples:
  # as an ordinary user
  shakedown demo
  # where user namespaces are refused
  sudo shakedown demo

Exit status:
  0  every part of the demonstration went as it should
  1  a part of it did not
  2  the private network could not be set up

Privileges:
  None where the system lets users create namespaces, root elsewhere. Nothing
  leaves the private network, and nothing of it stays behind.
";

pub(super) const COMPLETIONS: &str = "\
Examples:
  # bash: for this session, or for good
  source <(shakedown completions bash)
  shakedown completions bash > \\
      ~/.local/share/bash-completion/completions/shakedown
  # zsh: into a directory of $fpath
  shakedown completions zsh > ~/.zfunc/_shakedown
  # fish
  shakedown completions fish > ~/.config/fish/completions/shakedown.fish

Exit status:
  0  the script was printed
  2  it could not be printed
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_line_is_longer_than_a_narrow_terminal() {
        for text in [
            ROOT_SHORT,
            ROOT,
            HANDSHAKE,
            CLOSE,
            PROBE,
            CHECK,
            LISTEN,
            REQUEST,
            DOCTOR,
            DEMO,
            COMPLETIONS,
        ] {
            for line in text.lines() {
                assert!(line.chars().count() <= 78, "{line}");
            }
        }
    }
}

//! Bad input: one clear line on stderr, nothing on stdout, exit status 2.

#![allow(clippy::expect_used)] // A helper of a test fails it in the same way as the test does.

use std::process::{Command, Stdio};

use assert_cmd::cargo::cargo_bin;

/// What the program says on stderr of a command line that it refuses.
fn refusal(words: &[&str]) -> String {
    let mut command = Command::new(cargo_bin("shakedown"));
    command.args(words).stdin(Stdio::null());
    refusal_of(command, words)
}

fn refusal_of(mut command: Command, words: &[&str]) -> String {
    let output = command.output().expect("run");
    assert_eq!(output.status.code(), Some(2), "{words:?}");
    assert!(output.stdout.is_empty(), "{words:?}");
    String::from_utf8(output.stderr).expect("text")
}

/// The first line of a wrong usage, after which only the way to the help may stand.
fn usage(words: &[&str]) -> String {
    let text = refusal(words);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 2, "{words:?}: {text}");
    assert_eq!(lines[1], "For more information, try '--help'.");
    lines[0].to_owned()
}

#[test]
fn what_is_missing_or_unknown_is_named() {
    for (words, line) in [
        (
            &["handshake"][..],
            "shakedown: the following required arguments were not provided: <HOST:PORT>",
        ),
        (&["probe"], "shakedown: the following required arguments were not provided: <TARGET>..."),
        (
            &["handshak"],
            "shakedown: unrecognized subcommand 'handshak' (a similar subcommand exists: 'handshake')",
        ),
        (
            &["close", "h:1", "--half", "--passive"],
            "shakedown: the argument '--half' cannot be used with '--passive'",
        ),
        (
            &["close", "h:1", "-4", "-6"],
            "shakedown: the argument '--ipv4' cannot be used with '--ipv6'",
        ),
        (
            &["close", "h", "1", "-p", "1"],
            "shakedown: the argument '[PORT]' cannot be used with '--port <PORT>'",
        ),
        (
            &["close", "h:1", "--send", "x", "--send-file", "-"],
            "shakedown: the argument '--send <TEXT>' cannot be used with '--send-file <FILE>'",
        ),
        (
            &["rtt", "h:1", "-c", "0"],
            "shakedown: invalid value '0' for '--count <N>': write a number from 1 to 4294967295",
        ),
        (
            &["probe", "h:1", "--expect", "reset"],
            "shakedown: invalid value 'reset' for '--expect <ANSWER>' [possible values: open, \
             refused, filtered, unreachable, prohibited, invalid] (a similar value exists: 'refused')",
        ),
        (
            &["close", "h:1", "--explain", "-q"],
            "shakedown: the argument '--explain' cannot be used with '--quiet'",
        ),
        (
            &["listen", "80", "--lang", "zh"],
            "shakedown: the following required arguments were not provided: --explain",
        ),
        (
            &["handshake", "h:1", "--explain", "--lang", "de"],
            "shakedown: invalid value 'de' for '--lang <LANG>' [possible values: en, zh]",
        ),
        (
            &["completions", "tcsh"],
            "shakedown: invalid value 'tcsh' for '<SHELL>' [possible values: bash, elvish, fish, \
             powershell, zsh] (a similar value exists: 'zsh')",
        ),
    ] {
        assert_eq!(usage(words), line, "{words:?}");
    }
}

#[test]
fn an_unknown_term_gets_the_nearest_ones() {
    for (words, line) in [
        (
            &["explain", "fin-wait-3"][..],
            "shakedown: no term is called 'fin-wait-3': did you mean 'FIN-WAIT-1' or \
             'FIN-WAIT-2'? 'shakedown explain' lists them all\n",
        ),
        (
            &["explain", "sequence", "numbr"],
            "shakedown: no term is called 'sequence numbr': did you mean 'sequence number'? \
             'shakedown explain' lists them all\n",
        ),
        (
            &["explain", "\u{9b}2J"],
            "shakedown: no term is called '\\u{9b}2J': 'shakedown explain' lists them all\n",
        ),
        (&["explain", "---"], ""),
        (&["explain", ""], "shakedown: no term is called '': 'shakedown explain' lists them all\n"),
    ] {
        let text = refusal(words);
        if line.is_empty() {
            assert!(text.contains("unexpected argument"), "{text}");
        } else {
            assert_eq!(text, line, "{words:?}");
        }
    }
}

#[test]
fn a_value_that_cannot_be_is_refused_with_what_to_write() {
    let duration = "write it as 200ms, 50us, 2s or '1m 30s'; a bare number is seconds";
    for (option, value, reason) in [
        ("--timeout <DURATION>", "soon", duration),
        ("--timeout <DURATION>", "NaN", duration),
        ("--timeout <DURATION>", "0", "it must be more than zero"),
        ("--timeout <DURATION>", "-1", "a duration cannot be negative"),
        ("--timeout <DURATION>", "-1s", "a duration cannot be negative"),
        (
            "--deadline <DURATION>",
            "1month",
            "months and years are refused ('month'): m is minutes, d is days",
        ),
        (
            "--deadline <DURATION>",
            "1e30",
            "'e' is no unit: write it as 200ms, 50us, 2s or '1m 30s'; a bare number is seconds",
        ),
        (
            "--deadline <DURATION>",
            "99999999999999",
            "it is longer than can be counted in nanoseconds (584 years)",
        ),
        ("--retries <N>", "-1", "write a number from 0 to 30"),
        ("--ttl <N>", "0", "write a number from 1 to 255"),
        ("--tos <N>", "256", "write a number from 0 to 255"),
        ("--mss <N|none>", "0", "write a number from 1 to 65535, or none"),
        ("--wscale <N|none>", "15", "write a number from 0 to 14, or none"),
        ("--window <BYTES>", "65536", "write a number from 0 to 65535"),
        ("--isn <N>", "4294967296", "write a number from 0 to 4294967295"),
        ("--source-port <PORT>", "70000", "write a number from 1 to 65535"),
        (
            "--source <ADDRESS>",
            "eth0",
            "write an address of this host, as in 192.0.2.7 or 2001:db8::7 (names: -I INTERFACE)",
        ),
        (
            "--interface <NAME>",
            "a-very-long-name",
            "an interface name has 1 to 15 characters, as in eth0; 'ip link' lists them",
        ),
        ("--then <WHAT>", "wait", "write close, rst or hold=DURATION, as in hold=5s"),
        ("--send <TEXT>", "\\q", "'\\q' is no escape: known are \\r \\n \\t \\0 \\\\ \\xHH"),
    ] {
        let name = option.split(' ').next().expect("a name");
        let line = usage(&["handshake", "h:1", &format!("{name}={value}")]);
        assert_eq!(line, format!("shakedown: invalid value '{value}' for '{option}': {reason}"));
        // An argument by itself must not be taken for an option because of its sign.
        assert_eq!(usage(&["handshake", "h:1", name, value]), line);
    }
    assert_eq!(
        usage(&["close", "h:1", "--msl", "3m"]),
        "shakedown: invalid value '3m' for '--msl <DURATION>': an MSL is two minutes at most \
         (RFC 9293)"
    );
    assert_eq!(
        usage(&["probe", "h:1", "--parallel", "0"]),
        "shakedown: invalid value '0' for '--parallel <N>': write a number from 1 to 1024"
    );
}

#[test]
fn a_target_that_cannot_be_reached_by_its_spelling_is_refused_by_every_command() {
    for (words, line) in [
        (&["h:0"][..], "port 0 cannot be connected to: ports are 1 to 65535"),
        (&["h:70000"], "port 70000 is out of range: ports are 1 to 65535"),
        (&["h:"], "there is no port where one belongs: ports are 1 to 65535"),
        (&[":80"], "':80' names no host: write it as HOST:PORT"),
        (&[""], "'' names no host: write it as HOST:PORT"),
        (&["h"], "'h' has no port: write h:443, or add -p 443"),
        (&["::1"], "'::1' is an IPv6 address without a port: write [::1]:443, or add -p 443"),
        (&["h:nosuch"], "'nosuch' is no port number, and no service that /etc/services knows"),
        (&["-4", "[::1]:80"], "-4 asks for IPv4, but ::1 is an IPv6 address: leave out -4"),
        (
            &["-6", "127.0.0.1:80"],
            "-6 asks for IPv6, but 127.0.0.1 is an IPv4 address: leave out -6",
        ),
        (&["224.0.0.1:80"], "224.0.0.1 is a multicast address: TCP connects to single hosts only"),
        (&["[fe80::1%nosuch0]:80"], "no such interface 'nosuch0': 'ip link' lists them"),
        (
            &["http://example.org/"],
            "'http://example.org/' is a URL: write its host and port, as in example.org:80",
        ),
    ] {
        for command in ["handshake", "close", "probe"] {
            let words = [&[command], words].concat();
            assert_eq!(refusal(&words), format!("shakedown: {line}\n"), "{words:?}");
        }
    }
}

#[test]
fn ports_of_a_probe_are_checked_one_by_one() {
    for (words, line) in [
        (&["h:10-5"][..], "the range 10-5 runs backwards: write 5-10"),
        (&["h:22,,80"], "there is no port where one belongs: ports are 1 to 65535"),
        (&["-p", "1-", "h"], "the range '1-' needs two ends, as in 8000-8010"),
        (&["h:1", "2"], "'2' stands where a host belongs: ports come after their host"),
    ] {
        let words = [&["probe"], words].concat();
        assert_eq!(refusal(&words), format!("shakedown: {line}\n"), "{words:?}");
    }
    assert_eq!(
        refusal(&["handshake", "h:22,80"]),
        "shakedown: '22,80' is more than one port: 'shakedown probe' takes lists and ranges\n"
    );
}

#[test]
fn a_selection_of_checks_that_cannot_be_is_one_line() {
    let list = "'shakedown check --list' names them all";
    for (words, line) in [
        (&["--only", "fin-hol"][..], "no check is called 'fin-hol': did you mean 'fin-hole'"),
        (&["--skip", "qqqqqq"], &format!("no check is called 'qqqqqq': {list}\n")),
        (&["--only", "qq*"], &format!("no check's name matches 'qq*': {list}\n")),
        (&["--group", "fim"], "no group is called 'fim': did you mean 'fin'"),
        (&["--group", "qqq"], "no group is called 'qqq': groups are closed, listen, syn, "),
        (
            &["--only", "fin-hole", "--skip", "fin-*"],
            &format!("no check is left by --only and --skip: {list}\n"),
        ),
        (
            &["--only", "fin-hole", "--group", "isn"],
            &format!("no check is left by --only and --group: {list}\n"),
        ),
        (&["--pcap", "x"], "check writes a capture for each check: --pcap-dir DIR in place of"),
        (&["-g", "5000"], "check takes fresh source ports for every check: leave out"),
        (&["--ttl", "3"], "the checks choose TTL and type of service themselves: leave out"),
        (
            &["--baseline", "/nonexistent/x"],
            "cannot read the baseline '/nonexistent/x': No such file or directory (os error 2)\n",
        ),
        (
            &["--baseline", "/etc/passwd"],
            "'/etc/passwd' is no report of 'check --json': line 1 is no record of it\n",
        ),
        (&["--junit", "-", "--tap"], "standard output cannot take two reports: give --junit a"),
    ] {
        // A simulation, so that it is not the missing privilege that is complained of.
        let mut command = Command::new(cargo_bin("shakedown"));
        let words = [&["check", "192.0.2.1:80"], words].concat();
        command.args(&words).env("SHAKEDOWN_SIM", "echo").stdin(Stdio::null());
        let text = refusal_of(command, &words);
        assert!(text.starts_with(&format!("shakedown: {line}")), "{words:?}: {text}");
        assert_eq!(text.lines().count(), 1, "{words:?}: {text}");
    }
    let text = refusal(&["check", "--explain", "fin-hoel"]);
    assert!(text.starts_with("shakedown: no check is called 'fin-hoel': did you mean "), "{text}");
    assert_eq!(
        usage(&["check"]),
        "shakedown: the following required arguments were not provided: <HOST:PORT>"
    );
    for (words, line) in [
        (["--tap", "--json"], "'--tap' cannot be used with '--json'"),
        (["--list", "--tap"], "'--list' cannot be used with '--tap'"),
    ] {
        let line = format!("shakedown: the argument {line}");
        assert_eq!(usage(&[&["check", "h:1"], &words[..]].concat()), line);
    }
}

#[test]
fn a_sweep_that_cannot_be_is_one_line() {
    let hosts = "192.0.2.0/24";
    for (words, line) in [
        (&["-", "-p", "80"][..], "hosts come from standard input by --targets -"),
        (&[hosts][..], "there is no port to sweep: name some, as in -p 443 or -p 22,80,8000-8010"),
        (
            &["-p", "80"],
            "standard input names no host: write them as in 192.0.2.0/24, here or with --targets FILE",
        ),
        (
            &["-p", "80", "--targets", "/dev/null"],
            "'/dev/null' names no host: write them as in 192.0.2.0/24, here or with --targets FILE",
        ),
        (
            &["-p", "80", "--targets", "/nonexistent/x"],
            "cannot open '/nonexistent/x': No such file or directory (os error 2)",
        ),
        (
            &["-p", "80", "224.0.0.0/24"],
            "'224.0.0.0/24' has no host that could answer: 224.0.0.0/4 (multicast, RFC 5771) is no \
             place for hosts; leave it out",
        ),
        (
            &["-p", "80", "192.0.2.0/33"],
            "'192.0.2.0/33' has no prefix length from 0 to 32 after the '/': write it as in \
             192.0.2.0/24",
        ),
        (
            &["-p", "80", "192.0.2.300"],
            "'192.0.2.300' is no IPv4 address: it has four numbers from 0 to 255, without leading \
             zeros",
        ),
        (
            &["-p", "80", "192.0.2.9-192.0.2.1"],
            "the range 192.0.2.9-192.0.2.1 runs backwards: write 192.0.2.1-192.0.2.9",
        ),
        (
            &["-p", "80", "10.0.0.0/255.0.0.0"],
            "'10.0.0.0/255.0.0.0' has a netmask: write 10.0.0.0/8",
        ),
        (
            &["-p", "80", "192.0.2.1:80"],
            "'192.0.2.1:80' has a port: write 192.0.2.1, and the port with -p 80",
        ),
        (
            &["-p", "80", "fe80::1"],
            "link-local addresses need their interface: write them as in fe80::1%eth0, or add -I eth0",
        ),
        (&["-p", "80", "-6", hosts], "all hosts are IPv4 addresses: leave out -6"),
        (
            &["-p", "80", hosts, "--exclude", "192.0.0.0/16"],
            "no host is left to sweep: every one of the 256 named is excluded",
        ),
        (
            &["-p", "80", hosts, "--exclude", "x/9"],
            "--exclude: 'x/9' is a name with a prefix length: write the network by its address, as \
             in 192.0.2.0/24",
        ),
    ] {
        let words = [&["sweep"], words].concat();
        assert_eq!(refusal(&words), format!("shakedown: {line}\n"), "{words:?}");
    }
}

#[test]
fn options_of_a_sweep_are_refused_with_what_to_write() {
    let hosts = "192.0.2.0/24";
    for (words, line) in [
        (&["-p", "0", hosts][..], "port 0 cannot be connected to: ports are 1 to 65535"),
        (&["-p", "9-5", hosts], "the range 9-5 runs backwards: write 5-9"),
        (
            &["-p", "80", hosts, "--seed", "1", "--shard", "4"],
            "'4' is no shard: write its number and how many there are, as in 0/16",
        ),
        (
            &["-p", "80", hosts, "--seed", "1", "--shard", "4/4"],
            "there is no shard 4/4: shards are counted from 0, so the last one is 3/4",
        ),
        (
            &["-p", "80", hosts, "--shard", "0/4"],
            "--shard needs --seed N, the same for all shards: they are parts of one order",
        ),
        (
            &["-p", "80", hosts, "--csv", "--fields", "addr,addr"],
            "field 'addr' is named twice: a record has each field once",
        ),
        (
            &["-p", "80", hosts, "--fields", "addr"],
            "--fields is for --json, --csv and --parquet: add one of them",
        ),
        (
            &["-p", "80", hosts, "--banner", "--send", &"x".repeat(1209)],
            "--send: 1209 bytes to send: at most 1208 go into one segment to every host",
        ),
        (
            &["--merge", "/nonexistent/part0"],
            "cannot read '/nonexistent/part0': No such file or directory (os error 2)",
        ),
        (&["--merge", "/nonexistent/x", "/nonexistent/x"], "'/nonexistent/x' is named twice"),
        (
            &["--merge", "/etc/passwd"],
            "'/etc/passwd': line 1 is no record of a sweep: expected value in column 1",
        ),
    ] {
        let words = [&["sweep"], words].concat();
        assert_eq!(refusal(&words), format!("shakedown: {line}\n"), "{words:?}");
    }
    let text = refusal(&["sweep", "-p", "80", hosts, "--json", "--fields", "addr,rtt"]);
    let line = "shakedown: unknown field 'rtt': did you mean 'rtt_ns'? the fields are addr, port, ";
    assert!(text.starts_with(line), "{text}");
    assert_eq!(text.lines().count(), 1, "{text}");
}

#[test]
fn options_of_a_sweep_that_exclude_each_other_are_named() {
    let rate = "write SYNs a second, as in 1000, 50k or 1.5M, or auto or max";
    for value in ["fast", "0", "-3", "1e6"] {
        assert_eq!(
            usage(&["sweep", "192.0.2.1", "-p", "80", "--rate", value]),
            format!("shakedown: invalid value '{value}' for '--rate <RATE>': {rate}")
        );
    }
    assert_eq!(
        usage(&["sweep", "--merge"]),
        "shakedown: a value is required for '--merge <FILE>...' but none was supplied"
    );
    for (words, line) in [
        (
            &["--resume", "x", "--parquet", "y"][..],
            "'--resume <FILE>' cannot be used with '--parquet <FILE>'",
        ),
        (&["--json", "--csv"], "'--json' cannot be used with '--csv'"),
        (&["--no-rst", "--full"], "'--no-rst' cannot be used with '--full'"),
    ] {
        let line = format!("shakedown: the argument {line}");
        assert_eq!(usage(&[&["sweep", "192.0.2.1", "-p", "80"], words].concat()), line);
    }
    for (words, other) in [
        (&["--ports", "80"][..], "--ports <PORTS>"),
        (&["--rate", "5"], "--rate <RATE>"),
        (&["--full"], "--full"),
    ] {
        let words = [&["sweep", "--merge", "x"], words].concat();
        assert_eq!(
            usage(&words),
            format!("shakedown: the argument '--merge <FILE>...' cannot be used with '{other}'")
        );
    }
}

#[test]
fn a_sweep_does_not_continue_from_what_is_no_note_of_it() {
    let text = refusal(&["sweep", "127.0.0.1", "-p", "9", "--resume", "/etc/passwd"]);
    assert_eq!(
        text,
        "shakedown: '/etc/passwd' notes no progress of a sweep, or is damaged: expected value at \
         line 1 column 1\n"
    );
}

#[test]
fn a_name_that_does_not_resolve_is_one_line() {
    // RFC 6761 §6.4: nothing under .invalid exists. In which words a resolver says so differs.
    let text = refusal(&["probe", "nosuch.invalid:80"]);
    assert!(text.starts_with("shakedown: cannot resolve 'nosuch.invalid': "), "{text}");
    assert_eq!(text.lines().count(), 1, "{text}");
}

#[test]
fn a_file_that_cannot_be_sent_is_named() {
    assert_eq!(
        refusal(&["handshake", "127.0.0.1:9", "--send-file", "/nonexistent/x"]),
        "shakedown: cannot open '/nonexistent/x': No such file or directory (os error 2)\n"
    );
    assert_eq!(
        refusal(&["generate-man", "/nonexistent"]),
        "shakedown: cannot write '/nonexistent/shakedown.1': No such file or directory (os error 2)\n"
    );
}

#[test]
fn control_characters_of_an_argument_do_not_reach_the_terminal() {
    let text = refusal(&["handshake", "a\u{1b}[2J\nb:80"]);
    assert_eq!(text, "shakedown: 'a\\u{1b}[2J\\u{a}b' is no host name: it contains '\\u{1b}'\n");
}

#[test]
fn without_a_command_the_help_is_shown_on_stderr() {
    let text = refusal(&[]);
    assert!(text.starts_with("Speak TCP by hand"), "{text}");
    assert!(text.contains("Start with 'shakedown demo'"), "{text}");
}

#[test]
fn the_version_is_printed_and_nothing_else() {
    let output = Command::new(cargo_bin("shakedown")).arg("-V").output().expect("run");
    assert_eq!(output.status.code(), Some(0));
    let expected = format!("shakedown {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(String::from_utf8_lossy(&output.stdout), expected);
}

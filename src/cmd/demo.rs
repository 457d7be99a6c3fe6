//! `shakedown demo`: all of it against real kernel servers in a private network, without root.

mod servers;

use std::ffi::OsString;
use std::io::{self, Write};
use std::process::Command;

use anyhow::Context as _;
use colored::Colorize as _;

use super::{Environment, ExitStatus};
use crate::cli::DemoArgs;
use crate::cli::shared::ColorChoice;
use crate::net::linux::namespace::{self, NamespaceError};
use servers::{ANSWERS_AFTER_EOF, CLOSED, CLOSES_AFTER_US, CLOSES_FIRST, SILENT, Servers};

/// One command of the demo, and what it shows.
struct Scene {
    title: &'static str,
    words: Vec<String>,
}

/// Runs the subcommand.
///
/// # Errors
/// Where no private network is to be had, or a scene cannot be played.
pub fn run(args: &DemoArgs, environment: &Environment) -> anyhow::Result<ExitStatus> {
    // Before any thread is started: a user namespace is entered by a whole process.
    enter()?;
    // They listen until the demo ends.
    let _servers = Servers::start().context("cannot start the demo's servers")?;
    let program = std::env::current_exe().context("cannot find this program's own file")?;
    let colored = environment.colours(args.color.color);
    colored::control::set_override(colored);

    let mut all_as_expected = true;
    say(&introduction())?;
    for (number, scene) in (1..).zip(scenes()) {
        say(&format!("\n{}\n", format!("{number}. {}", scene.title).bold()))?;
        say(&format!("{} shakedown {}\n\n", "$".dimmed(), scene.words.join(" ")))?;
        let status = Command::new(&program)
            .args(words_for_child(&scene, args, colored))
            .status()
            .context("cannot run a scene")?;
        all_as_expected &= status.success();
    }
    say(&farewell())?;
    Ok(if all_as_expected { ExitStatus::AsAsked } else { ExitStatus::Otherwise })
}

/// A private network: root needs no user namespace for it, and gets by where those are refused.
fn enter() -> Result<(), NamespaceError> {
    namespace::enter_network_only().or_else(|_| namespace::enter_private())
}

/// The scene's own words and the choices of output that hold for the whole demo.
fn words_for_child(scene: &Scene, args: &DemoArgs, colored: bool) -> Vec<OsString> {
    let color = if colored { ColorChoice::Always } else { ColorChoice::Never };
    let color = if color == ColorChoice::Always { "--color=always" } else { "--color=never" };
    let verbose = std::iter::repeat_n("-v", usize::from(args.verbose));
    let words = scene.words.iter().map(String::as_str);
    words.chain([color]).chain(verbose).map(OsString::from).collect()
}

fn scenes() -> Vec<Scene> {
    let scene =
        |title, line: String| Scene { title, words: line.split(' ').map(str::to_owned).collect() };
    vec![
        scene(
            "A handshake, a line there and back, and a graceful close",
            format!("handshake 127.0.0.1:{CLOSES_AFTER_US} --send hello"),
        ),
        scene(
            "The same over IPv6, ended by a reset",
            format!("handshake [::1]:{CLOSES_AFTER_US} --then rst"),
        ),
        scene(
            "We close first: FIN-WAIT-1, FIN-WAIT-2, TIME-WAIT against CLOSE-WAIT, LAST-ACK",
            format!("close 127.0.0.1:{CLOSES_AFTER_US} --msl 100ms"),
        ),
        scene(
            "They close first: we pass through CLOSE-WAIT and LAST-ACK",
            format!("close 127.0.0.1:{CLOSES_FIRST} --passive"),
        ),
        scene(
            "Both close at once: CLOSING on both sides",
            format!("close 127.0.0.1:{CLOSES_FIRST} --simultaneous --msl 100ms"),
        ),
        scene(
            "Half-close: our direction ends, theirs goes on",
            format!("close 127.0.0.1:{ANSWERS_AFTER_EOF} --half --send ping --msl 100ms"),
        ),
        scene(
            "Half-open probes: two open ports, a closed one, and one that drops everything",
            format!(
                "probe 127.0.0.1:{CLOSES_AFTER_US},{CLOSES_FIRST},{CLOSED},{SILENT} --retries 1 \
                 -W 500ms --expect open,refused,filtered"
            ),
        ),
        scene(
            "Round-trip times: the peer's kernel and its application apart, by the kernel's stamps",
            format!("rtt 127.0.0.1:{CLOSES_AFTER_US} --method fin -c 50 -i 5ms -q"),
        ),
    ]
}

fn introduction() -> String {
    format!(
        "This is a private network namespace: its loopback, its kernel's TCP, and four servers.\n\
         Every SYN, ACK and FIN of ours below is made by hand; every answer is the kernel's.\n\
         \n\
         127.0.0.1:{CLOSES_AFTER_US:<5} echoes, and closes after us\n\
         127.0.0.1:{CLOSES_FIRST:<5} greets, and closes first\n\
         127.0.0.1:{ANSWERS_AFTER_EOF:<5} reads to the end, then answers, then closes\n\
         127.0.0.1:{CLOSED:<5} is closed\n\
         127.0.0.1:{SILENT:<5} drops everything\n"
    )
}

fn farewell() -> String {
    format!(
        "\n{}\n\n  \
         shakedown doctor example.org            what this host can measure, and what is missing\n  \
         sudo shakedown handshake example.org:443\n  \
         sudo shakedown close example.org:80 --half --send 'HEAD / HTTP/1.0\\r\\n\\r\\n'\n  \
         sudo shakedown probe example.org:22,80,443,8000-8010\n  \
         sudo shakedown rtt example.org:443 -c 100 -i 100ms\n\n\
         To do without sudo, give the program its one capability:\n  \
         sudo setcap cap_net_raw+p \"$(command -v shakedown)\"\n",
        "Next, against a real host:".bold()
    )
}

/// Prints at once, so that the scenes' own output comes in its place also in a pipe.
fn say(text: &str) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).context("cannot write")
}

//! The manual pages, from the definition of the command line.

use std::io;

use anyhow::Context;
use clap::{Command, CommandFactory};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

use super::exit::ExitStatus;
use super::line::escaped;
use crate::cli::{Cli, GenerateManArgs};

/// Writes all pages into a directory.
///
/// # Errors
/// A page cannot be written.
pub(super) fn run(args: &GenerateManArgs) -> anyhow::Result<ExitStatus> {
    for (name, page) in pages().context("cannot generate the manual")? {
        let path = args.directory.join(name);
        let shown = escaped(&path.to_string_lossy());
        std::fs::write(&path, page).with_context(|| format!("cannot write '{shown}'"))?;
    }
    Ok(ExitStatus::AsAsked)
}

/// Every page with the name of its file: `shakedown.1`, and one for each subcommand.
///
/// # Errors
/// None in practice: the pages are written to memory.
pub fn pages() -> io::Result<Vec<(String, Vec<u8>)>> {
    // `help` is no command to read about, and has no page that could be referred to.
    let mut root = Cli::command().disable_help_subcommand(true);
    root.build();
    let mut pages = vec![("shakedown.1".to_owned(), page(&root)?)];
    for command in root.get_subcommands().filter(|command| !command.is_hide_set()) {
        pages.push((format!("shakedown-{}.1", command.get_name()), page(command)?));
    }
    Ok(pages)
}

fn page(command: &Command) -> io::Result<Vec<u8>> {
    let source = format!("shakedown {}", env!("CARGO_PKG_VERSION"));
    let man = Man::new(command.clone()).source(source).manual("Shakedown Manual");
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    if command.has_subcommands() {
        man.render_subcommands_section(&mut page)?;
    }
    if let Some(text) = command.get_after_long_help() {
        sections(&text.to_string()).to_writer(&mut page)?;
    }
    see_also(command).to_writer(&mut page)?;
    Ok(page)
}

/// The closing part of a long help, `Heading:` and indented lines below, as sections of a page.
fn sections(text: &str) -> Roff {
    let mut roff = Roff::new();
    let mut filling = true;
    for line in text.lines() {
        let fill = !line.starts_with("  ");
        if fill != filling && !line.is_empty() {
            roff.control(if fill { "fi" } else { "nf" }, []);
            filling = fill;
        }
        match line.strip_suffix(':') {
            Some(heading) if fill => {
                roff.control("SH", [heading.to_uppercase().as_str()]);
            }
            _ if line.is_empty() => {}
            _ => {
                roff.text([roman(line.strip_prefix("  ").unwrap_or(line))]);
            }
        }
    }
    if !filling {
        roff.control("fi", []);
    }
    roff
}

/// Where to read on.
fn see_also(command: &Command) -> Roff {
    let mut roff = Roff::new();
    roff.control("SH", ["SEE ALSO"]);
    let others: &[&str] = match command.get_name() {
        "shakedown" => &["tcp(7)", "capabilities(7)", "ping(8)", "tcpdump(8)", "ss(8)"],
        _ => &["shakedown(1)"],
    };
    let mut line = Vec::new();
    for other in others {
        let (name, section) = other.split_once('(').unwrap_or((other, ""));
        if !line.is_empty() {
            line.push(roman(", "));
        }
        line.extend([bold(name), roman(format!("({section}"))]);
    }
    roff.text(line);
    roff
}

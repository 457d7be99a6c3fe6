//! `shakedown explain`: what a term means; and how explanations of a run are asked for.

use std::io::{self, Write as _};

use anyhow::bail;

use super::{Environment, ExitStatus, session};
use crate::check;
use crate::cli::ExplainTermArgs;
use crate::cli::shared::{ExplainArgs, LangArg, OutputArgs};
use crate::event::CheckInfo;
use crate::report::check::json_list;
use crate::report::explain::{self, Lang};

/// Explains a term, or lists them all.
///
/// # Errors
/// There is no such term, or standard output cannot be written.
pub(super) fn run(args: &ExplainTermArgs, environment: &Environment) -> anyhow::Result<ExitStatus> {
    let lang = language(args.lang, environment);
    let style =
        session::style(&OutputArgs { color: args.color, ..OutputArgs::default() }, environment);
    let checks: Vec<&'static CheckInfo> =
        check::all().into_iter().map(|check| &check.info).collect();
    let bytes = if args.term.is_empty() {
        if args.json {
            [explain::list_json(lang)?, json_list(&checks)?].concat()
        } else {
            explain::list(&checks, lang, &style).into_bytes()
        }
    } else {
        let name = args.term.join(" ");
        let ids: Vec<&str> = checks.iter().map(|info| info.id).collect();
        let check = explain::find_among(&name, &ids)
            .and_then(|id| checks.iter().find(|info| info.id == id));
        match (explain::find(&name), check) {
            (Some(term), _) if args.json => explain::term_json(&term, lang)?,
            (Some(term), _) => explain::term_page(&term, lang, &style).into_bytes(),
            (None, Some(info)) if args.json => json_list(&[*info])?,
            (None, Some(info)) => explain::check_page(info, lang, &style).into_bytes(),
            (None, None) => bail!(unknown(&name, &ids)),
        }
    };
    io::stdout().write_all(&bytes)?;
    Ok(ExitStatus::AsAsked)
}

fn unknown(name: &str, ids: &[&str]) -> String {
    let near: Vec<String> =
        explain::near(name, ids).into_iter().map(|name| format!("'{name}'")).collect();
    let proposal = match near.as_slice() {
        [] => String::new(),
        [only] => format!("did you mean {only}? "),
        [others @ .., last] => format!("did you mean {} or {last}? ", others.join(", ")),
    };
    format!("no term is called '{name}': {proposal}'shakedown explain' lists them all")
}

/// The language asked for, or that of the locale. Where the locale is not UTF-8 only a wish for
/// Chinese brings Chinese.
pub(super) fn language(wish: Option<LangArg>, environment: &Environment) -> Lang {
    match wish {
        Some(LangArg::En) => Lang::En,
        Some(LangArg::Zh) => Lang::Zh,
        None if environment.utf8 => environment.lang,
        None => Lang::En,
    }
}

/// The language in which the steps of a run are to be explained, if they are.
pub(super) fn of_run(args: &ExplainArgs, environment: &Environment) -> Option<Lang> {
    args.explain.then(|| language(args.lang, environment))
}

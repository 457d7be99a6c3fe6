//! `shakedown explain`.

use clap::Args;

use super::shared::{ColorArgs, LangArg};

/// Arguments of `explain`.
#[derive(Args, Clone, Debug)]
pub struct ExplainTermArgs {
    /// What to explain: a state, a flag, a field, an option, a timer, a check [default: a list]
    ///
    /// In English or Chinese, whatever the case and the punctuation: fin-wait-1, FIN_WAIT1, finwait1.
    /// 'segment' draws the header. Several words are one term.
    #[arg(value_name = "TERM")]
    pub term: Vec<String>,

    /// Language, en or zh [default: by the locale]
    #[arg(long, value_name = "LANG", hide_possible_values = true, help_heading = "Output")]
    pub lang: Option<LangArg>,

    /// Print JSON Lines: one object for each term
    #[arg(short, long, help_heading = "Output")]
    pub json: bool,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub color: ColorArgs,
}

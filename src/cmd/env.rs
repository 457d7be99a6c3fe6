//! What a command needs to know of its surroundings, looked at once.

use std::io::IsTerminal;

use crate::cli::shared::ColorChoice;
use crate::report::explain::Lang;

/// The surroundings of a run. Together with the arguments it decides the plan.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Environment {
    /// Whether stdout is a terminal.
    pub stdout_is_terminal: bool,
    /// Whether stderr is a terminal.
    pub stderr_is_terminal: bool,
    /// Columns that a line may have; absent where no terminal and no `COLUMNS` says.
    pub width: Option<u16>,
    /// Whether `NO_COLOR` is set to anything.
    pub no_color: bool,
    /// Whether the terminal understands no escape sequences (`TERM=dumb`).
    pub dumb: bool,
    /// Whether the locale says that UTF-8 is understood.
    pub utf8: bool,
    /// The language of the locale's messages.
    pub lang: Lang,
}

impl Environment {
    /// Looks at the surroundings of this process.
    #[must_use]
    pub fn of_process() -> Self {
        let terminals = (std::io::stdout().is_terminal(), std::io::stderr().is_terminal());
        let columns = terminal_size::terminal_size_of(std::io::stdout()).map(|(width, _)| width.0);
        Self::from_parts(terminals, columns, |name| std::env::var(name).ok())
    }

    /// The surroundings with these terminals (stdout, stderr), this width of the terminal and
    /// these variables.
    #[must_use]
    pub fn from_parts(
        (stdout_is_terminal, stderr_is_terminal): (bool, bool),
        columns: Option<u16>,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Self {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        let asked = set("COLUMNS").and_then(|value| value.parse().ok()).filter(|width| *width > 0);
        // The order in which the C library looks: the first one that is set decides.
        let locale = set("LC_ALL").or_else(|| set("LC_CTYPE")).or_else(|| set("LANG"));
        let locale = locale.unwrap_or_default().to_ascii_lowercase();
        let messages = set("LC_ALL").or_else(|| set("LC_MESSAGES")).or_else(|| set("LANG"));
        Self {
            stdout_is_terminal,
            stderr_is_terminal,
            width: asked.or(columns.filter(|width| *width > 0)),
            no_color: set("NO_COLOR").is_some(),
            dumb: variable("TERM").as_deref() == Some("dumb"),
            utf8: locale.contains("utf-8") || locale.contains("utf8"),
            lang: Lang::of_locale(&messages.unwrap_or_default()),
        }
    }

    /// Whether what goes to stdout is coloured.
    #[must_use]
    pub const fn colours(&self, choice: ColorChoice) -> bool {
        match choice {
            ColorChoice::Always => true,
            ColorChoice::Never => false,
            ColorChoice::Auto => self.stdout_is_terminal && !self.no_color && !self.dumb,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(variables: &[(&str, &str)]) -> Environment {
        Environment::from_parts((true, true), Some(120), |name| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn colour_is_for_terminals_and_yields_to_no_color() {
        let (plain, refused, dumb) =
            (with(&[]), with(&[("NO_COLOR", "1")]), with(&[("TERM", "dumb")]));
        assert!(plain.colours(ColorChoice::Auto));
        assert!(!refused.colours(ColorChoice::Auto));
        assert!(refused.colours(ColorChoice::Always), "the option is nearer than the variable");
        assert!(with(&[("NO_COLOR", "")]).colours(ColorChoice::Auto), "empty is unset");
        assert!(!dumb.colours(ColorChoice::Auto));
        assert!(!plain.colours(ColorChoice::Never));
        let pipe = Environment { stdout_is_terminal: false, ..plain };
        assert!(!pipe.colours(ColorChoice::Auto));
    }

    #[test]
    fn the_width_is_that_of_columns_or_of_the_terminal() {
        assert_eq!(with(&[]).width, Some(120));
        assert_eq!(with(&[("COLUMNS", "80")]).width, Some(80));
        assert_eq!(with(&[("COLUMNS", "0")]).width, Some(120));
        assert_eq!(with(&[("COLUMNS", "wide")]).width, Some(120));
    }

    #[test]
    fn the_first_locale_that_is_set_decides_the_encoding() {
        assert!(with(&[("LANG", "en_GB.UTF-8")]).utf8);
        assert!(with(&[("LC_ALL", "C.utf8"), ("LANG", "C")]).utf8);
        assert!(!with(&[("LC_ALL", "C"), ("LANG", "en_GB.UTF-8")]).utf8);
        assert!(!with(&[]).utf8);
    }

    #[test]
    fn the_language_is_that_of_the_messages() {
        let lang = |variables| with(variables).lang;
        assert_eq!(lang(&[("LANG", "zh_CN.UTF-8")]), Lang::Zh);
        assert_eq!(lang(&[("LC_MESSAGES", "en_GB.UTF-8"), ("LANG", "zh_CN.UTF-8")]), Lang::En);
        assert_eq!(lang(&[("LC_ALL", "zh_TW.UTF-8"), ("LC_MESSAGES", "en_GB.UTF-8")]), Lang::Zh);
        assert_eq!(lang(&[("LC_ALL", ""), ("LANG", "zh_CN")]), Lang::Zh, "empty is unset");
        assert_eq!(lang(&[("LC_CTYPE", "zh_CN.UTF-8")]), Lang::En, "that is the encoding only");
        assert_eq!(lang(&[]), Lang::En);
    }
}

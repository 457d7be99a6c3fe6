//! Texts in two languages, and the places in them that a run fills.

use std::fmt;

/// A language in which shakedown explains.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Lang {
    /// English.
    #[default]
    En,
    /// Simplified Chinese.
    Zh,
}

impl Lang {
    /// Both.
    pub const ALL: [Self; 2] = [Self::En, Self::Zh];

    /// What stands between a term and its meaning.
    pub(in crate::report) const fn is(self) -> &'static str {
        match self {
            Self::En => " = ",
            Self::Zh => "：",
        }
    }

    /// The language of a POSIX locale's name: `zh_CN.UTF-8` is Chinese, everything else English.
    #[must_use]
    pub fn of_locale(name: &str) -> Self {
        let language = name.split(['_', '.', '@', '-']).next().unwrap_or_default();
        if language.eq_ignore_ascii_case("zh") { Self::Zh } else { Self::En }
    }
}

/// `en` or `zh`.
impl fmt::Display for Lang {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::En => "en",
            Self::Zh => "zh",
        })
    }
}

/// A text in both languages. There is no other way to write one, so that neither can be forgotten.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::report) struct Text {
    pub(in crate::report) en: &'static str,
    pub(in crate::report) zh: &'static str,
}

impl Text {
    pub(in crate::report) const fn new(en: &'static str, zh: &'static str) -> Self {
        Self { en, zh }
    }

    /// The text in `lang`.
    pub(in crate::report) const fn lang(&self, lang: Lang) -> &'static str {
        match lang {
            Lang::En => self.en,
            Lang::Zh => self.zh,
        }
    }

    /// The text in `lang`, each `{name}` replaced by what `value` gives for it. A name without
    /// a value stays as it is written; the tests of the table see to it that there is none.
    pub(in crate::report) fn fill(
        &self,
        lang: Lang,
        value: impl Fn(&str) -> Option<String>,
    ) -> String {
        let mut filled = String::new();
        let mut rest = self.lang(lang);
        while let Some((before, behind)) = rest.split_once('{') {
            filled.push_str(before);
            let Some((name, after)) = behind.split_once('}') else { break };
            match value(name) {
                Some(value) => filled.push_str(&value),
                None => filled.push_str(&format!("{{{name}}}")),
            }
            rest = after;
        }
        filled.push_str(rest);
        filled
    }
}

/// The names of the places in a text, in lower case, each once, in alphabetical order.
#[cfg(test)]
pub(in crate::report) fn places(text: &str) -> Vec<String> {
    let pieces = text.split('{').skip(1);
    let mut names: Vec<String> = pieces
        .filter_map(|piece| piece.split_once('}').map(|(name, _)| name.to_lowercase()))
        .collect();
    names.sort();
    names.dedup();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_part_of_a_locale_is_its_language() {
        for name in ["zh_CN.UTF-8", "zh", "zh_TW", "ZH-Hans", "zh.utf8"] {
            assert_eq!(Lang::of_locale(name), Lang::Zh, "{name}");
        }
        for name in ["en_GB.UTF-8", "C", "", "zha_CN", "de_DE"] {
            assert_eq!(Lang::of_locale(name), Lang::En, "{name}");
        }
    }

    #[test]
    fn places_are_filled_where_there_is_a_value() {
        let text = Text::new("{From} sends {n}, {n} and {other}.", "{from}发送 {n}。");
        let value = |name: &str| match name {
            "from" => Some("客户端".to_owned()),
            "From" => Some("The client".to_owned()),
            "n" => Some("7".to_owned()),
            _ => None,
        };
        assert_eq!(text.fill(Lang::En, value), "The client sends 7, 7 and {other}.");
        assert_eq!(text.fill(Lang::Zh, value), "客户端发送 7。");
        assert_eq!(places(text.en), ["from", "n", "other"]);
    }
}

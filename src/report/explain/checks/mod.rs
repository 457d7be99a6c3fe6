//! The checks of the battery in Chinese. Their English stands in the registry; a test
//! (`tests/explain.rs`) sees to it that every check of it is here, and nothing else.

mod close;
mod open;
mod options;

/// A check in Chinese, as [`CheckInfo`](crate::event::CheckInfo) has it in English.
#[derive(Debug)]
pub(super) struct InChinese {
    pub(super) id: &'static str,
    pub(super) title: &'static str,
    pub(super) expect: &'static str,
    pub(super) why: &'static str,
}

/// `"id": "title" "expect" "why";`
macro_rules! chinese {
    ($($id:literal: $title:literal $expect:literal $why:literal;)*) => {
        pub(super) static CHECKS: &[InChinese] = &[
            $(InChinese { id: $id, title: $title, expect: $expect, why: $why }),*
        ];
    };
}
use chinese;

fn all() -> impl Iterator<Item = &'static InChinese> {
    open::CHECKS.iter().chain(options::CHECKS).chain(close::CHECKS)
}

/// The check of that name.
pub(super) fn in_chinese(id: &str) -> Option<&'static InChinese> {
    all().find(|check| check.id == id)
}

/// The checks that can be explained in Chinese.
pub fn translated() -> impl Iterator<Item = &'static str> {
    all().map(|check| check.id)
}

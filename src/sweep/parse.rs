//! x
pub(super) fn shown(text: &str) -> String {
    text.escape_debug().take(60).collect()
}

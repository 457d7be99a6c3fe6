//! Measures and colours.

/// Width of the picture in pixels.
pub(super) const WIDTH: f64 = 1100.0;
/// Room at the edges.
pub(super) const MARGIN: f64 = 16.0;
/// The axis.
pub(super) const AXIS: f64 = 14.0;
/// Where the times end, on the left; mirrored on the right.
pub(super) const TIMES: f64 = 116.0;
/// Middle of the client's lifeline; the server's is mirrored.
pub(super) const LIFELINE: f64 = 272.0;
/// Width of a bar.
pub(super) const BAR: f64 = 14.0;
/// From a bar to the text beside it.
pub(super) const BESIDE: f64 = 8.0;
/// From a bar to an arrow's label.
pub(super) const INDENT: f64 = 14.0;
/// Columns of an arrow's label: it stays in its sender's half.
pub(super) const LABEL_COLUMNS: usize = 38;
/// Columns of what stands beside a bar.
pub(super) const CAPTION_COLUMNS: usize = 20;

/// Width of a column of the font at its usual size; a little more than most monospaced fonts take.
pub(super) const COLUMN: f64 = 6.65;
/// A line of an arrow's label.
pub(super) const LINE: f64 = 13.0;
/// A state's name.
pub(super) const NAME: f64 = 15.0;
/// A line below it.
pub(super) const CAPTION: f64 = 12.5;

/// The height of an arrow's label.
#[allow(clippy::cast_precision_loss)] // a few lines
pub(super) fn label_height(lines: usize) -> f64 {
    lines as f64 * LINE
}

/// Colours for a light ground. Text has a contrast of 4.5 at least, lines of 3.
pub(super) const LIGHT: &str = "\
text{font:11px ui-monospace,'DejaVu Sans Mono','Liberation Mono',Menlo,Consolas,monospace;\
white-space:pre;fill:#24292f}\
.title{font-size:16px;font-weight:700}.end{font-size:13px;font-weight:700}\
.name{font-weight:700}.note{font-style:italic}.dim{fill:#57606a}.right{text-anchor:end}\
.middle{text-anchor:middle}\
.ground{fill:#fff}.label{paint-order:stroke;stroke:#fff;stroke-width:3px;stroke-linejoin:round}\
.line{fill:none;stroke:#57606a;stroke-width:1.6;stroke-linecap:round}\
.tip{stroke:none;fill:#57606a}\
.syn .line{stroke:#0550ae}.syn .tip{fill:#0550ae}.syn .key{fill:#0550ae}\
.fin .line{stroke:#953800}.fin .tip{fill:#953800}.fin .key{fill:#953800}\
.bad .line{stroke:#c4161c}.bad .tip{fill:#c4161c}.bad .key{fill:#c4161c}\
.key{font-weight:700}.gone{stroke-dasharray:6 4}.guide{fill:none;stroke:#d0d7de;stroke-width:1}\
.axis{fill:none;stroke:#57606a;stroke-width:1.4}.stretched{stroke-dasharray:1.5 4}\
.break{fill:none;stroke:#24292f;stroke-width:1.4}\
.bar{stroke-width:1.4;fill:#8b949e;stroke:#57606a}\
.opening{fill:#54aeff;stroke:#0550ae}.open{fill:#4ac26b;stroke:#116329}\
.closing{fill:#fb8f44;stroke:#953800}.waiting{fill:#c297ff;stroke:#6639ba}\
.closed{fill:none;stroke:#57606a}\
.implied{fill-opacity:.25;stroke-dasharray:6 4}.assumed{fill:none;stroke-dasharray:1.5 4}";

/// The same for a dark ground.
pub(super) const DARK: &str = "\
text{fill:#e6edf3}.dim{fill:#9da7b3}.ground{fill:#0d1117}.label{stroke:#0d1117}\
.line{stroke:#9da7b3}.tip{fill:#9da7b3}\
.syn .line{stroke:#79c0ff}.syn .tip{fill:#79c0ff}.syn .key{fill:#79c0ff}\
.fin .line{stroke:#ffa657}.fin .tip{fill:#ffa657}.fin .key{fill:#ffa657}\
.bad .line{stroke:#ff7b72}.bad .tip{fill:#ff7b72}.bad .key{fill:#ff7b72}\
.guide{stroke:#30363d}.axis{stroke:#9da7b3}.break{stroke:#e6edf3}\
.bar{fill:#6e7681;stroke:#9da7b3}\
.opening{fill:#1f6feb;stroke:#79c0ff}.open{fill:#238636;stroke:#56d364}\
.closing{fill:#9e4c0a;stroke:#ffa657}.waiting{fill:#6e40c9;stroke:#d2a8ff}\
.closed{fill:none;stroke:#9da7b3}.assumed{fill:none}";

//! `shakedown demo`.

use clap::{ArgAction, Args};

use super::shared::ColorArgs;

/// Arguments of `demo`.
#[derive(Args, Clone, Copy, Debug, Default)]
#[allow(missing_docs)]
pub struct DemoArgs {
    /// Print more; twice for everything
    #[arg(short, long, action = ArgAction::Count, help_heading = "Output")]
    pub verbose: u8,

    #[command(flatten)]
    pub color: ColorArgs,
}

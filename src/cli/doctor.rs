//! `shakedown doctor`.

use clap::Args;

use super::shared::{ColorArgs, FamilyArgs};
use super::value;

/// Arguments of `doctor`.
#[derive(Args, Clone, Debug, Default)]
#[allow(missing_docs)]
pub struct DoctorArgs {
    /// A target to find the route and the interface to
    #[arg(value_name = "HOST[:PORT]", help_heading = None::<&str>)]
    pub target: Option<String>,

    #[command(flatten)]
    pub family: FamilyArgs,

    /// Look at this network interface [default: by the route]
    #[arg(short = 'I', long, value_name = "NAME", help_heading = "Source",
          value_parser = value::interface)]
    pub interface: Option<String>,

    /// Print JSON Lines: one object for each finding
    #[arg(short, long, help_heading = "Output")]
    pub json: bool,

    #[command(flatten)]
    pub color: ColorArgs,
}

//! One look at a site from outside: what a measurement of availability is made of.

use crate::wire::hypertext::Ask;
use crate::wire::{Site, WireError};
use crate::{Options, Target};

/// Asks for the home page over a new connection, as a visitor does, and says which status came.
///
/// # Errors
/// In words: no connection, no TLS that the target's authorities vouch for, or no answer in time.
pub async fn look(target: &Target, options: &Options) -> Result<u16, String> {
    let ask = async {
        let site = Site::new(target, options).await?;
        Ok(site.ask_once(&Ask::get("/")).await?.status)
    };
    ask.await.map_err(|error: WireError| error.to_string())
}

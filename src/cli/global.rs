//! What all commands have in common: which configuration, which windlass, which key.

use std::path::{Path, PathBuf};

use super::output::Output;
use crate::auth::{Key, Scheme};
use crate::client::{self, Address, Client, Failure, Kind};
use crate::config::{self, DEFAULT_PATH};

/// What all commands have in common.
#[derive(Debug, clap::Args)]
pub(super) struct Global {
    /// The configuration of this host
    #[arg(long, global = true, value_name = "PATH", env = "WINDLASS_CONFIG", help_heading = "Common options")]
    pub(super) config: Option<PathBuf>,
    /// Print JSON and nothing else
    #[arg(long, global = true, help_heading = "Common options")]
    pub(super) json: bool,
    /// The socket of the windlass on this host; config.toml names it when this does not
    #[arg(long, global = true, value_name = "PATH", env = "WINDLASS_SOCKET", help_heading = "Connection")]
    pub(super) socket: Option<PathBuf>,
    /// A windlass elsewhere, instead of the one on this host
    #[arg(long, global = true, value_name = "URL", env = "WINDLASS_URL", help_heading = "Connection")]
    pub(super) url: Option<String>,
    /// The file that holds the key for --url; /dev/stdin reads it from a pipe
    #[arg(long, global = true, value_name = "FILE", env = "WINDLASS_KEY_FILE", help_heading = "Connection")]
    pub(super) key_file: Option<PathBuf>,
    /// The key's scheme: standard, github or bearer; a key that begins with `whsec_` is standard
    #[arg(long, global = true, value_name = "SCHEME", help_heading = "Connection")]
    pub(super) scheme: Option<Scheme>,
}

impl Global {
    /// A way to the windlass that is meant.
    pub(super) fn client(&self, output: &mut Output) -> Result<Client, Failure> {
        let Some(url) = self.url() else {
            return Client::new(self.socket(), None);
        };
        let address = Address::elsewhere(url)?;
        let Some(file) = self.key_file.as_deref().filter(|file| !file.as_os_str().is_empty()) else {
            return Err(Failure::new(Kind::Usage, format!("{address} cannot be asked"), "it answers only to a key")
                .fix("name the file that holds one: --key-file FILE, or WINDLASS_KEY_FILE"));
        };
        let key = self.read_key(file, output)?;
        if key.scheme() == Scheme::BEARER && address.is_open_to_listeners() {
            output.remark(format_args!(
                "warning: the key can be read on the way to {address}; fix: an https:// URL, or a key that signs"
            ));
        }
        Client::new(address, Some(key))
    }

    /// A way to the windlass on this host, for what no key may do.
    pub(super) fn operator(&self) -> Result<Client, Failure> {
        if self.url().is_some() && self.socket.is_none() {
            return Err(Failure::new(Kind::Usage, "this is done on the host alone", "no key may do it")
                .fix("log in to the host and run it there, without --url and WINDLASS_URL"));
        }
        Client::new(self.socket(), None)
    }

    /// The key in `file`.
    pub(super) fn read_key(&self, file: &Path, output: &mut Output) -> Result<Key, Failure> {
        if client::may_be_read_by_others(file) {
            let file = file.display();
            output.remark(format_args!("warning: others may read the key in {file}; fix: chmod 600 {file}"));
        }
        client::read_key(file, self.scheme)
    }

    /// Where config.toml is: in `directory`, where that is given. What is told of it is used from anywhere.
    pub(super) fn config_file(&self, directory: Option<&Path>) -> Result<PathBuf, Failure> {
        let file = match directory {
            Some(directory) => directory.join("config.toml"),
            None => self.config.clone().unwrap_or_else(|| PathBuf::from(DEFAULT_PATH)),
        };
        Ok(std::path::absolute(file).map_err(anyhow::Error::new)?)
    }

    /// Where else windlass is. An empty variable says nothing.
    pub(super) fn url(&self) -> Option<&str> {
        self.url.as_deref().filter(|url| !url.is_empty())
    }

    fn socket(&self) -> Address {
        let config = self.config.as_deref().unwrap_or(Path::new(DEFAULT_PATH));
        Address::Socket(self.socket.clone().unwrap_or_else(|| config::socket(config)))
    }
}

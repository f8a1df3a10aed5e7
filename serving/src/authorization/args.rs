//! The options of authorisation.

use std::{net::IpAddr, path::PathBuf, time::Duration};

use anyhow::bail;
use clap::Args;

use super::{Authorization, Tokens};
use crate::{args::duration, tls::Tls};

/// Who may call; without them anybody may.
#[derive(Args, Clone, Debug)]
pub struct AuthorizationArgs {
    /// File with a name and a token on each line; only calls with one of these tokens, as "Authorization: Bearer
    /// TOKEN", are let in, but for health and readiness
    #[arg(long, env = "AUTH_TOKENS", value_name = "FILE")]
    pub auth_tokens: Option<PathBuf>,

    /// How often the file is looked at for changes
    #[arg(long, env = "AUTH_RELOAD", value_name = "TIME", value_parser = duration, default_value = "5s")]
    pub auth_reload: Duration,

    /// A proxy that speaks TLS stands in front: take tokens over cleartext on an address that others reach
    #[arg(long, env = "BEHIND_TLS_PROXY")]
    pub behind_tls_proxy: bool,
}

impl AuthorizationArgs {
    /// Reads the file, and again whenever its content has changed. `bind` is where the listeners are, and `tls`
    /// what they speak.
    ///
    /// # Errors
    /// When the file cannot be used, or tokens would come over cleartext from other machines.
    pub fn start(&self, bind: IpAddr, tls: Option<&Tls>) -> anyhow::Result<Authorization> {
        let Some(file) = &self.auth_tokens else {
            return Ok(Authorization::default());
        };
        let is_private = bind.to_canonical().is_loopback() || tls.is_some();
        if !is_private && !self.behind_tls_proxy {
            bail!(
                "--auth-tokens with --bind {bind} and no TLS: whoever is on the way could read the tokens; give \
                 the server --tls-cert and --tls-key, or --behind-tls-proxy if a proxy speaks TLS in front of it"
            );
        }
        let tokens = Tokens::watch(file.clone(), self.auth_reload)?;
        Ok(Authorization::by_tokens(tokens))
    }
}

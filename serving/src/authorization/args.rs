//! The options of authorisation.

use std::{net::IpAddr, path::PathBuf, time::Duration};

use anyhow::bail;
use clap::Args;

use super::{Authorization, Tokens};
use crate::{args::duration, tls::Tls};

/// Options that say who may call; without them anybody may.
#[derive(Args, Clone, Debug)]
pub struct AuthorizationArgs {
    /// File with a name and a token on each line; only calls with one of these tokens, as "Authorization: Bearer
    /// TOKEN", are let in, but for health and readiness
    #[arg(long, env = "AUTH_TOKENS", value_name = "FILE")]
    pub auth_tokens: Option<PathBuf>,

    /// How often the file is looked at for changes
    #[arg(long, env = "AUTH_RELOAD", value_name = "TIME", value_parser = duration, default_value = "5s")]
    pub auth_reload: Duration,

    /// Names in certificates of clients, DNS names or URIs; their bearers are let in without a token, separated by
    /// commas or repeated
    #[arg(
        long,
        env = "AUTH_CLIENT_NAME",
        value_name = "NAME",
        value_delimiter = ','
    )]
    pub auth_client_name: Vec<String>,

    /// A proxy that speaks TLS stands in front: take tokens over cleartext on an address that others reach
    #[arg(long, env = "BEHIND_TLS_PROXY")]
    pub behind_tls_proxy: bool,
}

impl AuthorizationArgs {
    /// Reads the file, and again whenever its content has changed. `bind` is where the listeners are, and `tls`
    /// what they speak.
    ///
    /// # Errors
    /// When the file cannot be used, tokens would come over cleartext from other machines, or nobody would verify
    /// the certificates of clients.
    pub fn start(&self, bind: IpAddr, tls: Option<&Tls>) -> anyhow::Result<Authorization> {
        let names = self.auth_client_name.iter().map(|name| name.trim());
        let names: Vec<_> = names.filter(|name| !name.is_empty()).collect();
        if names.is_empty() && !self.auth_client_name.is_empty() {
            bail!("--auth-client-name holds no name; write DNS names or URIs, separated by commas");
        }
        if !names.is_empty() && !tls.is_some_and(Tls::verifies_clients) {
            bail!(
                "--auth-client-name without --tls-client-ca: no certificate of a client would be asked for; give the \
                 server the file with the roots that they come from"
            );
        }
        let Some(file) = &self.auth_tokens else {
            return Ok(match names.is_empty() {
                true => Authorization::default(),
                false => Authorization::by_names(names),
            });
        };
        let is_private = bind.to_canonical().is_loopback() || tls.is_some();
        if !is_private && !self.behind_tls_proxy {
            bail!(
                "--auth-tokens with --bind {bind} and no TLS: whoever is on the way could read the tokens; give \
                 the server --tls-cert and --tls-key, or --behind-tls-proxy if a proxy speaks TLS in front of it"
            );
        }
        let tokens = Tokens::watch(file.clone(), self.auth_reload)?;
        Ok(Authorization::by_tokens(tokens).names(names))
    }
}

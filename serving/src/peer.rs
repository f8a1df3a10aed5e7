//! The other end of a connection, as services and layers see it.

#[cfg(feature = "tls")]
use std::sync::OnceLock;
use std::{net::SocketAddr, sync::Arc};

use axum::extract::ConnectInfo;
use http::Extensions;
#[cfg(feature = "tls")]
use rustls::pki_types::CertificateDer;
use tonic::transport::server::TcpConnectInfo;
#[cfg(feature = "tls")]
use tonic::transport::server::TlsConnectInfo;

use crate::{context::CallContext, telemetry::codes::Transport};

/// The other end of the connection that a request came over. [`Peer::of`] finds it by the extensions of each
/// request, on a listener and on tonic's server; on axum's with its `into_make_service_with_connect_info`. Among them
/// a listener has what the frameworks have for the same: axum's `ConnectInfo<SocketAddr>` for REST; for gRPC tonic's
/// `TcpConnectInfo`, or `TlsConnectInfo` under TLS, which are behind a request's `remote_addr()` and `peer_certs()`.
#[derive(Clone, Debug)]
pub struct Peer(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    tcp: TcpConnectInfo,
    remote: SocketAddr,
    #[cfg(feature = "tls")]
    tls: Option<Tls>,
}

/// A connection under TLS.
#[cfg(feature = "tls")]
#[derive(Debug)]
struct Tls {
    info: TlsConnectInfo<TcpConnectInfo>,
    certificates: Option<Arc<Vec<CertificateDer<'static>>>>,
    /// Read when somebody asks.
    names: OnceLock<Vec<String>>,
}

#[cfg(feature = "tls")]
impl Tls {
    fn names(&self) -> &[String] {
        self.names.get_or_init(|| {
            let own = self.certificates.as_ref().and_then(|chain| chain.first());
            let own = own.and_then(|own| webpki::EndEntityCert::try_from(own).ok());
            let Some(own) = own else { return Vec::new() };
            // A wildcard is no caller's name, and what has no scheme is no URI.
            let names = own.valid_dns_names().filter(|name| !name.starts_with('*'));
            let uris = own.valid_uri_names().filter(|uri| uri.contains(':'));
            names.chain(uris).map(str::to_owned).collect()
        })
    }
}

impl Peer {
    /// The peer at `remote` of a cleartext connection to `local`.
    pub(crate) fn clear(remote: SocketAddr, local: Option<SocketAddr>) -> Self {
        Self(Arc::new(Inner {
            tcp: tcp(remote, local),
            remote,
            #[cfg(feature = "tls")]
            tls: None,
        }))
    }

    /// The peer at `remote` of a connection under TLS.
    #[cfg(feature = "tls")]
    pub(crate) fn tls(remote: SocketAddr, info: TlsConnectInfo<TcpConnectInfo>) -> Self {
        Self(Arc::new(Inner {
            tcp: tcp(remote, info.get_ref().local_addr()),
            remote,
            tls: Some(Tls {
                certificates: info.peer_certs(),
                names: OnceLock::new(),
                info,
            }),
        }))
    }

    /// The peer of a request with `extensions`: a listener's own, or the one that tonic's or axum's server put
    /// there.
    pub fn of(extensions: &Extensions) -> Option<Self> {
        if let Some(peer) = extensions.get::<CallContext>().and_then(CallContext::peer) {
            return Some(peer.clone());
        }
        #[cfg(feature = "tls")]
        if let Some(info) = extensions.get::<TlsConnectInfo<TcpConnectInfo>>() {
            return Some(Self::tls(info.get_ref().remote_addr()?, info.clone()));
        }
        if let Some(info) = extensions.get::<TcpConnectInfo>() {
            return Some(Self::clear(info.remote_addr()?, info.local_addr()));
        }
        let ConnectInfo(remote) = extensions.get::<ConnectInfo<SocketAddr>>()?;
        Some(Self::clear(*remote, None))
    }

    /// Its address.
    pub fn remote(&self) -> SocketAddr {
        self.0.remote
    }

    /// The address that it connected to, if it is known.
    pub fn local(&self) -> Option<SocketAddr> {
        self.0.tcp.local_addr
    }

    /// Returns true if the connection is under TLS.
    pub fn is_tls(&self) -> bool {
        #[cfg(feature = "tls")]
        return self.0.tls.is_some();
        #[cfg(not(feature = "tls"))]
        false
    }

    /// The verified chain of its certificates in DER, its own first. There is none without mutual TLS.
    pub fn certificates(&self) -> impl Iterator<Item = &[u8]> {
        #[cfg(feature = "tls")]
        let chain = self.0.tls.iter().flat_map(|tls| tls.certificates.iter());
        #[cfg(feature = "tls")]
        return chain.flat_map(|chain| chain.iter().map(AsRef::as_ref));
        #[cfg(not(feature = "tls"))]
        std::iter::empty()
    }

    /// The names in its own verified certificate: DNS names and URIs, such as SPIFFE has them, of the subject's
    /// alternative names (RFC 5280 §4.2.1.6). The common name is none of them (RFC 9525 §2).
    pub fn names(&self) -> impl Iterator<Item = &str> {
        #[cfg(feature = "tls")]
        return self.0.tls.iter().flat_map(Tls::names).map(String::as_str);
        #[cfg(not(feature = "tls"))]
        std::iter::empty()
    }

    /// Puts what the frameworks have for it into the `extensions` of a request.
    pub(crate) fn extend(&self, extensions: &mut Extensions, transport: Transport) {
        match transport {
            Transport::Rest => {
                extensions.insert(ConnectInfo(self.0.remote));
            }
            Transport::Grpc => {
                #[cfg(feature = "tls")]
                if let Some(tls) = &self.0.tls {
                    extensions.insert(tls.info.clone());
                    return;
                }
                extensions.insert(self.0.tcp.clone());
            }
        }
    }
}

fn tcp(remote: SocketAddr, local: Option<SocketAddr>) -> TcpConnectInfo {
    TcpConnectInfo {
        local_addr: local,
        remote_addr: Some(remote),
    }
}

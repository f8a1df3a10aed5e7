//! TLS to the target: made ready once per trial, from what the trial's description holds.

use std::{io, sync::Arc};

use rustls::{
    ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject},
};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::{
    spec::{Endpoint, Tls, Transport},
    wire::{self, Counted},
};

/// The maker of connections to an endpoint, with TLS or without.
#[derive(Clone)]
pub struct Connector {
    tls: Option<(TlsConnector, ServerName<'static>)>,
}

/// A connection, encrypted or not. Its bytes are counted as they are on the wire.
pub(crate) enum Stream {
    Plain(Counted),
    Tls(Box<TlsStream<Counted>>),
}

/// The part of a description of TLS that cannot be used, in a sentence.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct InvalidTls(String);

impl Connector {
    /// One for `transport` to `endpoint`.
    ///
    /// # Errors
    /// When a certificate, a key or a name cannot be used.
    pub fn new(transport: Transport, endpoint: &Endpoint) -> Result<Self, InvalidTls> {
        let Some(tls) = &endpoint.tls else {
            return Ok(Self { tls: None });
        };
        let name = ServerName::try_from(tls.server_name.clone())
            .map_err(|_| InvalidTls(format!("{:?} is no name of a server", tls.server_name)))?;
        let mut config = config(tls)?;
        config.alpn_protocols = match transport {
            Transport::Http1 | Transport::GrpcWeb => vec![b"http/1.1".to_vec()],
            Transport::Http2 | Transport::Grpc => vec![b"h2".to_vec()],
        };
        Ok(Self {
            tls: Some((TlsConnector::from(Arc::new(config)), name)),
        })
    }

    /// A connection to `endpoint`.
    pub(crate) async fn open(
        &self,
        endpoint: &Endpoint,
        bytes: &Arc<wire::Bytes>,
    ) -> io::Result<Stream> {
        let stream = TcpStream::connect(endpoint.address).await?;
        stream.set_nodelay(true)?;
        let stream = Counted::new(stream, Arc::clone(bytes));
        let Some((connector, name)) = &self.tls else {
            return Ok(Stream::Plain(stream));
        };
        let stream = connector.connect(name.clone(), stream).await?;
        Ok(Stream::Tls(Box::new(stream)))
    }

    /// A connection to `endpoint` for others than trials.
    ///
    /// # Errors
    /// When there is none.
    pub async fn connect(
        &self,
        endpoint: &Endpoint,
    ) -> io::Result<impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin + use<>> {
        self.open(endpoint, &Arc::default()).await
    }
}

fn config(tls: &Tls) -> Result<ClientConfig, InvalidTls> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let wrong = |what: &str, error: &dyn std::fmt::Display| InvalidTls(format!("{what}: {error}"));
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| wrong("TLS", &error))?;
    let builder = match tls.is_verified {
        true => builder.with_root_certificates(roots(tls)?),
        false => builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Anybody(provider))),
    };
    let Some(identity) = &tls.identity else {
        return Ok(builder.with_no_client_auth());
    };
    let chain = CertificateDer::pem_slice_iter(identity.certificate.as_bytes())
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| wrong("the client's certificate", &error))?;
    let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes())
        .map_err(|error| wrong("the client's key", &error))?;
    builder
        .with_client_auth_cert(chain, key)
        .map_err(|error| wrong("the client's certificate and key", &error))
}

fn roots(tls: &Tls) -> Result<RootCertStore, InvalidTls> {
    let mut roots = RootCertStore::empty();
    match &tls.roots {
        Some(pem) => {
            for root in CertificateDer::pem_slice_iter(pem.as_bytes()) {
                let root = root.map_err(|error| InvalidTls(format!("the roots: {error}")))?;
                roots
                    .add(root)
                    .map_err(|error| InvalidTls(format!("the roots: {error}")))?;
            }
        }
        None => {
            // Some of a system's are often too old to be read.
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    match roots.is_empty() {
        true => Err(InvalidTls("there is no root certificate".to_owned())),
        false => Ok(roots),
    }
}

/// Trusts anybody: the user asked for it.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

mod io_impls {
    use std::{
        io::{self, IoSlice},
        pin::Pin,
        task::{Context, Poll},
    };

    use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

    use super::Stream;

    impl AsyncRead for Stream {
        fn poll_read(
            self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            buffer: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            match self.get_mut() {
                Self::Plain(stream) => Pin::new(stream).poll_read(cx, buffer),
                Self::Tls(stream) => Pin::new(stream).poll_read(cx, buffer),
            }
        }
    }

    impl AsyncWrite for Stream {
        fn poll_write(
            self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            match self.get_mut() {
                Self::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
                Self::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
            }
        }

        fn poll_write_vectored(
            self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            bytes: &[IoSlice<'_>],
        ) -> Poll<io::Result<usize>> {
            match self.get_mut() {
                Self::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, bytes),
                Self::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, bytes),
            }
        }

        fn is_write_vectored(&self) -> bool {
            match self {
                Self::Plain(stream) => stream.is_write_vectored(),
                Self::Tls(stream) => stream.is_write_vectored(),
            }
        }

        fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            match self.get_mut() {
                Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
                Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
            }
        }

        fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            match self.get_mut() {
                Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
                Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
            }
        }
    }
}

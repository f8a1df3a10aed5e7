//! TLS, and mutual TLS, from PEM files that are read again when they change.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, ensure};
use clap::Args;
use rustls::{
    RootCertStore, ServerConfig,
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::{WebPkiClientVerifier, danger::ClientCertVerifier},
};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use crate::{args::duration, reload};

/// Protocols that are spoken under TLS, best first.
const ALPN: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// The files of TLS; without them the listeners speak cleartext.
#[derive(Args, Clone, Debug)]
pub struct TlsArgs {
    /// PEM file with the server's certificate and those that link it to its root; turns TLS on
    #[arg(long, env = "TLS_CERT", value_name = "FILE", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,

    /// PEM file with the key of the certificate
    #[arg(long, env = "TLS_KEY", value_name = "FILE", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,

    /// PEM file with the roots that clients' certificates must come from; turns mutual TLS on
    #[arg(
        long,
        env = "TLS_CLIENT_CA",
        value_name = "FILE",
        requires = "tls_cert"
    )]
    pub tls_client_ca: Option<PathBuf>,

    /// How often the files are looked at for changes
    #[arg(long, env = "TLS_RELOAD", value_name = "TIME", value_parser = duration, default_value = "5s")]
    pub tls_reload: Duration,
}

impl TlsArgs {
    /// Reads the files, and again whenever their content has changed, as long as there is a listener.
    /// New connections get what was read last. If new files cannot be used, the log says why, and
    /// what was read before stays. None if no files are named.
    ///
    /// # Errors
    /// When the files cannot be used at the start.
    pub fn start(&self) -> anyhow::Result<Option<Tls>> {
        let (Some(cert), Some(key)) = (&self.tls_cert, &self.tls_key) else {
            return Ok(None);
        };
        let files = Files {
            cert: cert.clone(),
            key: key.clone(),
            client_ca: self.tls_client_ca.clone(),
        };
        let current = reload::start(files, self.tls_reload)?;
        let verifies_clients = self.tls_client_ca.is_some();
        Ok(Some(Tls {
            current,
            verifies_clients,
        }))
    }
}

/// The TLS configuration for new connections.
#[derive(Clone, Debug)]
pub struct Tls {
    current: watch::Receiver<Arc<ServerConfig>>,
    verifies_clients: bool,
}

impl Tls {
    /// Returns true if clients have to show a certificate.
    pub(crate) fn verifies_clients(&self) -> bool {
        self.verifies_clients
    }

    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(Arc::clone(&self.current.borrow()))
    }
}

/// Paths of the files.
struct Files {
    cert: PathBuf,
    key: PathBuf,
    client_ca: Option<PathBuf>,
}

/// Contents of the files.
#[derive(PartialEq)]
struct Pem {
    cert: Vec<u8>,
    key: Vec<u8>,
    client_ca: Option<Vec<u8>>,
}

impl reload::Files for Files {
    const WHAT: &'static str = "TLS files";
    type Content = Pem;
    type Use = Arc<ServerConfig>;

    fn read(&self) -> anyhow::Result<Pem> {
        let read = |flag: &str, path: &Path| {
            fs::read(path).with_context(|| format!("{flag} {} cannot be read", path.display()))
        };
        let client_ca = self.client_ca.as_deref();
        Ok(Pem {
            cert: read("--tls-cert", &self.cert)?,
            key: read("--tls-key", &self.key)?,
            client_ca: client_ca
                .map(|path| read("--tls-client-ca", path))
                .transpose()?,
        })
    }

    fn parse(&self, pem: &Pem) -> anyhow::Result<Arc<ServerConfig>> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let chain = certificates(&pem.cert)
            .with_context(|| format!("--tls-cert {} holds no certificate", self.cert.display()))?;
        let key = PrivateKeyDer::from_pem_slice(&pem.key)
            .with_context(|| format!("--tls-key {} holds no key", self.key.display()))?;
        let clients = match (&self.client_ca, &pem.client_ca) {
            (Some(path), Some(roots)) => verifier(roots, &provider)
                .with_context(|| format!("--tls-client-ca {} cannot be used", path.display()))?,
            _ => WebPkiClientVerifier::no_client_auth(),
        };
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_client_cert_verifier(clients)
            .with_single_cert(chain, key)
            .with_context(|| {
                let (cert, key) = (self.cert.display(), self.key.display());
                format!("--tls-cert {cert} and --tls-key {key} cannot be used together")
            })?;
        config.alpn_protocols = ALPN.map(<[u8]>::to_vec).to_vec();
        Ok(Arc::new(config))
    }
}

fn certificates(pem: &[u8]) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    let certificates = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>()?;
    ensure!(!certificates.is_empty(), "there is none in it");
    Ok(certificates)
}

fn verifier(
    roots: &[u8],
    provider: &Arc<CryptoProvider>,
) -> anyhow::Result<Arc<dyn ClientCertVerifier>> {
    let mut store = RootCertStore::empty();
    for root in certificates(roots)? {
        store.add(root)?;
    }
    let provider = Arc::clone(provider);
    Ok(WebPkiClientVerifier::builder_with_provider(Arc::new(store), provider).build()?)
}

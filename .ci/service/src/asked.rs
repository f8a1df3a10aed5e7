//! The requests of the connectconformance runner, and the answers to it: messages behind their length in
//! four bytes.

use std::{
    fs,
    io::{Read, Write},
    path::Path,
};

use prost::Message;
use serving::tls::TlsArgs;

use crate::{
    MESSAGE, Wanted,
    conformance::{ServerCompatRequest, ServerCompatResponse},
};

pub(crate) struct Asked(ServerCompatRequest);

impl Asked {
    /// Reads it from standard input.
    pub(crate) fn read() -> anyhow::Result<Self> {
        let mut input = std::io::stdin();
        let mut length = [0; 4];
        input.read_exact(&mut length)?;
        let mut message = vec![0; u32::from_be_bytes(length).try_into()?];
        input.read_exact(&mut message)?;
        Ok(Self(ServerCompatRequest::decode(&message[..])?))
    }

    /// The service's settings; certificates are written to `directory`.
    pub(crate) fn wanted(self, mut tls: TlsArgs, directory: &Path) -> anyhow::Result<Wanted> {
        let write = |name: &str, bytes: &[u8]| {
            let path = directory.join(name);
            fs::write(&path, bytes).map(|()| Some(path))
        };
        if let (true, Some(creds)) = (self.0.use_tls, &self.0.server_creds) {
            tls.tls_cert = write("cert.pem", &creds.cert)?;
            tls.tls_key = write("key.pem", &creds.key)?;
            if !self.0.client_tls_cert.is_empty() {
                tls.tls_client_ca = write("ca.pem", &self.0.client_tls_cert)?;
            }
        }
        let limit = match self.0.message_receive_limit {
            0 => MESSAGE,
            limit => limit.try_into()?,
        };
        Ok(Wanted {
            limit,
            tls,
            asked: Some(self),
        })
    }

    /// Tells the runner where the service listens.
    pub(crate) fn answer(&self, port: u16) -> anyhow::Result<()> {
        let creds = self.0.server_creds.as_ref().filter(|_| self.0.use_tls);
        let answer = ServerCompatResponse {
            host: "127.0.0.1".to_owned(),
            port: port.into(),
            pem_cert: creds.map(|creds| creds.cert.clone()).unwrap_or_default(),
        };
        let answer = answer.encode_to_vec();
        let mut output = std::io::stdout();
        output.write_all(&u32::try_from(answer.len())?.to_be_bytes())?;
        output.write_all(&answer)?;
        Ok(output.flush()?)
    }
}

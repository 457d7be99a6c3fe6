//! TLS by rustls, over bytes.

use std::fmt;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ClientConnection, Resumption};
use rustls::crypto::{self, CryptoProvider};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use thiserror::Error;

use crate::event::TlsFacts;

/// Why there is nobody to trust.
#[derive(Debug, Error)]
#[allow(missing_docs)]
pub enum TrustError {
    #[error("cannot read certificates from '{}'", .0.display())]
    File(PathBuf, #[source] rustls::pki_types::pem::Error),
    #[error("'{}' holds no certificate: it must be in PEM format", .0.display())]
    Empty(PathBuf),
    #[error("this host has no certificates to trust ({0}): name some by --cacert FILE")]
    Nothing(String),
    #[error("'{0}' is no name that a certificate could be for")]
    Name(String),
    #[error("TLS cannot be set up")]
    Setup(#[from] rustls::Error),
}

/// Whose certificates are believed.
#[derive(Clone, Debug)]
pub struct Trust {
    roots: Option<Arc<RootCertStore>>,
}

impl Trust {
    /// Those that this host trusts.
    ///
    /// # Errors
    /// It trusts none.
    pub fn of_host() -> Result<Self, TrustError> {
        let found = rustls_native_certs::load_native_certs();
        let mut roots = RootCertStore::empty();
        let (added, _) = roots.add_parsable_certificates(found.certs);
        if added == 0 {
            let why = found.errors.first().map(ToString::to_string);
            return Err(TrustError::Nothing(why.unwrap_or_else(|| "none were found".to_owned())));
        }
        Ok(Self { roots: Some(Arc::new(roots)) })
    }

    /// Those of a PEM file alone.
    ///
    /// # Errors
    /// It cannot be read, or has none.
    pub fn of_file(path: &Path) -> Result<Self, TrustError> {
        let unreadable = |source| TrustError::File(path.to_owned(), source);
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_file_iter(path).map_err(unreadable)? {
            roots.add(certificate.map_err(unreadable)?)?;
        }
        if roots.is_empty() {
            return Err(TrustError::Empty(path.to_owned()));
        }
        Ok(Self { roots: Some(Arc::new(roots)) })
    }

    /// Anybody's: nothing is verified.
    #[must_use]
    pub const fn blind() -> Self {
        Self { roots: None }
    }

    /// What a connection needs that offers `protocols` by ALPN (RFC 7301). Sessions are not resumed:
    /// each connection makes the whole handshake.
    fn config(&self, protocols: &[&[u8]]) -> Result<ClientConfig, rustls::Error> {
        let provider = Arc::new(crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()?;
        let mut config = match &self.roots {
            Some(roots) => builder.with_root_certificates(Arc::clone(roots)).with_no_client_auth(),
            None => builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(Anybody(provider)))
                .with_no_client_auth(),
        };
        config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
        config.resumption = Resumption::disabled();
        Ok(config)
    }

    /// A connection to `host`, which its certificate must be for.
    pub(super) fn connect(&self, host: &str, protocols: &[&[u8]]) -> Result<Session, TrustError> {
        let bare = host.trim_matches(['[', ']']).to_owned();
        let name = ServerName::try_from(bare).map_err(|_| TrustError::Name(host.to_owned()))?;
        let mut connection = ClientConnection::new(Arc::new(self.config(protocols)?), name)?;
        // What is written is sent at once: it never piles up here.
        connection.set_buffer_limit(None);
        Ok(Session { connection, verified: self.roots.is_some(), tickets: 0 })
    }
}

/// Believes anybody: `--insecure`.
struct Anybody(Arc<CryptoProvider>);

impl fmt::Debug for Anybody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Anybody")
    }
}

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let known = &self.0.signature_verification_algorithms;
        crypto::verify_tls12_signature(message, certificate, signed, known)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let known = &self.0.signature_verification_algorithms;
        crypto::verify_tls13_signature(message, certificate, signed, known)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// Why TLS did not come about.
pub(super) enum Trouble {
    /// The server speaks none of the protocols that were offered.
    NoProtocol,
    /// Something else.
    Other(String),
}

/// What rustls says, in words for whoever has to mend it.
fn trouble(error: &rustls::Error) -> Trouble {
    use rustls::{AlertDescription, CertificateError as Bad, Error, OtherError};
    let text = match error {
        Error::AlertReceived(AlertDescription::NoApplicationProtocol) => {
            return Trouble::NoProtocol;
        }
        Error::AlertReceived(alert) => format!("the server refuses TLS by the alert {alert:?}"),
        Error::InvalidCertificate(Bad::UnknownIssuer) => {
            "the server's certificate was issued by nobody that we trust: trust the issuer by \
             --cacert FILE"
                .to_owned()
        }
        Error::InvalidCertificate(Bad::NotValidForName | Bad::NotValidForNameContext { .. }) => {
            "the server's certificate is for another name".to_owned()
        }
        Error::InvalidCertificate(Bad::Expired | Bad::ExpiredContext { .. }) => {
            "the server's certificate has expired".to_owned()
        }
        // It has no place among the reasons of rustls, which hands on webpki's own.
        Error::InvalidCertificate(Bad::Other(OtherError(other)))
            if matches!(other.downcast_ref(), Some(webpki::Error::CaUsedAsEndEntity)) =>
        {
            "the server's certificate is one of an issuer (CA:TRUE), which must not be a server's \
             own: let it issue one for the server, or use --insecure"
                .to_owned()
        }
        Error::InvalidCertificate(Bad::Other(other)) => {
            format!("the server's certificate cannot be used: {other}")
        }
        Error::InvalidCertificate(other) => {
            format!("the server's certificate is not believed: {other}")
        }
        Error::InvalidMessage(_) => {
            format!("what the server answers is no TLS: {error}")
        }
        _ => error.to_string(),
    };
    Trouble::Other(text)
}

/// One connection's TLS.
pub(super) struct Session {
    connection: ClientConnection,
    verified: bool,
    /// How many of the tickets were told of.
    tickets: u32,
}

/// What records brought.
#[derive(Clone, Copy, Default)]
pub(super) struct Brought {
    /// Whether there was anything for HTTP in them.
    pub(super) data: bool,
    /// Tickets with which the session could be resumed.
    pub(super) tickets: u32,
    /// That no more will follow: close_notify.
    pub(super) goodbye: bool,
}

impl Session {
    /// Takes records, and hands on what is in them.
    pub(super) fn receive(
        &mut self,
        mut records: &[u8],
        mut hand_on: impl FnMut(&[u8]),
    ) -> Result<Brought, Trouble> {
        let mut brought = Brought::default();
        while !records.is_empty() {
            let failed = |error: io::Error| Trouble::Other(error.to_string());
            let taken = self.connection.read_tls(&mut records).map_err(failed)?;
            let state = self.connection.process_new_packets().map_err(|error| trouble(&error))?;
            let length = state.plaintext_bytes_to_read();
            if length > 0 {
                let mut plain = vec![0; length];
                self.connection.reader().read_exact(&mut plain).map_err(failed)?;
                hand_on(&plain);
                brought.data = true;
            }
            brought.goodbye |= state.peer_has_closed();
            if taken == 0 {
                break;
            }
        }
        let tickets = self.connection.tls13_tickets_received();
        brought.tickets = tickets - std::mem::replace(&mut self.tickets, tickets);
        Ok(brought)
    }

    /// Puts `plain` into records.
    pub(super) fn write(&mut self, plain: &[u8]) -> io::Result<()> {
        self.connection.writer().write_all(plain)
    }

    /// Says that no more will follow.
    pub(super) fn say_goodbye(&mut self) {
        self.connection.send_close_notify();
    }

    /// Appends what is to be sent to `out`.
    pub(super) fn flush(&mut self, out: &mut Vec<u8>) {
        while self.connection.wants_write() {
            // Writing to memory cannot fail.
            if self.connection.write_tls(out).is_err() {
                return;
            }
        }
    }

    pub(super) fn is_handshaking(&self) -> bool {
        self.connection.is_handshaking()
    }

    /// What was agreed on, once the handshake is over.
    pub(super) fn facts(&self) -> TlsFacts {
        let known = |text: Option<String>| text.unwrap_or_else(|| "unknown".to_owned());
        let version =
            self.connection.protocol_version().and_then(|version| version.as_str().map(readable));
        let cipher = self.connection.negotiated_cipher_suite();
        let cipher = cipher.and_then(|suite| suite.suite().as_str().map(str::to_owned));
        let protocol = self.connection.alpn_protocol();
        TlsFacts {
            version: known(version),
            cipher: known(cipher),
            protocol: protocol.map(|name| String::from_utf8_lossy(name).into_owned()),
            verified: self.verified,
        }
    }
}

/// `TLSv1_3` as people write it.
fn readable(name: &str) -> String {
    name.replace("TLSv", "TLS ").replace('_', ".")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rustls::{CertificateError, Error, OtherError};

    use super::*;

    fn told(error: CertificateError) -> String {
        match trouble(&Error::InvalidCertificate(error)) {
            Trouble::Other(text) => text,
            Trouble::NoProtocol => panic!("not that"),
        }
    }

    /// By the type of the error: webpki's wording may change.
    #[test]
    fn a_reason_of_webpki_alone_is_known_by_its_type() {
        let other = |error| told(CertificateError::Other(OtherError(Arc::new(error))));
        let issuer = other(webpki::Error::CaUsedAsEndEntity);
        assert!(issuer.starts_with("the server's certificate is one of an issuer"), "{issuer}");
        let path = other(webpki::Error::PathLenConstraintViolated);
        assert_eq!(path, "the server's certificate cannot be used: PathLenConstraintViolated");
        let alike = io::Error::other("CaUsedAsEndEntity");
        let text = told(CertificateError::Other(OtherError(Arc::new(alike))));
        assert!(text.starts_with("the server's certificate cannot be used"), "{text}");
    }
}

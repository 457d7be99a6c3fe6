//! Web servers from Debian in the server's namespace, each with a directory of its own.

use crate::namespace::{Family, Namespace, Topology};
use crate::patience;
use crate::servers::fresh_port;
use anyhow::{Context, Result, ensure};
use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

/// Bytes of `/`.
pub(super) const PAGE: u64 = 612;
/// Bytes of `/big`.
pub(super) const BIG: u64 = 20_000_000;

/// What is running.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    /// nginx, HTTP/1 in the clear.
    Nginx,
    /// nginx that keeps an idle connection for a second, and any for two requests.
    HastyNginx,
    /// nginx, HTTP/2 in the clear and nothing else.
    NginxTwo,
    /// nginx, everything over TLS.
    NginxTls,
    /// nginx, HTTP/1 alone over TLS.
    NginxTlsOne,
    /// Python's, which speaks HTTP/1.0.
    Python,
    /// nghttp2's, HTTP/2 in the clear and nothing else.
    Nghttpd,
    /// The same over TLS.
    NghttpdTls,
    /// Apache, every version in the clear.
    Apache,
}

/// A server that listens. Ends when it is dropped.
pub(super) struct Web {
    pub(super) address: SocketAddr,
    pub(super) directory: TempDir,
    child: Child,
}

impl Drop for Web {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

impl Web {
    /// Starts one at a fresh port of the topology's server.
    pub(super) fn start(topology: &Topology, family: Family, kind: Kind) -> Result<Self> {
        let address = SocketAddr::new(topology.address(family), fresh_port());
        let directory = tempfile::tempdir()?;
        let root = directory.path();
        fs::create_dir(root.join("www"))?;
        let page = vec![b'x'; usize::try_from(PAGE)?];
        for name in ["index.html", "page"] {
            fs::write(root.join("www").join(name), &page)?;
        }
        fs::File::create(root.join("www/big"))?.set_len(BIG)?;
        if kind.is_secure() {
            certificates(root)?;
        }
        let mut command = kind.command(root, address)?;
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let program = command.get_program().to_owned();
        let child = topology
            .server
            .within(|| command.spawn().with_context(|| format!("{}", program.display())))?;
        let mut web = Self { address, directory, child };
        web.await_ready(&topology.server)?;
        Ok(web)
    }

    fn await_ready(&mut self, namespace: &Namespace) -> Result<()> {
        let address = self.address;
        let child = &mut self.child;
        patience::until("a web server to listen", || {
            let ended = child.try_wait()?;
            ensure!(ended.is_none(), "it ended: {ended:?}");
            namespace.within(|| Ok(TcpStream::connect(address).is_ok()))
        })
    }

    /// The URL of a path of it.
    pub(super) fn url(&self, scheme: &str, path: &str) -> String {
        format!("{scheme}://{}{path}", self.address)
    }

    /// The certificate of whoever signed the server's.
    pub(super) fn authority(&self) -> String {
        self.directory.path().join("ca.pem").display().to_string()
    }
}

impl Kind {
    const fn is_secure(self) -> bool {
        matches!(self, Self::NginxTls | Self::NginxTlsOne | Self::NghttpdTls)
    }

    /// What it needs of the machine.
    pub(super) const fn needs(self) -> &'static [&'static str] {
        match self {
            Self::Nginx | Self::HastyNginx | Self::NginxTwo => &["/usr/sbin/nginx"],
            Self::NginxTls | Self::NginxTlsOne => &["/usr/sbin/nginx", "openssl"],
            Self::Python => &["/usr/bin/python3"],
            Self::Nghttpd => &["nghttpd"],
            Self::NghttpdTls => &["nghttpd", "openssl"],
            Self::Apache => &["/usr/lib/apache2/modules/mod_http2.so"],
        }
    }

    fn command(self, root: &Path, address: SocketAddr) -> Result<Command> {
        match self {
            Self::Python => {
                let mut command = Command::new("/usr/bin/python3");
                let (ip, port) = (address.ip().to_string(), address.port().to_string());
                command.args(["-m", "http.server", "--bind", &ip, &port]);
                command.current_dir(root.join("www"));
                Ok(command)
            }
            Self::Nghttpd | Self::NghttpdTls => {
                let mut command = Command::new("nghttpd");
                command.arg("--address").arg(address.ip().to_string());
                command.arg("--htdocs").arg(root.join("www"));
                if self == Self::Nghttpd {
                    command.arg("--no-tls").arg(address.port().to_string());
                } else {
                    command.arg(address.port().to_string());
                    command.arg(root.join("key.pem")).arg(root.join("cert.pem"));
                }
                Ok(command)
            }
            Self::Apache => {
                fs::write(root.join("apache.conf"), apache(root, address))?;
                let mut command = Command::new("/usr/sbin/apache2");
                command.arg("-X").arg("-d").arg(root).arg("-f").arg(root.join("apache.conf"));
                Ok(command)
            }
            _ => {
                fs::write(root.join("nginx.conf"), self.nginx(root, address))?;
                let mut command = Command::new("/usr/sbin/nginx");
                command.arg("-p").arg(root).arg("-c").arg(root.join("nginx.conf"));
                command.arg("-e").arg(root.join("error.log"));
                Ok(command)
            }
        }
    }

    fn nginx(self, root: &Path, address: SocketAddr) -> String {
        let root = root.display();
        let listen = match self {
            Self::NginxTwo => "http2",
            Self::NginxTls => "ssl http2",
            Self::NginxTlsOne => "ssl",
            _ => "",
        };
        let secure = if self.is_secure() {
            format!("ssl_certificate {root}/cert.pem; ssl_certificate_key {root}/key.pem;")
        } else {
            String::new()
        };
        let hasty = if self == Self::HastyNginx {
            "keepalive_timeout 1s; keepalive_requests 2;"
        } else {
            ""
        };
        // One process, which changes no user: it may be that of nobody but us.
        format!(
            "daemon off; master_process off; user root; pid {root}/pid; error_log {root}/error.log;
             events {{ }}
             http {{
               access_log off; {hasty}
               client_body_temp_path {root}/body; proxy_temp_path {root}/proxy;
               fastcgi_temp_path {root}/fastcgi; uwsgi_temp_path {root}/uwsgi;
               scgi_temp_path {root}/scgi;
               server {{
                 listen {address} {listen}; {secure} root {root}/www;
                 location /moved {{ return 302 /page; }}
               }}
             }}"
        )
    }
}

fn apache(root: &Path, address: SocketAddr) -> String {
    let root = root.display();
    let modules = "/usr/lib/apache2/modules";
    format!(
        "ServerRoot {root}
         ServerName localhost
         PidFile {root}/pid
         ErrorLog {root}/error.log
         DefaultRuntimeDir {root}
         LoadModule mpm_event_module {modules}/mod_mpm_event.so
         LoadModule authz_core_module {modules}/mod_authz_core.so
         LoadModule dir_module {modules}/mod_dir.so
         LoadModule http2_module {modules}/mod_http2.so
         Listen {address}
         Protocols h2c http/1.1
         H2Direct on
         DocumentRoot {root}/www
         <Directory {root}/www>
           Require all granted
         </Directory>
         DirectoryIndex index.html\n"
    )
}

/// An authority of our own, and a certificate by it for the addresses of the topologies.
fn certificates(root: &Path) -> Result<()> {
    let names = "subjectAltName=DNS:localhost,IP:127.0.0.1,IP:::1,IP:192.0.2.2,IP:2001:db8::2";
    fs::write(root.join("leaf.ext"), format!("{names}\nbasicConstraints=CA:FALSE\n"))?;
    let key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
    let made = [
        [
            &["req", "-x509"][..],
            &key,
            &["-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=test"],
        ]
        .concat(),
        [&["req"][..], &key, &["-keyout", "key.pem", "-out", "leaf.csr", "-subj", "/CN=localhost"]]
            .concat(),
        vec![
            "x509",
            "-req",
            "-in",
            "leaf.csr",
            "-CA",
            "ca.pem",
            "-CAkey",
            "ca.key",
            "-CAcreateserial",
            "-extfile",
            "leaf.ext",
            "-out",
            "cert.pem",
        ],
    ];
    for arguments in made {
        let output = Command::new("openssl")
            .args(&arguments)
            .current_dir(root)
            .output()
            .context("openssl")?;
        ensure!(output.status.success(), "openssl {arguments:?}: {output:?}");
    }
    Ok(())
}

//! The lookup of names by DNS, without a thread of its own.
//!
//! The resolver of the operating system blocks a thread for each lookup, and goes on after the
//! caller has given up. This one is a future, so a lookup that is dropped or late ends at once.

use std::fs;
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{LookupIpStrategy, ResolveHosts, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;

use super::resolver::Lookup;

/// The files that configure the resolver.
const FILES: [&str; 2] = ["/etc/resolv.conf", "/etc/hosts"];
/// The time after which a name server that does not answer is asked again, or the next one.
const NAME_SERVER_TIMEOUT: Duration = Duration::from_secs(1);
/// The maximum number of times that the name servers are asked again.
const MAX_REPETITIONS: usize = 2;

/// A resolver as the machine is configured. It reads the configuration again if it changes.
#[derive(Default)]
pub(super) struct DnsLookup {
    configured: Mutex<Option<ConfiguredResolver>>,
}

#[derive(Clone)]
struct ConfiguredResolver {
    resolver: Arc<TokioResolver>,
    /// The state of the files from which the configuration was read.
    files: [Option<(SystemTime, u64)>; FILES.len()],
}

impl DnsLookup {
    /// Returns the resolver, a new one if its configuration has changed.
    fn resolver(&self) -> io::Result<Arc<TokioResolver>> {
        let files = FILES.map(file_state);
        let mut configured = self.configured.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(current) = configured.as_ref().filter(|current| current.files == files) {
            return Ok(Arc::clone(&current.resolver));
        }
        let resolver = Arc::new(new_resolver()?);
        *configured = Some(ConfiguredResolver { resolver: Arc::clone(&resolver), files });
        Ok(resolver)
    }
}

#[async_trait]
impl Lookup for DnsLookup {
    async fn lookup(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        let found = self.resolver()?.lookup_ip(host).await.map_err(io::Error::other)?;
        Ok(found.iter().collect())
    }
}

fn file_state(path: &str) -> Option<(SystemTime, u64)> {
    let metadata = fs::metadata(path).ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}

/// Creates a resolver from the files. Without name servers it knows only the file of hosts.
fn new_resolver() -> io::Result<TokioResolver> {
    let mut builder = TokioResolver::builder_tokio().unwrap_or_else(|_| {
        let none = ResolverConfig::from_parts(None, Vec::new(), Vec::new());
        TokioResolver::builder_with_config(none, TokioRuntimeProvider::default())
    });
    let options = builder.options_mut();
    // All addresses of a name are checked, not only those of the first family that is found.
    options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
    options.use_hosts_file = ResolveHosts::Always;
    options.timeout = options.timeout.min(NAME_SERVER_TIMEOUT);
    options.attempts = options.attempts.min(MAX_REPETITIONS);
    // A developer who has just mended a name expects that it is seen.
    options.cache_size = 0;
    builder.build().map_err(io::Error::other)
}
